//! The dialog "Delete policy", which says what callers lose.

use api_types::{ApiCaller, CallerAccess, PolicyCommand, RowAccess, TableAccess, TableDetail, TablePolicy};
use dioxus::prelude::*;

use super::{
    super::table_page::Shared,
    callers::name_of,
    policy_sql::drop_policy,
    run_sql::{SqlBlock, send},
};
use crate::{
    remote,
    ui::{Confirm, messages},
};

#[component]
pub(super) fn DeletePolicy(
    project: String,
    detail: Shared,
    policy: TablePolicy,
    on_close: EventHandler<()>,
) -> Element {
    let mut busy = use_signal(|| false);
    let mut failure = use_signal(|| None::<String>);
    let sql = drop_policy(&detail.name, &policy.name);
    let statement = sql.clone();
    rsx! {
        Confirm {
            act: "Delete policy",
            description: "Deletes the policy {policy.name}. {consequence(&policy, &detail)}",
            busy: busy(),
            failure: failure(),
            on_confirm: move |()| {
                let (project, sql) = (project.clone(), statement.clone());
                spawn(async move {
                    busy.set(true);
                    failure.set(None);
                    match send(&project, &sql).await {
                        Ok(()) => {
                            messages::show("Policy deleted");
                            on_close.call(());
                        }
                        Err(message) => failure.set(Some(message)),
                    }
                    busy.set(false);
                    // Even a request without a response may have changed the table.
                    remote::forget(&format!("/projects/{project}"));
                });
            },
            on_close: move |()| on_close.call(()),
            SqlBlock { sql }
        }
    }
}

/// Returns what changes for callers without a policy.
fn consequence(policy: &TablePolicy, detail: &TableDetail) -> String {
    if !detail.row_level_security {
        return "Row-level security is off, so nothing changes until you switch it on.".to_owned();
    }
    if !policy.permissive {
        return "Callers then also reach the rows that this policy excludes, if other policies allow them.".to_owned();
    }
    let losses: Vec<String> = detail.access.iter().filter_map(|access| loss(access, policy, detail)).collect();
    let is_open = detail.exposure.publishable != TableAccess::None || detail.exposure.signed_in != TableAccess::None;
    match (losses.is_empty(), is_open) {
        (false, _) => losses.join(" "),
        (true, true) => "Callers then reach only rows that other policies allow.".to_owned(),
        (true, false) => {
            "Browsers and signed-in users have no access to the table, so nothing changes for them now.".to_owned()
        }
    }
}

/// Returns a sentence about the operations that only this policy allows a caller. `None` if there are none.
fn loss(access: &CallerAccess, policy: &TablePolicy, detail: &TableDetail) -> Option<String> {
    // Policies don't apply to the secret key.
    if access.caller == ApiCaller::SecretKey {
        return None;
    }
    let allows = |policy: &TablePolicy, command: PolicyCommand| {
        policy.permissive
            && policy.callers.contains(&access.caller)
            && (policy.command == PolicyCommand::All || policy.command == command)
    };
    let is_only_one = |command: PolicyCommand| {
        let mut others = detail.policies.iter().filter(|other| other.name != policy.name);
        allows(policy, command) && !others.any(|other| allows(other, command))
    };
    let operations = [
        ("read", access.select, PolicyCommand::Select),
        ("insert", access.insert, PolicyCommand::Insert),
        ("change", access.update, PolicyCommand::Update),
        ("delete", access.delete, PolicyCommand::Delete),
    ];
    let lost = operations.into_iter().filter(|(_, rows, command)| *rows != RowAccess::None && is_only_one(*command));
    let lost: Vec<&str> = lost.map(|(word, ..)| word).collect();
    let (last, others) = lost.split_last()?;
    let lost = if others.is_empty() { (*last).to_owned() } else { format!("{} or {last}", others.join(", ")) };
    Some(format!("Without another policy, {} can no longer {lost} rows of this table.", in_sentence(access.caller)))
}

/// Returns the name of a caller within a sentence.
fn in_sentence(caller: ApiCaller) -> String {
    let name = name_of(caller);
    let (first, rest) = name.split_at(1);
    format!("{}{rest}", first.to_lowercase())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(name: &str, command: &str, callers: &[&str]) -> serde_json::Value {
        json!({ "name": name, "command": command, "permissive": true, "roles": ["public"], "callers": callers,
                "using": "true", "check": null })
    }

    fn access(caller: &str, rows: &str) -> serde_json::Value {
        json!({ "caller": caller, "select": rows, "insert": rows, "update": rows, "delete": rows, "policies": [] })
    }

    fn detail(policies: &[serde_json::Value], exposure: &str, rows: &str) -> TableDetail {
        let detail = json!({
            "name": "notes", "kind": "table", "comment": null,
            "exposure": { "publishable": exposure, "signedIn": exposure },
            "access": [access("secretKey", rows), access("publishable", rows), access("signedIn", rows)],
            "rowLevelSecurity": true, "forceRowLevelSecurity": false, "securityInvoker": null,
            "supports": { "insert": true, "update": true, "delete": true }, "estimatedRows": null, "totalBytes": 0,
            "indexBytes": 0, "columns": [], "primaryKey": [], "uniqueKeys": [], "constraints": [], "foreignKeys": [],
            "referencedBy": [], "indexes": [], "triggers": [], "policies": policies, "definition": "",
        });
        serde_json::from_value(detail).expect("a table")
    }

    #[test]
    fn deletion_says_who_loses_which_operations() {
        let everyone = ["secretKey", "publishable", "signedIn"];
        let own = policy("own", "all", &["signedIn"]);
        let reads = policy("reads", "select", &everyone);
        let without = |policies: &[serde_json::Value], exposure, rows| {
            let detail = detail(policies, exposure, rows);
            detail.policies.first().map(|policy| consequence(policy, &detail)).unwrap_or_default()
        };
        assert_eq!(
            without(std::slice::from_ref(&own), "write", "policies"),
            "Without another policy, signed-in users can no longer read, insert, change or delete rows of this table."
        );
        assert_eq!(
            without(&[reads.clone(), own.clone()], "read", "policies"),
            "Without another policy, browsers with the publishable key can no longer read rows of this table."
        );
        let other = "Callers then reach only rows that other policies allow.";
        assert_eq!(without(&[reads.clone(), policy("all", "all", &everyone)], "write", "all"), other);
        let closed = "Browsers and signed-in users have no access to the table, so nothing changes for them now.";
        assert_eq!(without(std::slice::from_ref(&reads), "none", "none"), closed);
        let restrictive = json!({ "name": "own only", "command": "all", "permissive": false, "roles": ["public"],
                                  "callers": everyone, "using": "(a = 1)", "check": null });
        let more = "Callers then also reach the rows that this policy excludes, if other policies allow them.";
        assert_eq!(without(&[restrictive, own], "write", "policies"), more);
    }
}
