//! Changes the access of roles to a table.

use api_types::{AdminTable, TableAccess, TableKind, UpdateTableExposure};
use postgres_protocol::escape::escape_identifier;

use crate::{
    db::{DbError, DbRole, ProjectPools, Statement},
    error::{ApiError, ApiResult, Code},
};

/// Sets the grants of a table. Access that the request omits stays unchanged.
pub(super) async fn update(
    pools: &ProjectPools,
    project: &str,
    table: &AdminTable,
    request: &UpdateTableExposure,
) -> ApiResult<()> {
    check_view(pools, project, table, request).await?;
    check_confirmed(table, request)?;
    let sequences = owned_sequences(pools, project, &table.table.name).await?;
    let mut sql = String::from("BEGIN;");
    for (role, access) in [(DbRole::Anon, request.publishable), (DbRole::User, request.signed_in)] {
        let Some(access) = access else { continue };
        push_grants(&mut sql, &role.name(project), &table.table.name, &sequences, access);
    }
    sql.push_str("COMMIT;");
    let mut client = pools.exclusive(project, DbRole::Owner).await?;
    client.mark_busy();
    let result = client.batch_execute(&sql).await;
    client.mark_idle();
    result.map_err(|error| match error.as_db_error() {
        Some(db_error) if db_error.code().code() == "42501" => ApiError::new(
            Code::Forbidden,
            format!("The project's owner role may not grant privileges on `{}`.", table.table.name),
        )
        .with_hint(
            "The table belongs to another role. Change its owner as that role or as a superuser, for example with \
             psql, or drop it in the SQL editor and create it again.",
        ),
        _ => DbError::Postgres(error).into(),
    })
}

/// Appends the statements that give a role exactly this access.
fn push_grants(sql: &mut String, role: &str, table: &str, sequences: &[String], access: TableAccess) {
    let (role, table) = (escape_identifier(role), escape_identifier(table));
    sql.push_str(&format!("REVOKE ALL ON TABLE public.{table} FROM {role};"));
    let privileges = match access {
        TableAccess::None => None,
        TableAccess::Read => Some("SELECT"),
        TableAccess::Write => Some("SELECT, INSERT, UPDATE, DELETE"),
    };
    if let Some(privileges) = privileges {
        sql.push_str(&format!("GRANT {privileges} ON TABLE public.{table} TO {role};"));
    }
    for sequence in sequences {
        // The default of a serial column calls nextval() as the inserting role.
        match access {
            TableAccess::Write => sql.push_str(&format!("GRANT USAGE ON SEQUENCE {sequence} TO {role};")),
            TableAccess::None | TableAccess::Read => {
                sql.push_str(&format!("REVOKE ALL ON SEQUENCE {sequence} FROM {role};"));
            }
        }
    }
}

/// Returns the quoted names of the sequences owned by the table's columns.
async fn owned_sequences(pools: &ProjectPools, project: &str, table: &str) -> ApiResult<Vec<String>> {
    let mut statement = Statement::new(
        "SELECT pg_catalog.format('%I.%I', n.nspname, s.relname)
         FROM pg_catalog.pg_depend d
         JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'
         JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
         JOIN pg_catalog.pg_class t ON t.oid = d.refobjid AND t.relnamespace = 'public'::regnamespace
         WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'a'
           AND t.relname = $1",
    );
    statement.push(Some(table));
    let rows = pools.fetch(project, DbRole::Owner, &statement).await?;
    rows.iter().map(|row| row.try_get(0).map_err(ApiError::internal)).collect()
}

/// Rejects exposing a view that runs with its owner's privileges, as views do by default: row-level security policies
/// of the underlying tables would not apply.
async fn check_view(
    pools: &ProjectPools,
    project: &str,
    table: &AdminTable,
    request: &UpdateTableExposure,
) -> ApiResult<()> {
    let is_opened =
        [request.publishable, request.signed_in].into_iter().flatten().any(|access| access != TableAccess::None);
    if table.table.kind != TableKind::View || !is_opened {
        return Ok(());
    }
    let mut statement = Statement::new(
        "SELECT coalesce((SELECT option_value::boolean FROM pg_catalog.pg_options_to_table(c.reloptions)
                          WHERE option_name = 'security_invoker'), false)
         FROM pg_catalog.pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relname = $1",
    );
    statement.push(Some(table.table.name.as_str()));
    let rows = pools.fetch(project, DbRole::Owner, &statement).await?;
    let is_security_invoker: bool = rows.first().and_then(|row| row.try_get(0).ok()).unwrap_or(false);
    if is_security_invoker {
        return Ok(());
    }
    let name = &table.table.name;
    Err(ApiError::invalid(format!(
        "The view `{name}` runs with its owner's privileges, so row-level security would not apply."
    ))
    .with_hint(format!("Run: ALTER VIEW {} SET (security_invoker = true)", escape_identifier(name))))
}

/// Requires `confirm` for access that no row-level security limits. Reading with the publishable key needs `confirm`
/// only for materialized views.
fn check_confirmed(table: &AdminTable, request: &UpdateTableExposure) -> ApiResult<()> {
    let is_protected = table.row_level_security || table.table.kind == TableKind::View;
    if is_protected || request.confirm {
        return Ok(());
    }
    let name = &table.table.name;
    let danger = match (request.publishable, request.signed_in) {
        (Some(TableAccess::Write), _) => format!("anyone with the publishable key could change every row of `{name}`"),
        (_, Some(TableAccess::Read)) => format!("every signed-in user could read every row of `{name}`"),
        (_, Some(TableAccess::Write)) => format!("every signed-in user could read and change every row of `{name}`"),
        // A materialized view is a snapshot of other tables that ignores their policies.
        (Some(TableAccess::Read), _) if table.table.kind == TableKind::MaterializedView => {
            format!("anyone with the publishable key could read all rows of `{name}`, regardless of row-level security")
        }
        _ => return Ok(()),
    };
    let hint = match table.table.kind {
        TableKind::Table | TableKind::View => {
            "Enable row-level security and add a policy, or send `\"confirm\": true`."
        }
        TableKind::MaterializedView | TableKind::ForeignTable => {
            "Send `\"confirm\": true`. Postgres has no row-level security for materialized views and foreign tables."
        }
    };
    Err(ApiError::new(Code::ConfirmationRequired, format!("The table has no row-level security: {danger}."))
        .with_hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_quote_names_and_replace_previous_privileges() {
        let mut sql = String::new();
        push_grants(&mut sql, "proj_x_anon", "a\"; DROP TABLE b; --", &["public.s".into()], TableAccess::Read);
        assert_eq!(
            sql,
            "REVOKE ALL ON TABLE public.\"a\"\"; DROP TABLE b; --\" FROM \"proj_x_anon\";\
             GRANT SELECT ON TABLE public.\"a\"\"; DROP TABLE b; --\" TO \"proj_x_anon\";\
             REVOKE ALL ON SEQUENCE public.s FROM \"proj_x_anon\";"
        );
    }
}
