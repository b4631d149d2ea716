use api_types::{AdminTable, TableAccess, TableKind, UpdateTableExposure};
use postgres_protocol::escape::escape_identifier;

use crate::{
    db::{DbError, DbRole, ProjectPools, Statement},
    error::{ApiError, ApiResult, Code},
};

/// Grants and revokes what the request says; what it leaves out stays.
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
        grant(&mut sql, &format!("proj_{project}_{}", role.suffix()), &table.table.name, &sequences, access);
    }
    sql.push_str("COMMIT;");
    let mut client = pools.exclusive(project, DbRole::Owner).await?;
    client.running();
    let result = client.batch_execute(&sql).await;
    client.settled();
    result.map_err(|error| match error.as_db_error() {
        Some(db_error) if db_error.code().code() == "42501" => ApiError::new(
            Code::Forbidden,
            format!("The project's owner role may not grant rights on `{}`.", table.table.name),
        )
        .with_hint("The table belongs to another role: change its owner in the SQL editor, or create it anew."),
        _ => DbError::Postgres(error).into(),
    })
}

fn grant(sql: &mut String, role: &str, table: &str, sequences: &[String], access: TableAccess) {
    let (role, table) = (escape_identifier(role), escape_identifier(table));
    sql.push_str(&format!("REVOKE ALL ON TABLE public.{table} FROM {role};"));
    let rights = match access {
        TableAccess::None => None,
        TableAccess::Read => Some("SELECT"),
        TableAccess::Write => Some("SELECT, INSERT, UPDATE, DELETE"),
    };
    if let Some(rights) = rights {
        sql.push_str(&format!("GRANT {rights} ON TABLE public.{table} TO {role};"));
    }
    for sequence in sequences {
        // A serial column's default takes the next value as the one who inserts.
        match access {
            TableAccess::Write => sql.push_str(&format!("GRANT USAGE ON SEQUENCE {sequence} TO {role};")),
            _ => sql.push_str(&format!("REVOKE ALL ON SEQUENCE {sequence} FROM {role};")),
        }
    }
}

/// Quoted names of the sequences that belong to the table's columns.
async fn owned_sequences(pools: &ProjectPools, project: &str, table: &str) -> ApiResult<Vec<String>> {
    let mut statement = Statement::new(
        "SELECT pg_catalog.format('%I.%I', n.nspname, s.relname)
         FROM pg_catalog.pg_depend d
         JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'
         JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
         JOIN pg_catalog.pg_class t ON t.oid = d.refobjid AND t.relnamespace = 'public'::regnamespace
         WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'a' AND t.relname = $1",
    );
    statement.push(Some(table));
    let rows = pools.fetch(project, DbRole::Owner, &statement).await?;
    rows.iter().map(|row| row.try_get(0).map_err(ApiError::internal)).collect()
}

/// A view runs with its owner's rights unless told otherwise, past every policy: such a one can't be exposed.
async fn check_view(
    pools: &ProjectPools,
    project: &str,
    table: &AdminTable,
    request: &UpdateTableExposure,
) -> ApiResult<()> {
    let opens =
        [request.publishable, request.signed_in].into_iter().flatten().any(|access| access != TableAccess::None);
    if table.table.kind != TableKind::View || !opens {
        return Ok(());
    }
    let mut statement = Statement::new(
        "SELECT coalesce((SELECT option_value::boolean FROM pg_catalog.pg_options_to_table(c.reloptions)
                          WHERE option_name = 'security_invoker'), false)
         FROM pg_catalog.pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relname = $1",
    );
    statement.push(Some(table.table.name.as_str()));
    let rows = pools.fetch(project, DbRole::Owner, &statement).await?;
    let invoker: bool = rows.first().and_then(|row| row.try_get(0).ok()).unwrap_or(false);
    if invoker {
        return Ok(());
    }
    let name = &table.table.name;
    Err(ApiError::invalid(format!("The view `{name}` runs with its owner's rights, past row-level security."))
        .with_hint(format!("Run: ALTER VIEW {} SET (security_invoker = true)", escape_identifier(name))))
}

fn check_confirmed(table: &AdminTable, request: &UpdateTableExposure) -> ApiResult<()> {
    let guarded = table.row_level_security || table.table.kind == TableKind::View;
    if guarded || request.confirm {
        return Ok(());
    }
    let name = &table.table.name;
    let danger = match (request.publishable, request.signed_in) {
        (Some(TableAccess::Write), _) => format!("anybody with the publishable key could change every row of `{name}`"),
        (_, Some(TableAccess::Read)) => format!("every signed-in user could read every row of `{name}`"),
        (_, Some(TableAccess::Write)) => format!("every signed-in user could read and change every row of `{name}`"),
        // A snapshot of other tables, past their policies.
        (Some(TableAccess::Read), _) if table.table.kind == TableKind::MaterializedView => {
            format!("anybody with the publishable key could read all of `{name}`, past row-level security")
        }
        _ => return Ok(()),
    };
    Err(ApiError::new(Code::ConfirmationRequired, format!("The table has no row-level security: {danger}."))
        .with_hint("Enable row-level security and write a policy, or send `\"confirm\": true`."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_and_rights_are_replaced() {
        let mut sql = String::new();
        grant(&mut sql, "proj_x_anon", "a\"; DROP TABLE b; --", &["public.s".into()], TableAccess::Read);
        assert_eq!(
            sql,
            "REVOKE ALL ON TABLE public.\"a\"\"; DROP TABLE b; --\" FROM \"proj_x_anon\";\
             GRANT SELECT ON TABLE public.\"a\"\"; DROP TABLE b; --\" TO \"proj_x_anon\";\
             REVOKE ALL ON SEQUENCE public.s FROM \"proj_x_anon\";"
        );
    }
}
