//! Makes the project's role for login the owner of the tables of end-user login. After a restore, they belong to the
//! project's owner.
//!
//! An archive, or the owner before the take-over, may have attached code to the tables: triggers, rules, policies,
//! checks, defaults and expressions of indexes would run with the rights of the tables' new owner. [`take_over`]
//! removes all of it, and every privilege. The slice `auth` then sets its own defaults, checks and indexes again. The
//! comment [`RESTORED`] on the schema means that this is still to be done.

use postgres_protocol::escape::escape_identifier as ident;
use sqlx::{Connection as _, PgConnection};

use super::database::{self, AUTH_FUNCTIONS};
use crate::{
    db::DbRole,
    error::{ApiError, ApiResult, Code},
};

/// Comment on schema `auth` between [`take_over`] and the first use of login.
pub const RESTORED: &str = "restored; AtlasHub completes its tables when login is used";

/// The tables of end-user login.
#[derive(Debug, Clone, Copy)]
pub struct AuthTables {
    pub names: &'static [&'static str],
    /// The table whose existence shows that AtlasHub made the tables.
    pub marker: &'static str,
    /// The table that the project's tables may refer to.
    pub users: &'static str,
}

/// Makes the project's role for login the owner of schema `auth` and of the tables in it. `connection` is the
/// platform's, to the project's database or to one that is being restored. This function is idempotent.
///
/// # Errors
/// Returns 409 if AtlasHub did not create the tables, if one of them could run the project's code even after the
/// removal, or if the schema contains other objects that can't be taken over. Returns 503 if Postgres can't be reached.
pub(super) async fn take_over(connection: &mut PgConnection, project: &str, tables: AuthTables) -> ApiResult<()> {
    // The project controls the contents of the database. So names must not resolve to its objects, and a lock that it
    // holds must not make this connection wait forever.
    sqlx::raw_sql("SET search_path = ''; SET lock_timeout = 5000").execute(&mut *connection).await?;
    let mut transaction = connection.begin().await?;
    let existing: Vec<(String, String)> = sqlx::query_as(
        "SELECT c.relname::text, pg_catalog.pg_get_userbyid(c.relowner)::text
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'auth' AND c.relname = ANY($1)",
    )
    .bind(tables.names)
    .fetch_all(&mut *transaction)
    .await?;
    let is_ours = existing.iter().any(|(name, _)| name == tables.marker);
    if let (false, Some((name, _))) = (is_ours, existing.first()) {
        return Err(ApiError::new(
            Code::Conflict,
            format!("Schema `auth` of the project has a table `{name}`, which end-user login needs for itself."),
        )
        .with_hint("Rename the table or move it to another schema in the SQL editor, then try again."));
    }
    let role = DbRole::Auth.name(project);
    let quoted = ident(&role);
    let mut script = format!("CREATE SCHEMA IF NOT EXISTS auth; ALTER SCHEMA auth OWNER TO {quoted};");
    for function in ["jwt", "uid", "role"] {
        let exists: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_proc p
                            JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
                            WHERE n.nspname = 'auth' AND p.proname = $1 AND p.pronargs = 0)",
        )
        .bind(function)
        .fetch_one(&mut *transaction)
        .await?;
        if exists {
            script.push_str(&format!("ALTER FUNCTION auth.{function}() OWNER TO {quoted};"));
        }
    }
    let foreign: Vec<&str> =
        existing.iter().filter(|(_, owner)| *owner != role).map(|(table, _)| table.as_str()).collect();
    if !foreign.is_empty() {
        refuse_differences(&mut transaction, &foreign).await?;
        for table in &foreign {
            script.push_str(&format!("ALTER TABLE auth.{} OWNER TO {quoted};", ident(table)));
        }
        for statement in removals(&mut transaction, &foreign, tables.users).await? {
            script.push_str(&statement);
            script.push(';');
        }
        script.push_str(&grants(project, existing.iter().map(|(table, _)| table.as_str()), tables.users));
        script.push_str(&format!("COMMENT ON SCHEMA auth IS '{RESTORED}';"));
    }
    let granted = DbRole::OF_EVERY_PROJECT.map(|role| ident(&role.name(project))).join(", ");
    script.push_str(&format!(
        "SET LOCAL ROLE {quoted}; {AUTH_FUNCTIONS} GRANT USAGE ON SCHEMA auth TO {granted}; RESET ROLE;"
    ));
    database::execute(&mut transaction, script).await.map_err(not_taken_over)?;
    transaction.commit().await?;
    Ok(())
}

/// Returns statements that grant other roles privileges on the tables. The backup role reads every table, so that dumps
/// are complete. The project's owner may read and reference users, and nothing else.
fn grants<'a>(project: &str, tables: impl Iterator<Item = &'a str>, users: &str) -> String {
    let [owner, backup] = [DbRole::Owner, DbRole::Backup].map(|role| ident(&role.name(project)));
    let mut grants = String::new();
    for table in tables {
        grants.push_str(&format!("GRANT SELECT ON auth.{} TO {backup};", ident(table)));
        if table == users {
            grants.push_str(&format!("GRANT SELECT, REFERENCES (id) ON auth.{} TO {owner};", ident(table)));
        }
    }
    grants
}

/// Returns statements that grant other roles privileges on all tables of end-user login.
pub fn auth_grants(project: &str, tables: AuthTables) -> String {
    grants(project, tables.names.iter().copied(), tables.users)
}

/// Returns whether schema `auth` contains the tables of end-user login. [`AuthTables::marker`] stands for all of them.
pub(super) async fn exist(connection: &mut PgConnection, tables: AuthTables) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c
                        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                        WHERE n.nspname = 'auth' AND c.relname = $1)",
    )
    .bind(tables.marker)
    .fetch_one(connection)
    .await
}

/// Refuses tables that could run the project's code even after [`removals`].
async fn refuse_differences(connection: &mut PgConnection, tables: &[&str]) -> ApiResult<()> {
    let difference: Option<(String, String)> = sqlx::query_as(
        "WITH t AS (SELECT c.oid, c.relname, c.relkind FROM pg_catalog.pg_class c
                    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                    WHERE n.nspname = 'auth' AND c.relname = ANY($1))
         SELECT relname::text, 'is not an ordinary table' FROM t
         WHERE relkind <> 'r' OR EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE t.oid IN (i.inhrelid, i.inhparent))
         UNION ALL
         SELECT t.relname::text, pg_catalog.format('has a column `%s` that is generated, or whose type is not built in',
                                                   a.attname)
         FROM t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
         JOIN pg_catalog.pg_type y ON y.oid = a.atttypid JOIN pg_catalog.pg_namespace n ON n.oid = y.typnamespace
         WHERE n.nspname <> 'pg_catalog' OR a.attgenerated <> '' OR a.attidentity <> ''
         LIMIT 1",
    )
    .bind(tables)
    .fetch_optional(connection)
    .await?;
    let Some((table, difference)) = difference else { return Ok(()) };
    Err(ApiError::new(
        Code::Conflict,
        format!("Table `auth.{table}` {difference}. AtlasHub did not create it in this form."),
    )
    .with_hint("Use a database whose schema `auth` was not changed, or drop that schema in the SQL editor."))
}

/// Returns statements that remove all code from the tables, and the privileges of all roles on the tables and on schema
/// `auth`.
async fn removals(connection: &mut PgConnection, tables: &[&str], users: &str) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(include_str!("auth_removals.sql")).bind(tables).bind(users).fetch_all(connection).await
}

/// Converts an error of the take-over. SQLSTATE class 42 is about the project's objects, for example a function
/// `auth.uid()` with another type. Class 2B means that something depends on what would be removed.
fn not_taken_over(error: sqlx::Error) -> ApiError {
    let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned();
    if code.starts_with("42") || code.starts_with("2B") {
        return ApiError::new(
            Code::Conflict,
            "Schema `auth` of the project contains objects that can't be taken over.",
        )
        .with_hint("Remove your own objects from schema `auth` in the SQL editor, then try again.")
        .with_cause(error);
    }
    error.into()
}
