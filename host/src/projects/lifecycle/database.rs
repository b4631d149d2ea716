//! The statements that create and drop a project's database and roles.
//!
//! The platform's role owns the database: an owner among the project's roles could open it to others, or drop it. Every
//! function here except `rename_database` is idempotent, so that it can be called again after a failure.

use std::str::FromStr;

// Project ids are lowercase letters and digits, so quotes are a second line of defense.
use postgres_protocol::escape::escape_identifier as ident;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};

use crate::{
    config::Secret,
    db::{DbRole, project_database},
};

/// Connects as the platform's role to `database`. `None` stands for the platform database.
pub(super) async fn connect_as_platform(url: &Secret, database: Option<&str>) -> Result<PgConnection, sqlx::Error> {
    let mut options = PgConnectOptions::from_str(url.expose())?.application_name("atlashub provisioning");
    if let Some(database) = database {
        options = options.database(database);
    }
    options.disable_statement_logging().connect().await
}

pub(super) async fn execute(connection: &mut PgConnection, sql: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop)
}

/// The role that the platform connects as.
pub(super) struct PlatformRole {
    pub name: String,
    pub is_superuser: bool,
}

pub(super) async fn platform_role(connection: &mut PgConnection) -> Result<PlatformRole, sqlx::Error> {
    let (name, is_superuser) = sqlx::query_as::<_, (String, bool)>(
        "SELECT rolname::text, rolsuper FROM pg_roles WHERE rolname = current_user",
    )
    .fetch_one(connection)
    .await?;
    Ok(PlatformRole { name, is_superuser })
}

/// Creates the role, or resets its password and attributes if it exists. The statement contains only the SCRAM
/// verifier, so that the password never appears in Postgres's log.
pub(super) async fn create_role(
    connection: &mut PgConnection,
    project: &str,
    role: DbRole,
    password: &str,
) -> Result<(), sqlx::Error> {
    let name = role.name(project);
    let verifier = postgres_protocol::password::scram_sha_256(password.as_bytes());
    let role_exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)")
        .bind(&name)
        .fetch_one(&mut *connection)
        .await?;
    let bypass = match role {
        DbRole::App | DbRole::Backup | DbRole::Query => "BYPASSRLS",
        DbRole::Owner | DbRole::Anon | DbRole::User | DbRole::Auth => "NOBYPASSRLS",
    };
    let verb = if role_exists { "ALTER" } else { "CREATE" };
    // NOSUPERUSER and NOREPLICATION are the defaults of a new role; only a superuser may specify them.
    execute(
        connection,
        format!("{verb} ROLE {} LOGIN NOCREATEDB NOCREATEROLE {bypass} PASSWORD '{verifier}'", ident(&name)),
    )
    .await
}

/// Sets the password of a role and removes the settings that are stored for it. This undoes changes by the project: any
/// role can change its own password and settings.
pub(super) async fn reset_role(
    connection: &mut PgConnection,
    project: &str,
    role: DbRole,
    password: &str,
) -> Result<(), sqlx::Error> {
    let verifier = postgres_protocol::password::scram_sha_256(password.as_bytes());
    let (name, database) = (ident(&role.name(project)), ident(&project_database(project)));
    execute(
        connection,
        format!(
            "ALTER ROLE {name} PASSWORD '{verifier}';
             ALTER ROLE {name} RESET ALL;
             ALTER ROLE {name} IN DATABASE {database} RESET ALL"
        ),
    )
    .await
}

/// Creates the database and revokes access from all roles except the project's, which must exist.
pub(super) async fn create_database(connection: &mut PgConnection, project: &str) -> Result<(), sqlx::Error> {
    let platform = platform_role(connection).await?;
    let database = project_database(project);
    let owner = ident(&DbRole::Owner.name(project));
    let backup = ident(&DbRole::Backup.name(project));
    if !platform.is_superuser {
        // Since Postgres 16 the creator of a role may grant it, and needs the grant to act as the role and to end its
        // sessions.
        for role in DbRole::OF_EVERY_PROJECT {
            let role = ident(&role.name(project));
            execute(connection, format!("GRANT {role} TO {} WITH INHERIT TRUE, SET TRUE", ident(&platform.name)))
                .await?;
        }
    }
    execute(connection, format!("GRANT {owner} TO {backup}")).await?;
    create_closed_database(connection, &database).await?;
    grant_access(connection, project, &database, &DbRole::OF_EVERY_PROJECT).await
}

/// Creates a database that no role of a project may connect to.
pub(super) async fn create_closed_database(connection: &mut PgConnection, database: &str) -> Result<(), sqlx::Error> {
    let platform = platform_role(connection).await?;
    if !database_exists(connection, database).await? {
        execute(connection, format!("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'", ident(database))).await?;
    }
    let database = ident(database);
    execute(connection, format!("REVOKE ALL ON DATABASE {database} FROM PUBLIC")).await?;
    if platform.is_superuser {
        // `data::errors` parses error contexts, which must be in English.
        execute(connection, format!("ALTER DATABASE {database} SET lc_messages = 'C'")).await?;
    }
    Ok(())
}

/// Grants roles of a project access to a database.
pub(super) async fn grant_access(
    connection: &mut PgConnection,
    project: &str,
    database: &str,
    roles: &[DbRole],
) -> Result<(), sqlx::Error> {
    for role in roles {
        let privileges = if *role == DbRole::Owner { "CONNECT, TEMPORARY, CREATE" } else { "CONNECT" };
        let (database, role) = (ident(database), ident(&role.name(project)));
        execute(connection, format!("GRANT {privileges} ON DATABASE {database} TO {role}")).await?;
    }
    Ok(())
}

/// Revokes access to a database from the roles of a project.
pub(super) async fn revoke_access(
    connection: &mut PgConnection,
    project: &str,
    database: &str,
) -> Result<(), sqlx::Error> {
    // The roles for end-user login and for queries of plugins exist only where they are used.
    let roles: Vec<String> = sqlx::query_scalar("SELECT rolname::text FROM pg_roles WHERE rolname = ANY($1)")
        .bind(DbRole::ALL.map(|role| role.name(project)))
        .fetch_all(&mut *connection)
        .await?;
    let roles = roles.iter().map(|role| ident(role)).collect::<Vec<_>>().join(", ");
    execute(connection, format!("REVOKE ALL ON DATABASE {} FROM {roles}", ident(database))).await
}

/// Gives the schema `public` of a new database to the project's owner, and closes it to others.
pub(super) async fn give_schema_public(url: &Secret, project: &str, database: &str) -> Result<(), sqlx::Error> {
    let mut connection = connect_as_platform(url, Some(database)).await?;
    let owner = ident(&DbRole::Owner.name(project));
    let script = format!(
        "BEGIN; ALTER SCHEMA public OWNER TO {owner}; SET LOCAL ROLE {owner}; REVOKE ALL ON SCHEMA public FROM PUBLIC; \
         COMMIT"
    );
    let result = execute(&mut connection, script).await;
    let _ = connection.close().await;
    result
}

/// Renames a database, which must have no sessions.
pub(super) async fn rename_database(connection: &mut PgConnection, from: &str, to: &str) -> Result<(), sqlx::Error> {
    execute(connection, format!("ALTER DATABASE {} RENAME TO {}", ident(from), ident(to))).await
}

/// Drops a database and ends its sessions. Succeeds if it does not exist.
pub(super) async fn drop_database(connection: &mut PgConnection, database: &str) -> Result<(), sqlx::Error> {
    execute(connection, format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", ident(database))).await
}

/// Returns whether a database exists.
pub(super) async fn database_exists(connection: &mut PgConnection, database: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(database)
        .fetch_one(connection)
        .await
}

/// Sets the owner and privileges of schema `public` inside the project's database, and creates schema `auth`.
pub(super) async fn prepare_database(url: &Secret, project: &str) -> Result<(), sqlx::Error> {
    let mut connection = connect_as_platform(url, Some(&project_database(project))).await?;
    let owner = ident(&DbRole::Owner.name(project));
    let script = format!(
        "BEGIN; ALTER SCHEMA public OWNER TO {owner}; SET LOCAL ROLE {owner}; {}; {}; COMMIT;",
        privileges_of_public(project),
        schema_auth(project)
    );
    let result = execute(&mut connection, script).await;
    let _ = connection.close().await;
    result
}

/// Returns statements that grant the privileges on schema `public`, and on tables and sequences that the owner creates
/// in it later. The owner must run them.
pub fn privileges_of_public(project: &str) -> String {
    let [_, app, anon, user, _] = DbRole::OF_EVERY_PROJECT.map(|role| ident(&role.name(project)));
    format!(
        "REVOKE ALL ON SCHEMA public FROM PUBLIC;
         GRANT USAGE ON SCHEMA public TO {app}, {anon}, {user};
         ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {app};
         ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT, UPDATE ON SEQUENCES TO {app}"
    )
}

/// Returns statements that grant the privileges of a new project, also on existing tables and sequences. The owner must
/// run them.
pub(super) fn standard_privileges(project: &str) -> String {
    let app = ident(&DbRole::App.name(project));
    format!(
        "{};
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {app};
         GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA public TO {app}",
        privileges_of_public(project)
    )
}

/// The functions that policies call. `data/schema/project_code.sql` contains their bodies too, to recognize them.
pub(super) const AUTH_FUNCTIONS: &str = "
         CREATE OR REPLACE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE AS
           $body$ SELECT NULLIF(pg_catalog.current_setting('request.jwt.claims', true), '')::pg_catalog.jsonb $body$;
         CREATE OR REPLACE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS
           $body$ SELECT (NULLIF(pg_catalog.current_setting('request.jwt.claims', true), '')::pg_catalog.jsonb
             OPERATOR(pg_catalog.->>) 'sub')::pg_catalog.uuid $body$;
         CREATE OR REPLACE FUNCTION auth.role() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS
           $body$ SELECT NULLIF(pg_catalog.current_setting('request.jwt.claims', true), '')::pg_catalog.jsonb
             OPERATOR(pg_catalog.->>) 'role' $body$;
         COMMENT ON FUNCTION auth.uid() IS 'Id of the signed-in user of this request, or null.';
         COMMENT ON FUNCTION auth.role() IS 'Claim role of the signed-in user of this request, or null.';
         COMMENT ON FUNCTION auth.jwt() IS 'All claims of the signed-in user of this request, or null.';";

/// Returns statements that create schema `auth` and its functions, and open the schema to the project's roles. The
/// owner must run them.
pub(super) fn schema_auth(project: &str) -> String {
    let [_, app, anon, user, backup] = DbRole::OF_EVERY_PROJECT.map(|role| ident(&role.name(project)));
    format!(
        "CREATE SCHEMA IF NOT EXISTS auth;
         GRANT USAGE ON SCHEMA auth TO {app}, {anon}, {user}, {backup};
         {AUTH_FUNCTIONS}"
    )
}

/// Drops the database with its sessions, the databases that restores created or kept, and the roles. Succeeds for those
/// that do not exist.
pub(super) async fn drop_database_and_roles(connection: &mut PgConnection, project: &str) -> Result<(), sqlx::Error> {
    let database = project_database(project);
    let others: Vec<String> =
        sqlx::query_scalar("SELECT datname::text FROM pg_database WHERE starts_with(datname, $1 || '_')")
            .bind(&database)
            .fetch_all(&mut *connection)
            .await?;
    for database in others.iter().chain([&database]) {
        drop_database(connection, database).await?;
    }
    // The backup role is a member of the owner role, so it is dropped first.
    for role in [DbRole::Query, DbRole::Auth, DbRole::Backup, DbRole::User, DbRole::Anon, DbRole::App, DbRole::Owner] {
        execute(connection, format!("DROP ROLE IF EXISTS {}", ident(&role.name(project)))).await?;
    }
    Ok(())
}

/// Closes the platform database and the server's maintenance databases to projects' roles. By default, every role may
/// connect to any database. Logs a warning for a database of another owner, which the platform's role can't close.
///
/// # Errors
/// Returns the error of the connection or of a statement.
pub async fn close_shared_databases(url: &Secret) -> Result<(), sqlx::Error> {
    let mut connection = connect_as_platform(url, None).await?;
    let databases: Vec<(String, bool)> = sqlx::query_as(
        "SELECT datname::text, pg_has_role(current_user, datdba, 'USAGE') FROM pg_database
         WHERE (datname = current_database() OR datname IN ('postgres', 'template1'))
           AND has_database_privilege('public', oid, 'CONNECT')",
    )
    .fetch_all(&mut connection)
    .await?;
    for (database, is_owner) in databases {
        if is_owner {
            execute(&mut connection, format!("REVOKE CONNECT ON DATABASE {} FROM PUBLIC", ident(&database))).await?;
        } else {
            tracing::warn!(
                database,
                "every role of the server may connect to this database; `atlashub doctor` shows the remedy"
            );
        }
    }
    connection.close().await
}
