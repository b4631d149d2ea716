//! The fields of a policy, and the statements that create, change and delete it.

use api_types::{PolicyCommand, TablePolicy};

use super::super::new_table::name_problem;
use crate::value::quoted;

/// The role that stands for all callers.
pub(super) const EVERYONE: &str = "public";

/// A policy as its form describes it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PolicyFields {
    pub(super) name: String,
    pub(super) command: PolicyCommand,
    pub(super) roles: Vec<String>,
    pub(super) using: String,
    pub(super) check: String,
}

impl PolicyFields {
    /// Returns the fields of a policy, or those of an empty form.
    pub(super) fn of(policy: Option<&TablePolicy>) -> Self {
        let Some(policy) = policy else {
            return Self {
                name: String::new(),
                command: PolicyCommand::Select,
                roles: vec![EVERYONE.to_owned()],
                using: String::new(),
                check: String::new(),
            };
        };
        Self {
            name: policy.name.clone(),
            command: policy.command,
            roles: policy.roles.clone(),
            using: policy.using.clone().unwrap_or_default(),
            check: policy.check.clone().unwrap_or_default(),
        }
    }

    /// Returns the name that the policy gets. Spaces around a name are removed, unless `old` already has them.
    pub(super) fn new_name(&self, old: Option<&TablePolicy>) -> &str {
        if old.is_some_and(|old| old.name == self.name) { &self.name } else { self.name.trim() }
    }

    /// Returns the condition on existing rows. `None` if there is none, or if the command has no existing rows.
    pub(super) fn using(&self) -> Option<&str> {
        Some(self.using.trim()).filter(|condition| !condition.is_empty() && has_using(self.command))
    }

    /// Returns the condition on new rows. `None` if there is none, or if the command has no new rows.
    pub(super) fn check(&self) -> Option<&str> {
        Some(self.check.trim()).filter(|condition| !condition.is_empty() && has_check(self.command))
    }

    /// Returns whether the statements that create the policy, or change `old`, can be run.
    pub(super) fn is_complete(&self, old: Option<&TablePolicy>) -> bool {
        !self.new_name(old).is_empty()
            && name_problem(&self.name).is_none()
            && !self.roles.is_empty()
            && (!needs_condition(old) || self.using().is_some() || self.check().is_some())
    }
}

/// Returns whether the form requires a condition. Postgres accepts a policy without one, so the form accepts a policy
/// that never had one.
pub(super) fn needs_condition(old: Option<&TablePolicy>) -> bool {
    old.is_none_or(|old| old.using.is_some() || old.check.is_some())
}

/// Returns whether policies for a command have a condition on existing rows.
pub(super) fn has_using(command: PolicyCommand) -> bool {
    command != PolicyCommand::Insert
}

/// Returns whether policies for a command have a condition on new rows.
pub(super) fn has_check(command: PolicyCommand) -> bool {
    matches!(command, PolicyCommand::All | PolicyCommand::Insert | PolicyCommand::Update)
}

/// Returns the roles after `role` was added or removed. "Everyone" excludes the others.
pub(super) fn with_role(roles: &[String], role: &str, is_chosen: bool) -> Vec<String> {
    let is_kept = |other: &&String| *other != role && !(is_chosen && (role == EVERYONE || *other == EVERYONE));
    let kept = roles.iter().filter(is_kept).cloned();
    kept.chain(is_chosen.then(|| role.to_owned())).collect()
}

/// Returns the SQL that creates the policy of a form, or that changes `old` to it. Empty if nothing changes.
pub(super) fn write_sql(table: &str, old: Option<&TablePolicy>, fields: &PolicyFields) -> String {
    let Some(old) = old else { return create_policy(table, fields.new_name(None), fields, true) };
    let name = fields.new_name(Some(old));
    if is_replaced(old, fields) {
        return drop_policy(table, &old.name) + &create_policy(table, name, fields, old.permissive);
    }
    let was = PolicyFields::of(Some(old));
    let mut clauses = Vec::new();
    if sorted(&was.roles) != sorted(&fields.roles) {
        clauses.push(format!("to {}", role_list(&fields.roles)));
    }
    if was.using() != fields.using() {
        clauses.extend(fields.using().map(|condition| format!("using {}", in_parentheses(condition))));
    }
    if was.check() != fields.check() {
        clauses.extend(fields.check().map(|condition| format!("with check {}", in_parentheses(condition))));
    }
    let (policy, table) = (quoted(&old.name), quoted(table));
    let mut sql = String::new();
    if !clauses.is_empty() {
        sql.push_str(&format!("alter policy {policy} on {table}\n  {};\n", clauses.join("\n  ")));
    }
    if name != old.name {
        sql.push_str(&format!("alter policy {policy} on {table} rename to {};\n", quoted(name)));
    }
    sql
}

/// Returns whether a policy must be deleted and created again, because Postgres can't change its command or remove a
/// condition.
pub(super) fn is_replaced(old: &TablePolicy, fields: &PolicyFields) -> bool {
    let was = PolicyFields::of(Some(old));
    let is_removed = |was: Option<&str>, now: Option<&str>| was.is_some() && now.is_none();
    fields.command != old.command || is_removed(was.using(), fields.using()) || is_removed(was.check(), fields.check())
}

fn create_policy(table: &str, name: &str, fields: &PolicyFields, permissive: bool) -> String {
    let mut lines = vec![format!("create policy {} on {}", quoted(name), quoted(table))];
    if !permissive {
        lines.push("as restrictive".to_owned());
    }
    lines.extend(match fields.command {
        PolicyCommand::All => None,
        PolicyCommand::Select => Some("for select".to_owned()),
        PolicyCommand::Insert => Some("for insert".to_owned()),
        PolicyCommand::Update => Some("for update".to_owned()),
        PolicyCommand::Delete => Some("for delete".to_owned()),
    });
    if fields.roles.iter().any(|role| role != EVERYONE) {
        lines.push(format!("to {}", role_list(&fields.roles)));
    }
    lines.extend(fields.using().map(|condition| format!("using {}", in_parentheses(condition))));
    lines.extend(fields.check().map(|condition| format!("with check {}", in_parentheses(condition))));
    format!("{};\n", lines.join("\n  "))
}

/// Returns the SQL that deletes a policy.
pub(super) fn drop_policy(table: &str, name: &str) -> String {
    format!("drop policy {} on {};\n", quoted(name), quoted(table))
}

/// Returns a condition between parentheses. A comment at its end must not hide the closing one.
fn in_parentheses(condition: &str) -> String {
    if condition.contains('\n') || condition.contains("--") {
        format!("(\n{condition}\n  )")
    } else {
        format!("({condition})")
    }
}

fn role_list(roles: &[String]) -> String {
    let role = |role: &String| if role == EVERYONE { role.clone() } else { quoted(role) };
    roles.iter().map(role).collect::<Vec<_>>().join(", ")
}

fn sorted(roles: &[String]) -> Vec<&String> {
    let mut sorted: Vec<&String> = roles.iter().collect();
    sorted.sort();
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "a\"b";

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn policy() -> TablePolicy {
        TablePolicy {
            name: "Ada's \"own\"".to_owned(),
            command: PolicyCommand::Update,
            permissive: false,
            roles: texts(&["public"]),
            callers: Vec::new(),
            using: Some("(a = 1)".to_owned()),
            check: Some("(b = 2)".to_owned()),
        }
    }

    fn fields() -> PolicyFields {
        PolicyFields::of(Some(&policy()))
    }

    #[test]
    fn created_policy_has_quoted_names_and_only_conditions_of_its_command() {
        let new = PolicyFields { command: PolicyCommand::Insert, ..fields() };
        let expected =
            "create policy \"Ada's \"\"own\"\"\" on \"a\"\"b\"\n  for insert\n  with check ((b = 2));\n".to_owned();
        assert_eq!(write_sql(TABLE, None, &new), expected);
        let new = PolicyFields {
            name: " all ".to_owned(),
            command: PolicyCommand::All,
            roles: texts(&["proj_x_user", "r\"s"]),
            using: "true -- everything".to_owned(),
            check: String::new(),
        };
        let expected = "create policy \"all\" on \"a\"\"b\"\n  to \"proj_x_user\", \"r\"\"s\"\n  using \
                        (\ntrue -- everything\n  );\n";
        assert_eq!(write_sql(TABLE, None, &new), expected);
    }

    #[test]
    fn policy_is_altered_where_postgres_can() {
        let alter = "alter policy \"Ada's \"\"own\"\"\" on \"a\"\"b\"";
        let old = policy();
        assert_eq!(write_sql(TABLE, Some(&old), &fields()), "");
        let changed = PolicyFields { roles: texts(&["u"]), check: "c".to_owned(), ..fields() };
        assert_eq!(write_sql(TABLE, Some(&old), &changed), format!("{alter}\n  to \"u\"\n  with check (c);\n"));
        let renamed = PolicyFields { name: "x\"; --".to_owned(), using: "d".to_owned(), ..fields() };
        let expected = format!("{alter}\n  using (d);\n{alter} rename to \"x\"\"; --\";\n");
        assert_eq!(write_sql(TABLE, Some(&old), &renamed), expected);
        let all = TablePolicy { roles: texts(&["u", "v"]), ..policy() };
        let same = PolicyFields { roles: texts(&["v", "u"]), ..PolicyFields::of(Some(&all)) };
        assert_eq!(write_sql(TABLE, Some(&all), &same), "", "the order of roles has no meaning");
    }

    #[test]
    fn policy_is_created_again_if_its_command_changes_or_a_condition_is_removed() {
        let start = "drop policy \"Ada's \"\"own\"\"\" on \"a\"\"b\";\n\
                     create policy \"Ada's \"\"own\"\"\" on \"a\"\"b\"\n  as restrictive\n";
        let selects = PolicyFields { command: PolicyCommand::Select, ..fields() };
        let expected = format!("{start}  for select\n  using ((a = 1));\n");
        assert_eq!(write_sql(TABLE, Some(&policy()), &selects), expected);
        let without_check = PolicyFields { check: " ".to_owned(), ..fields() };
        let expected = format!("{start}  for update\n  using ((a = 1));\n");
        assert_eq!(write_sql(TABLE, Some(&policy()), &without_check), expected);
        assert!(is_replaced(&policy(), &without_check) && !is_replaced(&policy(), &fields()));
    }

    #[test]
    fn spaces_around_a_name_are_kept_only_if_the_policy_has_them() {
        let old = TablePolicy { name: " own ".to_owned(), ..policy() };
        let same = PolicyFields::of(Some(&old));
        assert_eq!(write_sql(TABLE, Some(&old), &same), "");
        let selects = PolicyFields { command: PolicyCommand::Select, ..same.clone() };
        assert!(write_sql(TABLE, Some(&old), &selects).contains("create policy \" own \" on"));
        let renamed = PolicyFields { name: "own ".to_owned(), ..same };
        assert!(write_sql(TABLE, Some(&old), &renamed).ends_with("rename to \"own\";\n"));
        let padded = PolicyFields { name: format!("{} ", policy().name), ..fields() };
        assert_eq!(write_sql(TABLE, Some(&policy()), &padded), "");
    }

    #[test]
    fn form_is_complete_with_a_name_a_role_and_a_condition_of_the_command() {
        assert!(fields().is_complete(None) && !PolicyFields::of(None).is_complete(None));
        assert!(!PolicyFields { name: " ".to_owned(), ..fields() }.is_complete(None));
        assert!(!PolicyFields { name: "x".repeat(64), ..fields() }.is_complete(None));
        assert!(!PolicyFields { roles: Vec::new(), ..fields() }.is_complete(None));
        let inserts = PolicyFields { command: PolicyCommand::Insert, check: String::new(), ..fields() };
        assert!(!inserts.is_complete(None), "USING is no condition of INSERT");
    }

    #[test]
    fn condition_is_required_unless_the_policy_never_had_one() {
        let without = PolicyFields { using: String::new(), check: String::new(), ..fields() };
        assert!(!without.is_complete(None) && !without.is_complete(Some(&policy())));
        let bare = TablePolicy { using: None, check: None, ..policy() };
        assert!(without.is_complete(Some(&bare)));
    }

    #[test]
    fn everyone_excludes_other_roles() {
        assert_eq!(with_role(&texts(&["public"]), "u", true), ["u"]);
        assert_eq!(with_role(&texts(&["u"]), "v", true), ["u", "v"]);
        assert_eq!(with_role(&texts(&["u", "v"]), "public", true), ["public"]);
        assert_eq!(with_role(&texts(&["u", "v"]), "u", false), ["v"]);
        assert!(with_role(&texts(&["public"]), "public", false).is_empty());
    }
}
