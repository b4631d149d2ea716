//! Translates policies, grants, default privileges and comments of an archive to the roles of the project that is
//! restored. Row-level security is switched on with them.
//!
//! The statements in an archive are arbitrary SQL. Only those of the expected kinds are kept, and only with roles of
//! the dumped project, which become the same roles of the restored one. The text outside of role names stays as it is.

use pg_query::{
    NodeEnum,
    protobuf::{AlterDefaultPrivilegesStmt, AlterTableStmt, AlterTableType, GrantStmt, Node, RoleSpec, RoleSpecType},
};
use postgres_protocol::escape::escape_identifier;

use super::{contents::Privileges, loader::one_line};
use crate::db::DbRole;

/// Translated statements.
#[derive(Debug, Default)]
pub(super) struct Translated {
    pub(super) statements: Vec<LateStatement>,
    /// Descriptions of the policies and privileges that could not be translated.
    pub(super) left_out: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct LateStatement {
    pub(super) sql: String,
    pub(super) on_failure: OnFailure,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnFailure {
    /// Without the statement, someone could access more than in the dumped database.
    Fail,
    Warn,
}

/// The projects whose roles are translated.
struct Roles<'a> {
    source: Option<&'a str>,
    target: &'a str,
}

/// A replacement of a part of a statement.
struct Edit {
    start: usize,
    end: usize,
    text: String,
}

/// Translates the statements of `sql`, an output of `pg_restore`, for the project `target`.
///
/// # Errors
/// Fails if Postgres's grammar does not accept the text.
pub(super) fn translate(sql: &str, privileges: &Privileges, target: &str) -> Result<Translated, String> {
    let sql = without_restrict(sql);
    let statements = pg_query::split_with_parser(&sql).map_err(|error| error.to_string())?;
    let source = match privileges {
        Privileges::OfProject(source) => Some(source.as_str()),
        Privileges::Standard => None,
    };
    let roles = Roles { source, target };
    let mut translated = Translated::default();
    for sql in statements {
        let parsed = pg_query::parse(sql, 0).map_err(|error| error.to_string())?;
        let statement = parsed.protobuf.stmts.first().and_then(|statement| statement.stmt.as_ref()?.node.as_ref());
        match statement.and_then(|statement| roles.translate(statement, sql)) {
            Some(Ok((edits, on_failure))) => {
                translated.statements.push(LateStatement { sql: apply(sql, edits), on_failure });
            }
            Some(Err(reason)) => translated.left_out.push(reason),
            None => {}
        }
    }
    Ok(translated)
}

impl Roles<'_> {
    /// Returns the edits that translate a statement, or the reason why it is left out. Returns `None` for a statement
    /// that is left out without a report to the owner.
    fn translate(&self, node: &NodeEnum, sql: &str) -> Option<Result<(Vec<Edit>, OnFailure), String>> {
        match node {
            NodeEnum::CreatePolicyStmt(policy) => {
                let table = policy.table.as_ref().map(|table| format!("{}.{}", table.schemaname, table.relname));
                let name = format!("policy {} of {}", policy.policy_name, table.unwrap_or_default());
                Some(match self.role_list(&policy.roles, sql, ListOf::Some) {
                    Some(edit) => Ok((edit.into_iter().collect(), OnFailure::Fail)),
                    // The roles may exist on this server, but none of the project's callers uses them.
                    None => Err(format!("{name}, which applies only to roles outside the project")),
                })
            }
            NodeEnum::CommentStmt(_) => Some(Ok((Vec::new(), OnFailure::Warn))),
            NodeEnum::GrantStmt(grant) => match self.grant(grant, sql) {
                Some(translated) => Some(Ok(translated)),
                None => self.lost_privileges(grant, &[], sql).map(Err),
            },
            NodeEnum::AlterDefaultPrivilegesStmt(defaults) => match self.default_privileges(defaults, sql) {
                Some(translated) => Some(Ok(translated)),
                None => self.lost_privileges(defaults.action.as_ref()?, &owners(defaults), sql).map(Err),
            },
            // This statement runs after the data was loaded, because materialized views over tables that force
            // row-level security can't be filled.
            NodeEnum::AlterTableStmt(alter) if enables_row_security(alter) => Some(Ok((Vec::new(), OnFailure::Fail))),
            // Settings of the session, and whatever else the archive contains.
            _ => None,
        }
    }

    fn grant(&self, grant: &GrantStmt, sql: &str) -> Option<(Vec<Edit>, OnFailure)> {
        if grant.grantor.is_some() {
            return None;
        }
        let is_of_public = grant.grantees.iter().filter_map(role_spec).all(is_public);
        // Without the privileges of a dumped project, nothing is granted. What was revoked from `PUBLIC` stays revoked.
        if self.source.is_none() && (grant.is_grant || !is_of_public) {
            return None;
        }
        let edit = self.role_list(&grant.grantees, sql, ListOf::All)?;
        Some((edit.into_iter().collect(), if grant.is_grant { OnFailure::Warn } else { OnFailure::Fail }))
    }

    fn default_privileges(&self, defaults: &AlterDefaultPrivilegesStmt, sql: &str) -> Option<(Vec<Edit>, OnFailure)> {
        self.source?;
        let (mut edits, on_failure) = self.grant(defaults.action.as_ref()?, sql)?;
        for option in &defaults.options {
            let Some(NodeEnum::DefElem(option)) = &option.node else { return None };
            if option.defname == "roles"
                && let Some(NodeEnum::List(roles)) = option.arg.as_ref().and_then(|list| list.node.as_ref())
            {
                edits.extend(self.role_list(&roles.items, sql, ListOf::All)?);
            }
        }
        Some((edits, on_failure))
    }

    /// Describes the privileges of a statement that is left out because it names a role that does not belong to the
    /// dumped project. `owners` are the roles whose default privileges it changes. Returns `None` for a statement that
    /// need not be reported: it revokes privileges, the privileges of a new project replace all others, or AtlasHub
    /// grants the privileges itself, as to the role for end-user login.
    fn lost_privileges(&self, grant: &GrantStmt, owners: &[&RoleSpec], sql: &str) -> Option<String> {
        if self.source.is_none() || !grant.is_grant {
            return None;
        }
        let mut roles = grant.grantees.iter().filter_map(role_spec).chain(owners.iter().copied());
        let other = roles.find(|spec| !is_public(spec) && self.role(spec).is_none())?;
        Some(format!("`{}`: {} is not a role of the dumped project", one_line(sql), other.rolename))
    }

    /// Translates a list of roles. Returns `None` if no role can be translated, or if only some can and `list` is
    /// [`ListOf::All`]. Returns `Some(None)` for a list that the statement leaves out, which stands for `PUBLIC`.
    fn role_list(&self, nodes: &[Node], sql: &str, list: ListOf) -> Option<Option<Edit>> {
        let specs: Vec<&RoleSpec> = nodes.iter().filter_map(role_spec).collect();
        if specs.iter().all(|spec| spec.location < 0 && is_public(spec)) {
            return Some(None);
        }
        let names: Vec<String> = specs.iter().filter_map(|spec| self.name(spec)).collect();
        if names.is_empty() || (list == ListOf::All && names.len() < nodes.len()) {
            return None;
        }
        let start = usize::try_from(specs.first()?.location).ok()?;
        let end = end_of_name(sql, usize::try_from(specs.last()?.location).ok()?)?;
        (start < end && sql.is_char_boundary(start) && sql.is_char_boundary(end))
            .then(|| Some(Edit { start, end, text: names.join(", ") }))
    }

    /// Returns the quoted name of the role that a role in the archive stands for.
    fn name(&self, spec: &RoleSpec) -> Option<String> {
        if is_public(spec) {
            return Some("PUBLIC".to_owned());
        }
        let role = self.role(spec).filter(|role| DbRole::OF_EVERY_PROJECT.contains(role))?;
        Some(escape_identifier(&role.name(self.target)))
    }

    /// Returns the role of the dumped project that the archive names.
    fn role(&self, spec: &RoleSpec) -> Option<DbRole> {
        if spec.roletype != RoleSpecType::RolespecCstring as i32 {
            return None;
        }
        let suffix = spec.rolename.strip_prefix("proj_")?.strip_prefix(self.source?)?.strip_prefix('_')?;
        DbRole::ALL.into_iter().find(|role| role.suffix() == suffix)
    }
}

/// The roles of a list that must exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ListOf {
    All,
    /// At least one. The others are left out.
    Some,
}

fn role_spec(node: &Node) -> Option<&RoleSpec> {
    match &node.node {
        Some(NodeEnum::RoleSpec(spec)) => Some(spec),
        _ => None,
    }
}

/// Returns the roles whose default privileges a statement changes.
fn owners(defaults: &AlterDefaultPrivilegesStmt) -> Vec<&RoleSpec> {
    let lists = defaults.options.iter().filter_map(|option| match &option.node {
        Some(NodeEnum::DefElem(option)) if option.defname == "roles" => match &option.arg.as_ref()?.node {
            Some(NodeEnum::List(roles)) => Some(&roles.items),
            _ => None,
        },
        _ => None,
    });
    lists.flatten().filter_map(role_spec).collect()
}

fn is_public(spec: &RoleSpec) -> bool {
    spec.roletype == RoleSpecType::RolespecPublic as i32
}

/// Returns the end of the name that starts at `start`, quoted or not.
fn end_of_name(sql: &str, start: usize) -> Option<usize> {
    let text = sql.get(start..)?;
    let Some(quoted) = text.strip_prefix('"') else {
        let is_part =
            |character: char| character.is_alphanumeric() || "_$".contains(character) || !character.is_ascii();
        let length = text.find(|character| !is_part(character)).unwrap_or(text.len());
        return Some(start + length);
    };
    let mut rest = quoted.char_indices().peekable();
    while let Some((index, character)) = rest.next() {
        if character == '"' && rest.next_if(|(_, next)| *next == '"').is_none() {
            return Some(start + 1 + index + 1);
        }
    }
    None
}

fn apply(statement: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|edit| std::cmp::Reverse(edit.start));
    let mut sql = statement.to_owned();
    for edit in edits {
        sql.replace_range(edit.start..edit.end, &edit.text);
    }
    sql
}

/// Removes the lines with which newer versions of `pg_restore` keep `psql` from running commands of an archive.
pub(super) fn without_restrict(sql: &str) -> String {
    let Some(key) = sql.lines().find_map(|line| line.strip_prefix("\\restrict ")) else { return sql.to_owned() };
    let lines = [format!("\\restrict {key}"), format!("\\unrestrict {key}")];
    // This does not use `lines`, which would remove the carriage returns in literals.
    sql.split('\n').filter(|line| !lines.iter().any(|known| known == line)).collect::<Vec<_>>().join("\n")
}

/// Returns whether a statement does nothing but switch row-level security on.
fn enables_row_security(alter: &AlterTableStmt) -> bool {
    let is_enabling = |command: &Node| match &command.node {
        Some(NodeEnum::AlterTableCmd(command)) => command.subtype() == AlterTableType::AtEnableRowSecurity,
        _ => false,
    };
    !alter.cmds.is_empty() && alter.cmds.iter().all(is_enabling)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sql: &str, source: Option<&str>, expected: &[&str]) {
        let privileges = source.map_or(Privileges::Standard, |source| Privileges::OfProject(source.to_owned()));
        let translated = translate(sql, &privileges, "target01").unwrap();
        let statements: Vec<&str> = translated.statements.iter().map(|statement| statement.sql.trim()).collect();
        assert_eq!(statements, expected, "{sql}");
    }

    #[test]
    fn roles_of_the_dumped_project_become_those_of_the_target() {
        check(
            "\\restrict abc\nSET x = 1;\nGRANT SELECT(id) ON TABLE public.items TO proj_source01_anon;\n\
             REVOKE ALL ON FUNCTION auth.uid() FROM PUBLIC;\nGRANT USAGE ON SCHEMA public TO \"proj_source01_app\";\n\
             \\unrestrict abc\n",
            Some("source01"),
            &[
                "GRANT SELECT(id) ON TABLE public.items TO \"proj_target01_anon\"",
                "REVOKE ALL ON FUNCTION auth.uid() FROM PUBLIC",
                "GRANT USAGE ON SCHEMA public TO \"proj_target01_app\"",
            ],
        );
        check(
            "ALTER DEFAULT PRIVILEGES FOR ROLE proj_source01_owner IN SCHEMA public GRANT SELECT ON TABLES  TO \
             proj_source01_app;",
            Some("source01"),
            &["ALTER DEFAULT PRIVILEGES FOR ROLE \"proj_target01_owner\" IN SCHEMA public GRANT SELECT ON TABLES  TO \
               \"proj_target01_app\""],
        );
    }

    #[test]
    fn policies_keep_their_text_and_lose_roles_that_do_not_exist() {
        check(
            "CREATE POLICY \"a;b\" ON public.items AS RESTRICTIVE FOR SELECT TO proj_source01_anon, other, \
             proj_source01_user USING ((name = ' TO proj_source01_anon'::text));",
            Some("source01"),
            &["CREATE POLICY \"a;b\" ON public.items AS RESTRICTIVE FOR SELECT TO \"proj_target01_anon\", \
               \"proj_target01_user\" USING ((name = ' TO proj_source01_anon'::text))"],
        );
        check("CREATE POLICY a ON public.b USING (true);", None, &["CREATE POLICY a ON public.b USING (true)"]);
        check("CREATE POLICY a ON public.b TO other USING (true);", Some("source01"), &[]);
        let enable = "ALTER TABLE public.items ENABLE ROW LEVEL SECURITY";
        check(&format!("{enable};"), None, &[enable]);
        check(&format!("{enable}, OWNER TO other;"), None, &[]);
    }

    #[test]
    fn other_statements_and_roles_are_left_out() {
        for sql in [
            "GRANT proj_source01_owner TO proj_source01_anon;",
            "GRANT SELECT ON public.t TO postgres;",
            "GRANT SELECT ON public.t TO proj_another1_anon;",
            "GRANT SELECT ON public.t TO proj_source01_anon GRANTED BY postgres;",
            "ALTER DEFAULT PRIVILEGES FOR ROLE postgres GRANT SELECT ON TABLES TO proj_source01_anon;",
            "ALTER ROLE proj_source01_owner SUPERUSER;",
            "DROP TABLE public.t;",
        ] {
            check(sql, Some("source01"), &[]);
        }
    }

    #[test]
    fn policies_of_roles_outside_the_project_are_listed() {
        let privileges = Privileges::OfProject("source01".to_owned());
        let sql = "CREATE POLICY a ON public.b TO postgres USING (true);";
        let left_out = translate(sql, &privileges, "target01").unwrap().left_out;
        assert_eq!(left_out, ["policy a of public.b, which applies only to roles outside the project"]);
    }

    #[test]
    fn privileges_of_roles_outside_the_project_are_listed() {
        let check = |sql: &str, source: Option<&str>, expected: &[&str]| {
            let privileges = source.map_or(Privileges::Standard, |source| Privileges::OfProject(source.to_owned()));
            let translated = translate(sql, &privileges, "target01").unwrap();
            assert!(translated.statements.is_empty(), "{sql}: {:?}", translated.statements);
            assert_eq!(translated.left_out, expected, "{sql}");
        };
        check(
            "--\n-- Name: TABLE t; Type: ACL\n--\n\nGRANT SELECT ON TABLE public.t TO reporting;\n\
             GRANT UPDATE(id) ON TABLE public.t TO \"My Role\";",
            Some("source01"),
            &[
                "`GRANT SELECT ON TABLE public.t TO reporting`: reporting is not a role of the dumped project",
                "`GRANT UPDATE(id) ON TABLE public.t TO \"My Role\"`: My Role is not a role of the dumped project",
            ],
        );
        let of_owner = "ALTER DEFAULT PRIVILEGES FOR ROLE proj_source01_owner GRANT SELECT ON TABLES TO reporting";
        let of_other = "ALTER DEFAULT PRIVILEGES FOR ROLE loader GRANT SELECT ON TABLES TO proj_source01_anon";
        for (sql, role) in [(of_owner, "reporting"), (of_other, "loader")] {
            check(sql, Some("source01"), &[&format!("`{sql}`: {role} is not a role of the dumped project")]);
        }
        for sql in [
            "REVOKE ALL ON TABLE public.t FROM reporting;",
            // AtlasHub grants these privileges itself.
            "GRANT SELECT ON TABLE public.t TO proj_source01_query;",
            "ALTER DEFAULT PRIVILEGES FOR ROLE proj_source01_auth GRANT SELECT ON TABLES TO proj_source01_backup;",
        ] {
            check(sql, Some("source01"), &[]);
        }
        // The plan says that the restored project has the privileges of a new one.
        check("GRANT SELECT ON TABLE public.t TO reporting;", None, &[]);
    }

    #[test]
    fn archive_without_privileges_of_a_project_opens_nothing() {
        check("GRANT SELECT ON public.t TO PUBLIC;", None, &[]);
        check("GRANT SELECT ON public.t TO proj_source01_anon;", None, &[]);
        check("REVOKE ALL ON FUNCTION f() FROM PUBLIC;", None, &["REVOKE ALL ON FUNCTION f() FROM PUBLIC"]);
    }

    #[test]
    fn names_end_where_postgres_ends_them() {
        for (sql, end) in [("abc, d", 3), ("\"a\"\"b\" x", 6), ("a$1_é;", 6), ("\"open", 0)] {
            assert_eq!(end_of_name(sql, 0).unwrap_or_default(), end, "{sql}");
        }
    }
}
