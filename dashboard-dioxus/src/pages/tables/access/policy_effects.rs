//! What policies mean for callers: who loses access when a policy is deleted or changed, and what a policy opens to
//! everyone.

use api_types::{ApiCaller, CallerAccess, PolicyCommand, RowAccess, TableAccess, TableDetail, TablePolicy};

use super::{callers::name_of, policy_sql::PolicyFields};

/// Returns what changes for callers when a policy is deleted.
pub(super) fn consequence(policy: &TablePolicy, detail: &TableDetail) -> String {
    if !detail.row_level_security {
        return "Row-level security is off, so nothing changes until you switch it on.".to_owned();
    }
    let reaches = |access: &CallerAccess, command: PolicyCommand| {
        access.policies.contains(&policy.name) && covers(policy.command, command) && reaches_rows(access, command)
    };
    let is_affected = |access: &CallerAccess| operations(access).iter().any(|(.., command)| reaches(access, *command));
    if !detail.access.iter().any(is_affected) {
        let is_closed = [detail.exposure.publishable, detail.exposure.signed_in] == [TableAccess::None; 2];
        return match is_closed {
            true => "Browsers and signed-in users have no access to the table, so nothing changes for them now.",
            false => "The policy gives browsers and signed-in users no access now, so nothing changes for them.",
        }
        .to_owned();
    }
    if !policy.permissive {
        return "Callers then also reach the rows that this policy excludes, if other policies allow them.".to_owned();
    }
    let mut sentences = losses(policy, None, detail);
    if sentences.is_empty() {
        return "Callers then reach only rows that other policies allow.".to_owned();
    }
    let is_narrowed = |access: &&CallerAccess| {
        let is_kept = |command| reaches(access, command) && others_allow(access, command, policy, detail);
        operations(access).iter().any(|(.., command)| is_kept(*command))
    };
    let narrowed = detail.access.iter().filter(is_narrowed);
    sentences.extend(
        narrowed.map(|access| format!("{} then reach only rows that other policies allow.", name_of(access.caller))),
    );
    sentences.join(" ")
}

/// Returns sentences about the operations that callers lose when a policy is deleted, or becomes `after`.
pub(super) fn losses(policy: &TablePolicy, after: Option<&TablePolicy>, detail: &TableDetail) -> Vec<String> {
    detail.access.iter().filter_map(|access| loss(access, policy, after, detail)).collect()
}

fn loss(
    access: &CallerAccess,
    policy: &TablePolicy,
    after: Option<&TablePolicy>,
    detail: &TableDetail,
) -> Option<String> {
    // No policy applies to a caller whose role bypasses row-level security.
    if !access.policies.contains(&policy.name) {
        return None;
    }
    let is_lost = |command: PolicyCommand| {
        allows(policy, access.caller, command)
            && !others_allow(access, command, policy, detail)
            && !after.is_some_and(|after| allows(after, access.caller, command))
    };
    let reached = operations(access).into_iter().filter(|(_, rows, _)| *rows != RowAccess::None);
    let (lost, kept): (Vec<_>, Vec<_>) = reached.partition(|(.., command)| is_lost(*command));
    if lost.is_empty() {
        return None;
    }
    let words: Vec<&str> = lost.iter().map(|(word, ..)| *word).collect();
    let mut text = format!(
        "Without another policy, {} can no longer {} rows of this table.",
        in_sentence(access.caller),
        either(&words)
    );
    // The filters of updates and deletions only find rows that the caller can read.
    let needs_reading = |command: &PolicyCommand| matches!(command, PolicyCommand::Update | PolicyCommand::Delete);
    let kept: Vec<&str> = kept.iter().filter(|(.., command)| needs_reading(command)).map(|(word, ..)| *word).collect();
    if lost.iter().any(|(.., command)| *command == PolicyCommand::Select) && !kept.is_empty() {
        text.push_str(&format!(" They then also find no row to {}.", either(&kept)));
    }
    Some(text)
}

/// Returns a sentence about what everyone with the publishable key can write with the policy of a form. `callers` are
/// those that the policy applies to. `None` if the policy does not open the table for writing.
pub(super) fn open_writes(fields: &PolicyFields, callers: &[ApiCaller], detail: &TableDetail) -> Option<String> {
    let is_exposed = detail.exposure.publishable == TableAccess::Write && callers.contains(&ApiCaller::Publishable);
    if !detail.row_level_security || !is_exposed {
        return None;
    }
    let is_limited = |command: PolicyCommand| {
        let limits = |other: &TablePolicy| !other.permissive && other.callers.contains(&ApiCaller::Publishable);
        detail.policies.iter().any(|other| limits(other) && covers(other.command, command))
    };
    let accepts_existing = fields.using().is_some_and(is_always_true);
    let accepts_new = fields.check().or(fields.using()).is_some_and(is_always_true);
    let writes = [
        ("insert", PolicyCommand::Insert, accepts_new),
        ("change", PolicyCommand::Update, accepts_existing && accepts_new),
        ("delete", PolicyCommand::Delete, accepts_existing),
    ];
    let is_open = |(_, command, accepts_all): &(&str, PolicyCommand, bool)| {
        *accepts_all && covers(fields.command, *command) && !is_limited(*command)
    };
    let words: Vec<&str> = writes.iter().filter(|write| is_open(write)).map(|(word, ..)| *word).collect();
    (!words.is_empty()).then(|| {
        format!(
            "The condition is `true`: anyone with the publishable key can then {} any row of this table.",
            either(&words)
        )
    })
}

/// Returns the operations of a caller with their names, and the rows that they reach.
fn operations(access: &CallerAccess) -> [(&'static str, RowAccess, PolicyCommand); 4] {
    [
        ("read", access.select, PolicyCommand::Select),
        ("insert", access.insert, PolicyCommand::Insert),
        ("change", access.update, PolicyCommand::Update),
        ("delete", access.delete, PolicyCommand::Delete),
    ]
}

/// Returns whether an operation of a caller reaches rows. Without a grant, it reaches none.
fn reaches_rows(access: &CallerAccess, command: PolicyCommand) -> bool {
    operations(access).iter().any(|(_, rows, operation)| *operation == command && *rows != RowAccess::None)
}

/// Returns whether a policy for `command` applies to an operation.
fn covers(command: PolicyCommand, operation: PolicyCommand) -> bool {
    command == PolicyCommand::All || command == operation
}

fn allows(policy: &TablePolicy, caller: ApiCaller, command: PolicyCommand) -> bool {
    policy.permissive && policy.callers.contains(&caller) && covers(policy.command, command)
}

/// Returns whether a policy other than `policy` allows a caller an operation.
fn others_allow(access: &CallerAccess, command: PolicyCommand, policy: &TablePolicy, detail: &TableDetail) -> bool {
    detail.policies.iter().any(|other| other.name != policy.name && allows(other, access.caller, command))
}

/// Returns whether a condition is `true`, with or without parentheses.
fn is_always_true(condition: &str) -> bool {
    let mut text = condition.trim();
    while let Some(inner) = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) {
        text = inner.trim();
    }
    text.eq_ignore_ascii_case("true")
}

/// Returns words as alternatives: `read, change or delete`.
fn either(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [word] => (*word).to_owned(),
        [others @ .., last] => format!("{} or {last}", others.join(", ")),
    }
}

/// Returns the name of a caller within a sentence.
fn in_sentence(caller: ApiCaller) -> String {
    let name = name_of(caller);
    let (first, rest) = name.split_at(1);
    format!("{}{rest}", first.to_lowercase())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const EVERYONE: [&str; 3] = ["secretKey", "publishable", "signedIn"];
    const ALL: [&str; 4] = ["select", "insert", "update", "delete"];
    const OTHERS: &str = "Callers then reach only rows that other policies allow.";
    const UNAFFECTED: &str =
        "The policy gives browsers and signed-in users no access now, so nothing changes for them.";

    fn policy(name: &str, command: &str, callers: &[&str]) -> Value {
        policy_of_kind(true, name, command, callers)
    }

    fn restrictive(name: &str, command: &str, callers: &[&str]) -> Value {
        policy_of_kind(false, name, command, callers)
    }

    fn policy_of_kind(permissive: bool, name: &str, command: &str, callers: &[&str]) -> Value {
        json!({ "name": name, "command": command, "permissive": permissive, "roles": ["public"], "callers": callers,
                "using": "true", "check": null })
    }

    /// Returns the access of a caller. With `operations`, the caller reaches the rows that policies allow, and with
    /// others none.
    fn access(caller: &str, operations: &[&str], policies: &[&Value]) -> Value {
        let rows = |operation: &str| if operations.contains(&operation) { "policies" } else { "none" };
        let names: Vec<&Value> = policies.iter().map(|policy| &policy["name"]).collect();
        json!({ "caller": caller, "select": rows("select"), "insert": rows("insert"), "update": rows("update"),
                "delete": rows("delete"), "policies": names })
    }

    fn detail(policies: &[Value], exposure: &str, access: &[Value]) -> TableDetail {
        let detail = json!({
            "name": "notes", "kind": "table", "comment": null,
            "exposure": { "publishable": exposure, "signedIn": exposure }, "access": access,
            "rowLevelSecurity": true, "forceRowLevelSecurity": false, "securityInvoker": null,
            "supports": { "insert": true, "update": true, "delete": true }, "estimatedRows": null, "totalBytes": 0,
            "indexBytes": 0, "columns": [], "primaryKey": [], "uniqueKeys": [], "constraints": [], "foreignKeys": [],
            "referencedBy": [], "indexes": [], "triggers": [], "policies": policies, "definition": "",
        });
        serde_json::from_value(detail).expect("a table")
    }

    fn policies_of<'p>(caller: &str, policies: &'p [Value]) -> Vec<&'p Value> {
        let applies = |policy: &&Value| {
            policy["callers"].as_array().is_some_and(|callers| callers.iter().any(|other| other == caller))
        };
        policies.iter().filter(applies).collect()
    }

    /// Returns what changes without the first policy. `browsers` and `users` are the operations with which browsers and
    /// signed-in users reach rows.
    fn without(policies: &[Value], exposure: &str, browsers: &[&str], users: &[&str]) -> String {
        let access = [
            access("secretKey", &ALL, &[]),
            access("publishable", browsers, &policies_of("publishable", policies)),
            access("signedIn", users, &policies_of("signedIn", policies)),
        ];
        let detail = detail(policies, exposure, &access);
        detail.policies.first().map(|policy| consequence(policy, &detail)).unwrap_or_default()
    }

    #[test]
    fn deletion_says_who_loses_which_operations() {
        let own = policy("own", "all", &["signedIn"]);
        let reads = policy("reads", "select", &EVERYONE);
        assert_eq!(
            without(std::slice::from_ref(&own), "write", &[], &ALL),
            "Without another policy, signed-in users can no longer read, insert, change or delete rows of this table."
        );
        assert_eq!(without(&[reads.clone(), policy("all", "all", &EVERYONE)], "write", &ALL, &ALL), OTHERS);
        let closed = "Browsers and signed-in users have no access to the table, so nothing changes for them now.";
        assert_eq!(without(std::slice::from_ref(&reads), "none", &[], &[]), closed);
        let more = "Callers then also reach the rows that this policy excludes, if other policies allow them.";
        let narrows = restrictive("own only", "all", &EVERYONE);
        assert_eq!(without(&[narrows.clone(), own], "write", &[], &ALL), more);
        assert_eq!(without(&[narrows], "write", &[], &[]), UNAFFECTED, "no policy allows anything");
    }

    #[test]
    fn deletion_changes_nothing_for_callers_without_a_grant_for_the_command() {
        let writes = policy("writes", "insert", &EVERYONE);
        let reads = policy("reads", "select", &EVERYONE);
        assert_eq!(without(&[writes, reads.clone()], "read", &["select"], &["select"]), UNAFFECTED);
        let users = policy("users", "select", &["signedIn"]);
        assert_eq!(without(&[users, reads], "read", &["select"], &[]), UNAFFECTED);
    }

    #[test]
    fn deletion_changes_nothing_for_callers_that_bypass_policies() {
        let reads = policy("reads", "select", &EVERYONE);
        let access = [access("publishable", &ALL, &[]), access("signedIn", &ALL, &[&reads])];
        let detail = detail(std::slice::from_ref(&reads), "write", &access);
        let lost = detail.policies.first().map(|policy| losses(policy, None, &detail));
        let users = "Without another policy, signed-in users can no longer read rows of this table. They then also \
                     find no row to change or delete.";
        assert_eq!(lost, Some(vec![users.to_owned()]));
    }

    #[test]
    fn deletion_of_the_only_policy_for_reading_says_that_writes_find_no_row() {
        let policies = [policy("reads", "select", &["signedIn"]), policy("deletes", "delete", &["signedIn"])];
        assert_eq!(
            without(&policies, "write", &[], &["select", "delete"]),
            "Without another policy, signed-in users can no longer read rows of this table. They then also find no \
             row to delete."
        );
    }

    #[test]
    fn deletion_names_callers_that_lose_access_and_those_that_reach_fewer_rows() {
        let policies = [policy("reads", "select", &EVERYONE), policy("own", "select", &["signedIn"])];
        assert_eq!(
            without(&policies, "read", &["select"], &["select"]),
            "Without another policy, browsers with the publishable key can no longer read rows of this table. \
             Signed-in users then reach only rows that other policies allow."
        );
    }

    #[test]
    fn changed_policy_takes_access_from_callers_that_it_no_longer_names() {
        let all = policy("all", "all", &EVERYONE);
        let access = [access("publishable", &ALL, &[&all]), access("signedIn", &ALL, &[&all])];
        let detail = detail(std::slice::from_ref(&all), "write", &access);
        let before = detail.policies.first().expect("the policy");
        assert!(losses(before, Some(before), &detail).is_empty());
        let after = TablePolicy { callers: vec![ApiCaller::SignedIn], ..before.clone() };
        let lost = losses(before, Some(&after), &detail);
        assert!(matches!(lost.as_slice(), [lost] if lost.contains("browsers with the publishable key")), "{lost:?}");
        let after = TablePolicy { command: PolicyCommand::Select, ..before.clone() };
        let lost = losses(before, Some(&after), &detail);
        assert!(lost.len() == 2 && lost.iter().all(|lost| lost.contains("insert, change or delete")), "{lost:?}");
    }

    #[test]
    fn policy_that_is_always_true_opens_an_exposed_table_for_writing() {
        let fields = |command, using: &str, check: &str| PolicyFields {
            name: "open".to_owned(),
            command,
            roles: vec!["public".to_owned()],
            using: using.to_owned(),
            check: check.to_owned(),
        };
        let exposed = detail(&[], "write", &[]);
        let callers = [ApiCaller::Publishable, ApiCaller::SignedIn];
        let opens = |fields: &PolicyFields| open_writes(fields, &callers, &exposed);
        let all = "The condition is `true`: anyone with the publishable key can then insert, change or delete any row \
                   of this table.";
        assert_eq!(opens(&fields(PolicyCommand::All, "( True )", "")).as_deref(), Some(all));
        assert!(
            opens(&fields(PolicyCommand::All, "a = 1", "true")).is_some_and(|text| text.contains("then insert any"))
        );
        assert!(opens(&fields(PolicyCommand::Insert, "", "true")).is_some());
        for closed in [
            fields(PolicyCommand::Select, "true", ""),
            fields(PolicyCommand::Update, "true", "a = 1"),
            fields(PolicyCommand::Delete, "(a) or (b)", ""),
        ] {
            assert_eq!(opens(&closed), None, "{closed:?}");
        }
        let open = fields(PolicyCommand::Delete, "true", "");
        assert_eq!(open_writes(&open, &[ApiCaller::SignedIn], &exposed), None);
        assert_eq!(open_writes(&open, &callers, &detail(&[], "read", &[])), None);
        let limited = detail(&[restrictive("own only", "delete", &EVERYONE)], "write", &[]);
        assert_eq!(open_writes(&open, &callers, &limited), None);
        let off = TableDetail { row_level_security: false, ..exposed.clone() };
        assert_eq!(open_writes(&open, &callers, &off), None);
    }
}
