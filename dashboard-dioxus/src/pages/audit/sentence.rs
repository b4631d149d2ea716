//! Audit entries as sentences.

use api_types::{AuditEntry, AuditResult};
use serde_json::Value;

use super::{
    acts::{ACTS, Act},
    words::named_target,
};

/// Actions with which AtlasHub itself refuses something. Their result is always a refusal.
const REFUSALS: [&str; 2] = ["plugin.reject", "plugin.denied"];

/// Describes the change that an entry records: `revoked key web (notebook)`, `tried to sign in`.
pub(super) fn act_in_words(entry: &AuditEntry) -> String {
    let Some(act) = find_act(entry) else { return with_project(entry, entry.action.clone()) };
    let verb = match entry.result {
        AuditResult::Success => act.done.to_owned(),
        _ if REFUSALS.contains(&entry.action.as_str()) => act.done.to_owned(),
        AuditResult::Denied | AuditResult::Failed => format!("tried to {}", act.attempt),
        AuditResult::Unknown => format!("began to {}", act.attempt),
    };
    let object = act.objects.iter().find_map(|object| Some((fill(entry, object)?, *object)));
    match object {
        Some((words, object)) if object.contains("{project}") => format!("{verb} {words}"),
        Some((words, _)) => with_project(entry, format!("{verb} {words}")),
        None => with_project(entry, verb),
    }
}

/// Appends the name of the project, unless the sentence is about the project itself, or already ends with its name.
fn with_project(entry: &AuditEntry, words: String) -> String {
    let is_named = |project: &str| entry.action.starts_with("project.") || words.ends_with(&format!(" of {project}"));
    match &entry.project_name {
        Some(project) if !is_named(project) => format!("{words} ({project})"),
        _ => words,
    }
}

fn find_act(entry: &AuditEntry) -> Option<Act> {
    let (_, done, attempt, objects) = ACTS.iter().find(|(action, ..)| *action == entry.action)?;
    let act = Act { done, attempt, objects };
    Some(match entry.action.as_str() {
        "user.update" => user_change(entry).unwrap_or(act),
        "project.update" => project_change(entry).unwrap_or(act),
        "import.start" if entry.details.get("dryRun").and_then(Value::as_bool) == Some(true) => {
            Act { objects: &["a dry run of an import into table {table}", "a dry run of an import"], ..act }
        }
        "restore.finish" if entry.details.get("rolledBack").and_then(Value::as_bool) == Some(true) => {
            Act { done: "rolled back", ..act }
        }
        // A verification has two entries. That of its request has an HTTP status; the other one records the outcome.
        "backup.verify" if entry.status.is_none() => Act { done: "verified", ..act },
        _ => act,
    })
}

/// Names the change of a user: the role, the state or the data. `None` if the request changed several of them.
fn user_change(entry: &AuditEntry) -> Option<Act> {
    let role = entry.details.get("role").and_then(Value::as_str);
    let disabled = entry.details.get("disabled").and_then(Value::as_bool);
    let data = entry.details.get("data").and_then(Value::as_bool) == Some(true);
    Some(match (role, disabled, data) {
        (None, Some(true), false) => Act { done: "disabled", attempt: "disable", objects: &["user {email}", "a user"] },
        (None, Some(false), false) => Act { done: "enabled", attempt: "enable", objects: &["user {email}", "a user"] },
        (Some(_), None, false) => Act {
            done: "changed",
            attempt: "change",
            objects: &["the role of user {email} to {role}", "the role of a user to {role}"],
        },
        (None, None, true) => {
            Act { done: "changed", attempt: "change", objects: &["the data of user {email}", "the data of a user"] }
        }
        _ => return None,
    })
}

/// Names the change of a project, if it is a new name or the protection from deletion.
fn project_change(entry: &AuditEntry) -> Option<Act> {
    let details = &entry.details;
    if details["previousName"].is_string() && details["previousName"] != details["name"] {
        return Some(Act { done: "renamed", attempt: "rename", objects: &["project {previousName} to {name}"] });
    }
    Some(match details["protected"].as_bool()? {
        true => Act { done: "protected", attempt: "protect", objects: &["project {name} from deletion"] },
        false => Act { done: "ended", attempt: "end", objects: &["the protection of project {name} from deletion"] },
    })
}

/// Fills the names in braces. `None` if the entry does not contain one of them.
fn fill(entry: &AuditEntry, template: &str) -> Option<String> {
    let mut words = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        words.push_str(before);
        words.push_str(&placeholder(entry, name)?);
        rest = after;
    }
    words.push_str(rest);
    Some(words)
}

/// Returns the text for a name in braces: the target, the project, the source of an export, the changed tables, or a
/// detail.
fn placeholder(entry: &AuditEntry, name: &str) -> Option<String> {
    let detail = |name: &str| entry.details.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    match name {
        "target" => named_target(entry).map(str::to_owned),
        "project" => detail("project").map(str::to_owned).or_else(|| entry.project_name.clone()),
        "source" => match detail("kind")? {
            "table" => Some(format!("table {}", detail("table")?)),
            "query" => Some("the rows of a query".to_owned()),
            "database" => Some("the database".to_owned()),
            _ => None,
        },
        "tables" => tables_in_words(entry),
        name => detail(name).map(str::to_owned),
    }
}

/// Maximum number of tables that a sentence names.
const NAMED_TABLES: usize = 3;

/// Returns the tables that SQL changed: `books, authors, loans and 2 more`. `None` if the entry has none.
fn tables_in_words(entry: &AuditEntry) -> Option<String> {
    let tables: Vec<&str> = entry.details.get("tables")?.as_array()?.iter().filter_map(Value::as_str).collect();
    let named = tables.iter().take(NAMED_TABLES).copied().collect::<Vec<_>>().join(", ");
    match tables.len() {
        0 => None,
        count if count > NAMED_TABLES => Some(format!("{named} and {} more", count - NAMED_TABLES)),
        _ => Some(named),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::pages::audit::words::tests::entry;

    fn done(action: &str, details: Value) -> String {
        act_in_words(&entry(action, AuditResult::Success, details))
    }

    /// Returns the actions that the host's source names: its only texts with a dot between two words.
    fn actions_of_host() -> Vec<&'static str> {
        let source = include_str!("../../../../host/src/admin/audit/actions.rs");
        let (table, _tests) = source.split_once("#[cfg(test)]").expect("the file has tests");
        let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        let texts = table.split('"').skip(1).step_by(2);
        texts.filter(|text| text.split_once('.').is_some_and(|(a, b)| is_word(a) && is_word(b))).collect()
    }

    #[test]
    fn every_action_of_the_host_has_a_sentence() {
        let actions = actions_of_host();
        assert!(actions.len() > 80, "{actions:?}");
        for action in actions {
            let known = ACTS.iter().find(|(known, ..)| *known == action);
            let (.., objects) = known.unwrap_or_else(|| panic!("{action} has no sentence"));
            let is_without_object = matches!(action, "admin.sign_in" | "admin.sign_out");
            assert_eq!(objects.is_empty(), is_without_object, "{action}");
            let words = act_in_words(&entry(action, AuditResult::Denied, json!({ "error": "not_found" })));
            assert!(!words.ends_with(" of") && !words.contains('{') && !words.contains("0199f3a0"), "{words}");
        }
    }

    #[test]
    fn last_object_of_an_action_needs_no_details() {
        for (action, _, _, objects) in ACTS {
            let (last, exact) = objects.split_last().unwrap_or((&"", &[]));
            assert!(!last.contains('{'), "{action}: {last}");
            assert!(exact.iter().all(|object| object.contains('{')), "{action}");
        }
    }

    #[test]
    fn acts_are_sentences() {
        let web = json!({ "name": "web" });
        for (action, result, details, expected) in [
            ("key.revoke", AuditResult::Success, web.clone(), "revoked key web (notebook)"),
            ("key.revoke", AuditResult::Denied, web, "tried to revoke key web (notebook)"),
            ("key.revoke", AuditResult::Denied, json!({}), "tried to revoke a key (notebook)"),
            ("project.delete", AuditResult::Success, json!({}), "deleted project notebook"),
            ("admin.sign_in", AuditResult::Unknown, json!({}), "began to sign in (notebook)"),
            ("new.act", AuditResult::Success, json!({}), "new.act (notebook)"),
            (
                "plugin.denied",
                AuditResult::Denied,
                json!({ "wanted": "host `a.example`" }),
                "denied a plugin the use of a resource (notebook)",
            ),
        ] {
            let words = act_in_words(&entry(action, result, details));
            assert_eq!(words, expected, "{action}");
        }
    }

    #[test]
    fn restores_name_their_project_once() {
        let project = json!({ "project": "notebook" });
        assert_eq!(done("backup.restore", project.clone()), "planned the restore of project notebook from a backup");
        assert_eq!(done("restore.confirm", project), "started the restore of project notebook");
        let rolled_back = json!({ "rolledBack": true });
        assert_eq!(done("restore.finish", rolled_back), "rolled back the restore of project notebook");
    }

    #[test]
    fn backup_of_a_project_names_it_once() {
        assert_eq!(done("backup.create", json!({ "name": "notebook" })), "started a backup of notebook");
        assert_eq!(done("backup.create", json!({ "name": "other" })), "started a backup of other (notebook)");
    }

    #[test]
    fn change_of_a_user_is_named() {
        for (role, disabled, data, expected) in [
            (Value::Null, json!(true), json!(false), "disabled user a@b.example (notebook)"),
            (Value::Null, json!(false), json!(false), "enabled user a@b.example (notebook)"),
            (json!("admin"), Value::Null, json!(false), "changed the role of user a@b.example to admin (notebook)"),
            (json!("admin"), json!(true), json!(true), "changed user a@b.example (notebook)"),
        ] {
            let details = json!({ "email": "a@b.example", "role": role, "disabled": disabled, "data": data });
            assert_eq!(done("user.update", details), expected);
        }
    }

    #[test]
    fn change_of_a_project_is_named() {
        let renamed = json!({ "name": "new", "previousName": "old" });
        assert_eq!(done("project.update", renamed), "renamed project old to new");
        let protected = json!({ "name": "new", "previousName": "new", "protected": true });
        assert_eq!(done("project.update", protected), "protected project new from deletion");
    }

    #[test]
    fn sql_names_its_command_and_the_tables_that_it_changed() {
        for (details, expected) in [
            (json!({ "command": "TRUNCATE TABLE", "tables": ["books"] }), "ran TRUNCATE TABLE on books (notebook)"),
            (json!({ "command": "SELECT", "tables": [] }), "ran SELECT (notebook)"),
            (json!({ "tables": ["a", "b", "c", "d", "e"] }), "ran SQL on a, b, c and 2 more (notebook)"),
            (json!({}), "ran SQL (notebook)"),
        ] {
            assert_eq!(done("sql.run", details), expected);
        }
    }

    #[test]
    fn exports_name_their_source() {
        let table = json!({ "kind": "table", "table": "notes" });
        assert_eq!(done("export.create", table), "started an export of table notes (notebook)");
        assert_eq!(
            done("export.delete", json!({ "kind": "query" })),
            "deleted an export of the rows of a query (notebook)"
        );
    }
}
