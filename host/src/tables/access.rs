//! Computes the rows that each caller can reach, from grants and row-level security.

use api_types::{
    AccessFinding, AccessFindingKind, ApiCaller, CallerAccess, PolicyCommand, RowAccess, TableKind, TablePolicy,
};
use postgres_protocol::escape::escape_identifier;
use serde::Deserialize;

use crate::{
    db::{DbRole, ProjectPools, Statement},
    error::{ApiError, ApiResult},
};

/// The facts that decide who can reach the rows of a table.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AccessFacts {
    pub(super) name: String,
    pub(super) kind: TableKind,
    pub(super) row_level_security: bool,
    /// Whether a view has `security_invoker`. False for tables.
    pub(super) security_invoker: bool,
    pub(super) policies: Vec<TablePolicy>,
    privileges: Vec<Privileges>,
}

/// The operations that a caller has a privilege for, on at least one column.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Privileges {
    caller: ApiCaller,
    bypasses_policies: bool,
    select: bool,
    insert: bool,
    update: bool,
    delete: bool,
}

/// Returns the facts of one table, or of all tables that publishable keys or signed-in users have a privilege on.
pub(super) async fn facts(pools: &ProjectPools, project: &str, table: Option<&str>) -> ApiResult<Vec<AccessFacts>> {
    let mut statement = Statement::new(include_str!("access_facts.sql"));
    statement.push(table);
    for role in [DbRole::Anon, DbRole::User, DbRole::App] {
        statement.push(Some(role.name(project)));
    }
    let rows = pools.fetch(project, DbRole::Owner, &statement).await?;
    let json: &str = match rows.first() {
        Some(row) => row.try_get(0).map_err(ApiError::internal)?,
        None => "[]",
    };
    serde_json::from_str(json).map_err(ApiError::internal)
}

impl AccessFacts {
    /// Returns the rows that each caller can reach. The API serves a view without `security_invoker` only to the secret
    /// key.
    pub(super) fn callers(&self) -> Vec<CallerAccess> {
        let is_served = |privileges: &Privileges| {
            self.kind != TableKind::View || self.security_invoker || privileges.bypasses_policies
        };
        let served = |privileges: &Privileges| match is_served(privileges) {
            true => self.granted(privileges),
            false => {
                self.granted(&Privileges { select: false, insert: false, update: false, delete: false, ..*privileges })
            }
        };
        self.privileges.iter().map(served).collect()
    }

    /// Returns the rows that the grants and policies let a caller reach.
    fn granted(&self, privileges: &Privileges) -> CallerAccess {
        let Privileges { caller, bypasses_policies, select, insert, update, delete } = *privileges;
        let rows = |is_granted: bool, command| match (is_granted, self.kind) {
            (false, _) => RowAccess::None,
            (true, TableKind::View) if self.security_invoker => RowAccess::Underlying,
            (true, TableKind::View | TableKind::MaterializedView) => RowAccess::All,
            (true, _) if bypasses_policies || !self.row_level_security => RowAccess::All,
            (true, _) => self.rows_of_policies(caller, command),
        };
        let is_limited = self.row_level_security && !bypasses_policies;
        CallerAccess {
            caller,
            select: rows(select, PolicyCommand::Select),
            insert: rows(insert, PolicyCommand::Insert),
            update: rows(update, PolicyCommand::Update),
            delete: rows(delete, PolicyCommand::Delete),
            policies: self
                .policies
                .iter()
                .filter(|policy| is_limited && policy.callers.contains(&caller))
                .map(|policy| policy.name.clone())
                .collect(),
        }
    }

    /// Returns the rows that the table's policies allow. A permissive policy with the condition `true` allows all,
    /// unless a restrictive one applies.
    fn rows_of_policies(&self, caller: ApiCaller, command: PolicyCommand) -> RowAccess {
        let applies = |policy: &&TablePolicy| {
            policy.callers.contains(&caller) && (policy.command == PolicyCommand::All || policy.command == command)
        };
        let policies: Vec<&TablePolicy> = self.policies.iter().filter(applies).collect();
        if !policies.iter().any(|policy| policy.permissive) {
            return RowAccess::None;
        }
        match policies.iter().all(|policy| policy.permissive) && policies.iter().any(|policy| is_open(policy, command))
        {
            true => RowAccess::All,
            false => RowAccess::Policies,
        }
    }

    /// Returns the findings about the access to this table of a project.
    fn findings(&self, project: &str) -> Vec<AccessFinding> {
        let callers: Vec<_> = self.privileges.iter().map(|privileges| self.granted(privileges)).collect();
        let publishable_reads =
            callers.iter().any(|access| access.caller == ApiCaller::Publishable && access.select == RowAccess::All);
        let mut findings = Vec::new();
        for access in callers.iter().filter(|access| access.caller != ApiCaller::SecretKey) {
            let has_all = |rows: RowAccess| rows == RowAccess::All;
            let writes: Vec<&str> = [("insert", access.insert), ("update", access.update), ("delete", access.delete)]
                .into_iter()
                .filter(|(_, rows)| has_all(*rows))
                .map(|(operation, _)| operation)
                .collect();
            let reads = has_all(access.select);
            match self.kind {
                TableKind::View if !self.security_invoker && (reads || !writes.is_empty()) => {
                    let mut operations = if reads { vec!["select"] } else { Vec::new() };
                    operations.extend(writes);
                    let kind = AccessFindingKind::SecurityDefinerView;
                    findings.push(self.finding(project, kind, access.caller, &operations));
                }
                TableKind::View | TableKind::MaterializedView => {}
                TableKind::Table | TableKind::ForeignTable if !writes.is_empty() => {
                    let kind = match self.row_level_security {
                        true => AccessFindingKind::WriteThroughOpenPolicy,
                        false => AccessFindingKind::WriteWithoutRowSecurity,
                    };
                    findings.push(self.finding(project, kind, access.caller, &writes));
                }
                TableKind::Table | TableKind::ForeignTable => {
                    let is_open = reads && !self.row_level_security && !publishable_reads;
                    if is_open && access.caller == ApiCaller::SignedIn {
                        let kind = AccessFindingKind::ReadWithoutRowSecurity;
                        findings.push(self.finding(project, kind, access.caller, &["select"]));
                    }
                }
            }
        }
        findings
    }

    fn finding(&self, project: &str, kind: AccessFindingKind, caller: ApiCaller, operations: &[&str]) -> AccessFinding {
        let name = &self.name;
        let who = match caller {
            ApiCaller::SignedIn => "Every signed-in user",
            ApiCaller::Publishable | ApiCaller::SecretKey => "Anyone with the publishable key",
        };
        // The API does not serve such a view, so the privilege alone has no effect yet.
        let can = if kind == AccessFindingKind::SecurityDefinerView { "has the privilege to" } else { "can" };
        let verbs: Vec<&str> = operations.iter().map(|operation| verb(operation)).collect();
        let verbs = joined(&verbs);
        let table = format!("public.{}", escape_identifier(name));
        let (reason, remedy) = match kind {
            AccessFindingKind::WriteWithoutRowSecurity | AccessFindingKind::ReadWithoutRowSecurity
                if self.kind == TableKind::ForeignTable =>
            {
                let role = escape_identifier(&role_of(caller).name(project));
                let privileges = operations.join(", ").to_uppercase();
                (
                    "a foreign table has no row-level security".to_owned(),
                    format!("REVOKE {privileges} ON TABLE {table} FROM {role}"),
                )
            }
            AccessFindingKind::WriteWithoutRowSecurity | AccessFindingKind::ReadWithoutRowSecurity => {
                ("row-level security is off".to_owned(), format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"))
            }
            AccessFindingKind::WriteThroughOpenPolicy => {
                let policy = self
                    .policies
                    .iter()
                    .find(|policy| policy.permissive && policy.callers.contains(&caller) && has_open_condition(policy))
                    .map(|policy| policy.name.as_str())
                    .unwrap_or_default();
                (
                    format!("the policy `{policy}` has the condition `true`"),
                    format!("DROP POLICY {} ON {table}", escape_identifier(policy)),
                )
            }
            AccessFindingKind::SecurityDefinerView => (
                "the view runs with its owner's privileges, so that policies of its tables don't apply. The API does \
                 not serve it"
                    .to_owned(),
                format!("ALTER VIEW {table} SET (security_invoker = true)"),
            ),
        };
        AccessFinding {
            kind,
            table: name.clone(),
            caller,
            operations: operations.iter().map(|operation| (*operation).to_owned()).collect(),
            message: format!("{who} {can} {verbs} every row of `{name}`: {reason}."),
            remedy,
        }
    }
}

/// Returns the findings about the access to the tables of a project, the most serious first.
pub(super) async fn findings(pools: &ProjectPools, project: &str) -> ApiResult<Vec<AccessFinding>> {
    let facts = facts(pools, project, None).await?;
    let mut findings: Vec<AccessFinding> = facts.iter().flat_map(|facts| facts.findings(project)).collect();
    findings.sort_by(|left, right| (left.kind, &left.table).cmp(&(right.kind, &right.table)));
    Ok(findings)
}

/// Returns the role as which a caller's requests run.
fn role_of(caller: ApiCaller) -> DbRole {
    match caller {
        ApiCaller::Publishable => DbRole::Anon,
        ApiCaller::SignedIn => DbRole::User,
        ApiCaller::SecretKey => DbRole::App,
    }
}

/// Returns whether a policy accepts every row for an operation.
fn is_open(policy: &TablePolicy, command: PolicyCommand) -> bool {
    let is_true = |condition: &Option<String>| condition.as_deref().is_some_and(|text| text.trim() == "true");
    let new_rows = if policy.check.is_some() { &policy.check } else { &policy.using };
    match command {
        PolicyCommand::Insert => is_true(new_rows),
        PolicyCommand::Update => is_true(&policy.using) && is_true(new_rows),
        PolicyCommand::Select | PolicyCommand::Delete | PolicyCommand::All => is_true(&policy.using),
    }
}

/// Returns whether a policy accepts every row for at least one operation that writes.
fn has_open_condition(policy: &TablePolicy) -> bool {
    [PolicyCommand::Insert, PolicyCommand::Update, PolicyCommand::Delete]
        .into_iter()
        .any(|command| (policy.command == PolicyCommand::All || policy.command == command) && is_open(policy, command))
}

fn verb(operation: &str) -> &'static str {
    match operation {
        "select" => "read",
        "insert" => "insert",
        "update" => "change",
        _ => "delete",
    }
}

/// Joins words with commas and "and": `insert, change and delete`.
fn joined(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [word] => (*word).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(json: serde_json::Value) -> AccessFacts {
        serde_json::from_value(json).unwrap()
    }

    fn table(row_level_security: bool, policies: &serde_json::Value) -> AccessFacts {
        let all = |caller: &str, bypasses: bool| {
            serde_json::json!({"caller": caller, "bypassesPolicies": bypasses,
                "select": true, "insert": true, "update": true, "delete": true})
        };
        facts(serde_json::json!({
            "name": "notes", "kind": "table", "rowLevelSecurity": row_level_security, "securityInvoker": false,
            "policies": policies,
            "privileges": [all("secretKey", true), all("publishable", false), all("signedIn", false)],
        }))
    }

    fn policy(command: &str, callers: &[&str], using: Option<&str>, check: Option<&str>) -> serde_json::Value {
        serde_json::json!({"name": format!("{command} policy"), "command": command, "permissive": true,
            "roles": ["public"], "callers": callers, "using": using, "check": check})
    }

    #[test]
    fn access_follows_grants_and_policies() {
        let rows = |facts: &AccessFacts, caller: usize| {
            let access = &facts.callers()[caller];
            [access.select, access.insert, access.update, access.delete]
        };
        use RowAccess::{All, None, Policies};
        let open = table(false, &serde_json::json!([]));
        assert_eq!(rows(&open, 1), [All; 4]);
        let closed = table(true, &serde_json::json!([]));
        assert_eq!(rows(&closed, 0), [All; 4]);
        assert_eq!(rows(&closed, 1), [None; 4]);
        let limited = table(
            true,
            &serde_json::json!([
                policy("select", &["publishable", "signedIn"], Some("true"), Option::None),
                policy("all", &["signedIn"], Some("(owner = auth.uid())"), Option::None),
            ]),
        );
        assert_eq!(rows(&limited, 1), [All, None, None, None]);
        assert_eq!(rows(&limited, 2), [All, Policies, Policies, Policies]);
        assert_eq!(limited.callers()[2].policies, ["select policy", "all policy"]);
    }

    #[test]
    fn view_without_security_invoker_is_served_to_the_secret_key_only_and_is_a_finding() {
        let view = AccessFacts { kind: TableKind::View, ..table(false, &serde_json::json!([])) };
        let reads: Vec<RowAccess> = view.callers().iter().map(|access| access.select).collect();
        assert_eq!(reads, [RowAccess::All, RowAccess::None, RowAccess::None]);
        let kinds: Vec<_> = view.findings("p").into_iter().map(|finding| finding.kind).collect();
        assert_eq!(kinds, [AccessFindingKind::SecurityDefinerView; 2]);
        let invoker = AccessFacts { security_invoker: true, ..view };
        assert_eq!(invoker.callers()[1].select, RowAccess::Underlying);
    }

    #[test]
    fn findings_name_only_operations_that_a_caller_can_perform() {
        let kinds = |facts: &AccessFacts| -> Vec<(AccessFindingKind, ApiCaller)> {
            facts.findings("p").into_iter().map(|finding| (finding.kind, finding.caller)).collect()
        };
        use AccessFindingKind::{WriteThroughOpenPolicy, WriteWithoutRowSecurity};
        let open = table(false, &serde_json::json!([]));
        assert_eq!(
            kinds(&open),
            [(WriteWithoutRowSecurity, ApiCaller::Publishable), (WriteWithoutRowSecurity, ApiCaller::SignedIn)]
        );
        assert_eq!(
            open.findings("p")[0].message,
            "Anyone with the publishable key can insert, change and delete every row of `notes`: \
             row-level security is off."
        );
        assert_eq!(kinds(&table(true, &serde_json::json!([]))), []);
        let inserts = table(true, &serde_json::json!([policy("insert", &["publishable"], None, Some("true"))]));
        assert_eq!(kinds(&inserts), [(WriteThroughOpenPolicy, ApiCaller::Publishable)]);
        assert_eq!(inserts.findings("p")[0].remedy, "DROP POLICY \"insert policy\" ON public.\"notes\"");
        // Postgres can't enable row-level security for a foreign table.
        let foreign = AccessFacts { kind: TableKind::ForeignTable, ..open };
        assert_eq!(
            foreign.findings("p")[0].remedy,
            "REVOKE INSERT, UPDATE, DELETE ON TABLE public.\"notes\" FROM \"proj_p_anon\""
        );
    }
}
