//! Texts for audit entries.

use api_types::{AuditEntry, AuditResult};
use serde_json::Value;

use crate::{address, ui::Shape};

/// The actions in words: name, words for a success, and words after "tried to".
const ACTS: &[(&str, &str, &str)] = &[
    ("admin.sign_in", "signed in", "sign in"),
    ("admin.sign_out", "signed out", "sign out"),
    ("admin.end_session", "ended a session", "end a session"),
    ("admin.end_sessions", "ended all other sessions", "end all other sessions"),
    ("project.create", "created project", "create project"),
    ("project.update", "changed project", "change project"),
    ("project.delete", "deleted project", "delete project"),
    ("key.create", "created key", "create key"),
    ("key.rotate", "rotated key", "rotate key"),
    ("key.update", "changed key", "change key"),
    ("key.revoke", "revoked key", "revoke key"),
    ("keys.rotate_master", "rotated the master key", "rotate the master key"),
    ("rows.insert", "inserted rows into table", "insert rows into table"),
    ("rows.update", "updated rows of table", "update rows of table"),
    ("rows.delete", "deleted rows of table", "delete rows of table"),
    ("rows.change", "saved changes to rows of table", "save changes to rows of table"),
    ("table.expose", "changed the access of table", "change the access of table"),
    ("sql.run", "ran SQL", "run SQL"),
    ("sql.start_run", "ran SQL in the background", "run SQL in the background"),
    ("sql.cancel", "cancelled SQL", "cancel SQL"),
    ("query.create", "saved query", "save query"),
    ("query.update", "changed query", "change query"),
    ("query.delete", "deleted query", "delete query"),
    ("query.clear_history", "cleared the history of queries", "clear the history of queries"),
    ("bucket.create", "created bucket", "create bucket"),
    ("bucket.update", "changed bucket", "change bucket"),
    ("bucket.expose", "changed the access of bucket", "change the access of bucket"),
    ("bucket.delete", "deleted bucket", "delete bucket"),
    ("object.delete", "deleted object", "delete object"),
    ("object.delete_many", "deleted objects of bucket", "delete objects of bucket"),
    ("object.move", "moved object", "move object"),
    ("object.copy", "copied object", "copy object"),
    ("object.sign_upload", "signed an upload of", "sign an upload of"),
    ("object.sign_download", "signed a download of", "sign a download of"),
    ("object.complete_upload", "uploaded object", "upload object"),
    ("object.abort_upload", "cancelled the upload of", "cancel the upload of"),
    ("user.create", "created user", "create user"),
    ("user.update", "changed user", "change user"),
    ("user.remove_second_factor", "removed the second factor of user", "remove the second factor of user"),
    ("user.delete", "deleted user", "delete user"),
    ("auth.update", "changed the end-user login", "change the end-user login"),
    ("auth.rotate_key", "rotated the signing key", "rotate the signing key"),
    ("job.create", "created job", "create job"),
    ("job.update", "changed job", "change job"),
    ("job.delete", "deleted job", "delete job"),
    ("job.run", "ran job", "run job"),
    ("run.cancel", "cancelled run", "cancel run"),
    ("run.again", "repeated run", "repeat run"),
    ("backup.create", "started a backup of", "start a backup of"),
    ("backup.delete", "deleted the backup of", "delete the backup of"),
    ("backup.download", "downloaded the backup of", "download the backup of"),
    ("backup.verify", "verified the backup of", "verify the backup of"),
    ("backup.restore", "restored the backup of", "restore the backup of"),
    ("restore.create", "started a restore of", "start a restore of"),
    ("restore.confirm", "confirmed the restore of", "confirm the restore of"),
    ("restore.rollback", "rolled back the restore of", "roll back the restore of"),
    ("restore.delete", "deleted the restore of", "delete the restore of"),
    ("export.create", "started export", "start export"),
    ("export.delete", "deleted export", "delete export"),
    ("export.download", "downloaded export", "download export"),
    ("import.create", "started import", "start import"),
    ("migration.apply", "applied migrations", "apply migrations"),
    ("plugin.upload", "uploaded plugin", "upload plugin"),
    ("plugin.approve", "approved plugin", "approve plugin"),
    ("plugin.revoke", "revoked plugin", "revoke plugin"),
    ("plugin.remove", "removed plugin", "remove plugin"),
    ("plugin.reject", "rejected plugin", "reject plugin"),
    ("plugin.denied", "denied a capability to plugin", "deny a capability to plugin"),
    ("trusted_key.add", "trusted key", "trust key"),
    ("trusted_key.remove", "stopped trusting key", "stop trusting key"),
    ("notification.create", "created channel", "create channel"),
    ("notification.update", "changed channel", "change channel"),
    ("notification.delete", "deleted channel", "delete channel"),
    ("notification.test", "sent a test to channel", "send a test to channel"),
];

/// Describes the change that an entry records: `revoked key web (notebook)`, `tried to sign in`.
pub(super) fn act_in_words(entry: &AuditEntry) -> String {
    let known = ACTS.iter().find(|(action, ..)| *action == entry.action);
    let mut words = match (known, entry.result) {
        (Some((_, done, _)), AuditResult::Success) => (*done).to_owned(),
        (Some((_, _, attempt)), AuditResult::Denied | AuditResult::Failed) => format!("tried to {attempt}"),
        (Some((_, _, attempt)), AuditResult::Unknown) => format!("began to {attempt}"),
        (None, _) => entry.action.clone(),
    };
    if let Some(thing) = thing_name(entry) {
        words.push(' ');
        words.push_str(&thing);
    }
    let project = entry.project_name.as_deref().filter(|_| !entry.action.starts_with("project."));
    if let Some(project) = project {
        words.push_str(&format!(" ({project})"));
    }
    words
}

/// Returns the name of the changed resource. `None` if the entry names the resource only by a UUID, or not at all.
pub(super) fn thing_name(entry: &AuditEntry) -> Option<String> {
    let detail = |name: &str| entry.details.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(name) = detail("objectKey").or_else(|| detail("name")).or_else(|| detail("database")) {
        return Some(name.to_owned());
    }
    if entry.action.starts_with("project.") {
        return entry.project_name.clone();
    }
    let target = entry.target.as_deref().filter(|target| !is_uuid(target))?;
    if entry.action.starts_with("admin.") { None } else { Some(target.to_owned()) }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.chars().all(|letter| letter.is_ascii_hexdigit() || letter == '-')
}

/// Returns the address and the label of the changed resource's page. `None` if it has no page or was deleted.
pub(super) fn thing_address(entry: &AuditEntry) -> Option<(String, &'static str)> {
    let (subject, act) = entry.action.split_once('.')?;
    if act == "delete" || act == "delete_many" && subject == "bucket" {
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

/// Returns who made a change. `you` is the caller's own name.
pub(super) fn actor_in_words(actor: &str, you: Option<&str>) -> String {
    match actor {
        actor if you == Some(actor) => "you".to_owned(),
        "session" => "the owner".to_owned(),
        "dev-token" => "admin token".to_owned(),
        "cli" => "command line".to_owned(),
        "system" => "AtlasHub".to_owned(),
        other => other.to_owned(),
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
mod tests {
    use super::*;

    fn entry(action: &str, result: AuditResult, details: Value) -> AuditEntry {
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
    fn acts_are_sentences() {
        let web = serde_json::json!({ "name": "web" });
        for (action, result, details, expected) in [
            ("key.revoke", AuditResult::Success, web.clone(), "revoked key web (notebook)"),
            ("key.revoke", AuditResult::Denied, web, "tried to revoke key web (notebook)"),
            ("project.delete", AuditResult::Success, serde_json::json!({}), "deleted project notebook"),
            ("admin.sign_in", AuditResult::Unknown, serde_json::json!({}), "began to sign in (notebook)"),
            ("new.act", AuditResult::Success, serde_json::json!({}), "new.act (notebook)"),
        ] {
            let words = act_in_words(&entry(action, result, details));
            assert_eq!(words, expected, "{action}");
        }
    }

    #[test]
    fn refusals_have_a_reason() {
        let denied = entry("key.revoke", AuditResult::Denied, serde_json::json!({ "error": "not_found" }));
        assert_eq!(outcome_in_words(&denied), "Refused: not found");
        assert_eq!(outcome_in_words(&entry("key.revoke", AuditResult::Denied, Value::Null)), "Refused: HTTP 403");
        assert_eq!(outcome_in_words(&entry("key.revoke", AuditResult::Success, Value::Null)), "Done");
    }
}
