//! Texts for audit entries.

use api_types::{AuditEntry, AuditResult};
use serde_json::Value;

use crate::{address, ui::Shape};

/// Returns the name of the changed resource. `None` if the entry names the resource only by a UUID, or not at all.
pub(super) fn thing_name(entry: &AuditEntry) -> Option<String> {
    let detail = |name: &str| entry.details.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(name) = ["objectKey", "name", "email", "database"].into_iter().find_map(detail) {
        return Some(name.to_owned());
    }
    if entry.action.starts_with("project.") {
        return entry.project_name.clone();
    }
    let target = named_target(entry)?;
    if entry.action.starts_with("admin.") { None } else { Some(target.to_owned()) }
}

/// Returns the target, unless it is a UUID or the project, which the entry names by its name.
pub(super) fn named_target(entry: &AuditEntry) -> Option<&str> {
    entry.target.as_deref().filter(|target| !is_uuid(target) && Some(*target) != entry.project_id.as_deref())
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.chars().all(|letter| letter.is_ascii_hexdigit() || letter == '-')
}

/// Returns the address and the label of the changed resource's page. `None` if it has no page, or if the
/// entry is about its deletion.
pub(super) fn thing_address(entry: &AuditEntry) -> Option<(String, &'static str)> {
    let (subject, act) = entry.action.split_once('.')?;
    if act == "delete" {
        return None;
    }
    let target = entry.target.as_deref();
    let in_project = |page: &str| entry.project_id.as_ref().map(|id| format!("/projects/{id}{page}"));
    match subject {
        "project" => in_project("").map(|to| (to, "Project")),
        "key" => in_project("/keys").map(|to| (to, "API keys")),
        "rows" | "table" => {
            let to = address::with_parameters(&in_project("/tables")?, &[("table", Some(target?))]);
            Some((to, "Table"))
        }
        "sql" | "query" => in_project("/sql").map(|to| (to, "SQL")),
        "bucket" => Some((in_project(&format!("/storage/{}", target?))?, "Bucket")),
        "object" => {
            let key = entry.details.get("objectKey").and_then(Value::as_str);
            match key.and_then(|key| key.split_once('/')) {
                Some((bucket, path)) if act != "move" => {
                    let to = address::with_parameters(
                        &in_project(&format!("/storage/{bucket}"))?,
                        &[("object", Some(path))],
                    );
                    Some((to, "Object"))
                }
                _ => in_project("/storage").map(|to| (to, "Storage")),
            }
        }
        "user" => in_project("/users").map(|to| (to, "Users")),
        "export" => in_project("/database?tab=export").map(|to| (to, "Exports")),
        "import" => in_project("/database?tab=import").map(|to| (to, "Imports")),
        "restore" => in_project("/database?tab=restore").map(|to| (to, "Restores")),
        "job" => Some((format!("/jobs/{}", target?), "Job")),
        "run" => Some((format!("/runs/{}", target?), "Run")),
        "backup" => Some(("/backups".to_owned(), "Backups")),
        "plugin" | "trusted_key" => Some(("/plugins".to_owned(), "Plugins")),
        "notification" => Some(("/notifications".to_owned(), "Notifications")),
        "admin" => Some(("/settings?section=sessions".to_owned(), "Sessions")),
        "migration" => Some(("/settings?section=migrations".to_owned(), "Migrations")),
        _ => None,
    }
}

/// Returns who made a change: a user of an app by e-mail address, or by the beginning of the id if the entry has no
/// e-mail address. If the actor is `you`, the signed-in owner, returns the word "you".
pub(super) fn actor_in_words(entry: &AuditEntry, you: Option<&str>) -> String {
    let actor = entry.actor.as_str();
    if you == Some(actor) {
        return "you".to_owned();
    }
    if !is_app_user(entry) {
        return known_actor_in_words(actor).to_owned();
    }
    match entry.details.get("email").and_then(Value::as_str) {
        Some(email) => format!("user {email}"),
        None => format!("user {}…", actor.chars().take(SHOWN_ID_CHARS).collect::<String>()),
    }
}

/// Number of characters that are shown of the id of a user whose e-mail address is unknown.
const SHOWN_ID_CHARS: usize = 8;

/// Returns whether a user of an app made the change. The actor is then the user's id.
pub(super) fn is_app_user(entry: &AuditEntry) -> bool {
    entry.action.starts_with("auth.") && is_uuid(&entry.actor)
}

/// Returns the words for an actor that has a fixed name, such as `session` or `cli`. Returns other actors, for example
/// e-mail addresses, unchanged.
pub(super) fn known_actor_in_words(actor: &str) -> &str {
    match actor {
        "session" => "the owner",
        "dev-token" => "admin token",
        "cli" => "command line",
        "system" => "AtlasHub",
        other => other,
    }
}

pub(super) fn result_in_words(result: AuditResult) -> &'static str {
    match result {
        AuditResult::Success => "Done",
        AuditResult::Denied => "Refused",
        AuditResult::Failed => "Failed",
        AuditResult::Unknown => "Unknown",
    }
}

/// Returns the result, with its reason unless it is a success: `Refused: not found`.
pub(super) fn outcome_in_words(entry: &AuditEntry) -> String {
    let word = result_in_words(entry.result);
    let reason = entry.details.get("error").and_then(Value::as_str).map(|code| code.replace('_', " "));
    let reason = reason.or_else(|| {
        entry.status.filter(|_| entry.result != AuditResult::Success).map(|status| format!("HTTP {status}"))
    });
    match reason {
        Some(reason) if entry.result != AuditResult::Success => format!("{word}: {reason}"),
        _ => word.to_owned(),
    }
}

pub(super) fn result_shape(result: AuditResult) -> Shape {
    match result {
        AuditResult::Success => Shape::Succeeded,
        AuditResult::Denied | AuditResult::Failed => Shape::Failed,
        AuditResult::Unknown => Shape::Attention,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An entry of project `notebook`.
    pub(in crate::pages::audit) fn entry(action: &str, result: AuditResult, details: Value) -> AuditEntry {
        AuditEntry {
            id: String::new(),
            at: chrono::DateTime::default(),
            actor: "session".to_owned(),
            action: action.to_owned(),
            project_id: Some("abc".to_owned()),
            project_name: Some("notebook".to_owned()),
            target: Some("0199f3a0-0000-7000-8000-000000000000".to_owned()),
            address: None,
            result,
            status: Some(403),
            request_id: None,
            details,
        }
    }

    #[test]
    fn users_of_apps_are_named_by_their_address() {
        let id = "1f0c3a2b-0000-4000-8000-000000000000";
        let by = |action: &str, actor: &str, details: Value| {
            let entry = AuditEntry { actor: actor.to_owned(), ..entry(action, AuditResult::Success, details) };
            actor_in_words(&entry, Some("owner@example.com"))
        };
        let ada = serde_json::json!({ "email": "ada@example.com" });
        assert_eq!(by("auth.logout", id, ada.clone()), "user ada@example.com");
        assert_eq!(by("auth.logout", id, Value::Null), "user 1f0c3a2b…");
        // The address in the details belongs to nobody, or to the user who was changed, not to the actor.
        assert_eq!(by("auth.login", "anonymous", ada.clone()), "anonymous");
        assert_eq!(by("user.delete", "owner@example.com", ada.clone()), "you");
        assert_eq!(by("user.delete", "session", ada), "the owner");
    }

    #[test]
    fn refusals_have_a_reason() {
        let denied = entry("key.revoke", AuditResult::Denied, serde_json::json!({ "error": "not_found" }));
        assert_eq!(outcome_in_words(&denied), "Refused: not found");
        assert_eq!(outcome_in_words(&entry("key.revoke", AuditResult::Denied, Value::Null)), "Refused: HTTP 403");
        assert_eq!(outcome_in_words(&entry("key.revoke", AuditResult::Success, Value::Null)), "Done");
    }
}
