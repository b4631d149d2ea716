//! A project's database and roles in Postgres: the statements that make and unmake them.
//!
//! The database belongs to the platform's role, since a database's owner could open or drop it. Every statement
//! here can be run again: a retry after a crash goes on where the first try stopped.

use std::str::FromStr;

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};

use crate::{config::Secret, db::DbRole};

/// Name of a role of a project.
pub(super) fn role_name(project: &str, role: DbRole) -> String {
    format!("proj_{project}_{}", role.suffix())
}

/// Quotes a name of ours; ids are lowercase letters and digits, so this is a second lock on the door.
fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A connection as the platform's role, to the platform database or to a project's.
pub(super) async fn connect_as_platform(url: &Secret, database: Option<&str>) -> Result<PgConnection, sqlx::Error> {
    let mut options = PgConnectOptions::from_str(url.expose())?.application_name("atlashub provisioning");
    if let Some(database) = database {
        options = options.database(database);
    }
    options.disable_statement_logging().connect().await
}

async fn execute(connection: &mut PgConnection, sql: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop)
}

async fn exists(connection: &mut PgConnection, sql: &'static str, name: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar::<_, bool>(sql).bind(name).fetch_one(connection).await
}

/// The platform's own rights.
struct PlatformRole {
    name: String,
    superuser: bool,
}

async fn platform_role(connection: &mut PgConnection) -> Result<PlatformRole, sqlx::Error> {
    let (name, superuser) = sqlx::query_as::<_, (String, bool)>(
        "SELECT rolname::text, rolsuper FROM pg_roles WHERE rolname = current_user",
    )
    .fetch_one(connection)
    .await?;
    Ok(PlatformRole { name, superuser })
}

/// Makes the role, or gives it the password anew. Postgres gets the SCRAM verifier, so that the password
/// never stands in its log.
pub(super) async fn create_role(
    connection: &mut PgConnection,
    project: &str,
    role: DbRole,
    password: &str,
) -> Result<(), sqlx::Error> {
    let name = role_name(project, role);
    let verifier = postgres_protocol::password::scram_sha_256(password.as_bytes());
    let known = exists(connection, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", &name).await?;
    let bypass = match role {
        DbRole::App | DbRole::Backup => "BYPASSRLS",
        DbRole::Owner | DbRole::Anon | DbRole::User => "NOBYPASSRLS",
    };
    let verb = if known { "ALTER" } else { "CREATE" };
    // Naming NOSUPERUSER or NOREPLICATION needs a superuser; both are the default of a new role.
    execute(
        connection,
        format!("{verb} ROLE {} LOGIN NOCREATEDB NOCREATEROLE {bypass} PASSWORD '{verifier}'", ident(&name)),
    )
    .await
}

/// Sets the password again, for a role that changed its own.
pub(super) async fn reset_password(
    connection: &mut PgConnection,
    project: &str,
    role: DbRole,
    password: &str,
) -> Result<(), sqlx::Error> {
    let verifier = postgres_protocol::password::scram_sha_256(password.as_bytes());
    execute(connection, format!("ALTER ROLE {} PASSWORD '{verifier}'", ident(&role_name(project, role)))).await
}

/// Roles must exist. Makes the database and closes it to everybody else.
pub(super) async fn create_database(connection: &mut PgConnection, project: &str) -> Result<(), sqlx::Error> {
    let platform = platform_role(connection).await?;
    let database = format!("proj_{project}");
    let owner = ident(&role_name(project, DbRole::Owner));
    let backup = ident(&role_name(project, DbRole::Backup));
    if !platform.superuser {
        // Since Postgres 16 who makes a role may grant it, and needs the grant to act as it, and to end its sessions.
        for role in DbRole::ALL {
            let role = ident(&role_name(project, role));
            execute(connection, format!("GRANT {role} TO {} WITH INHERIT TRUE, SET TRUE", ident(&platform.name)))
                .await?;
        }
    }
    execute(connection, format!("GRANT {owner} TO {backup}")).await?;
    if !exists(connection, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", &database).await? {
        execute(connection, format!("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'", ident(&database))).await?;
    }
    let database = ident(&database);
    execute(connection, format!("REVOKE ALL ON DATABASE {database} FROM PUBLIC")).await?;
    execute(connection, format!("GRANT CONNECT, TEMPORARY, CREATE ON DATABASE {database} TO {owner}")).await?;
    for role in [DbRole::App, DbRole::Anon, DbRole::User, DbRole::Backup] {
        execute(connection, format!("GRANT CONNECT ON DATABASE {database} TO {}", ident(&role_name(project, role))))
            .await?;
    }
    if platform.superuser {
        // Error contexts are read by the gateway, which knows them in English.
        execute(connection, format!("ALTER DATABASE {database} SET lc_messages = 'C'")).await?;
    }
    Ok(())
}

/// Inside the project's database: who owns and may use schemas `public` and `auth`.
pub(super) async fn prepare_database(url: &Secret, project: &str) -> Result<(), sqlx::Error> {
    let mut connection = connect_as_platform(url, Some(&format!("proj_{project}"))).await?;
    let [owner, app, anon, user, backup] = DbRole::ALL.map(|role| ident(&role_name(project, role)));
    let script = format!(
        "BEGIN;
         ALTER SCHEMA public OWNER TO {owner};
         SET LOCAL ROLE {owner};
         REVOKE ALL ON SCHEMA public FROM PUBLIC;
         GRANT USAGE ON SCHEMA public TO {app}, {anon}, {user};
         ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {app};
         ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT, UPDATE ON SEQUENCES TO {app};
         CREATE SCHEMA IF NOT EXISTS auth;
         GRANT USAGE ON SCHEMA auth TO {app}, {anon}, {user}, {backup};
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
         COMMENT ON FUNCTION auth.jwt() IS 'All claims of the signed-in user of this request, or null.';
         COMMIT;"
    );
    let result = execute(&mut connection, script).await;
    let _ = connection.close().await;
    result
}

/// Removes the database and the roles, sessions and all; what is gone already is no error.
pub(super) async fn drop_database_and_roles(connection: &mut PgConnection, project: &str) -> Result<(), sqlx::Error> {
    let database = ident(&format!("proj_{project}"));
    execute(connection, format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)")).await?;
    // The backup role is a member of the owner: members first.
    for role in [DbRole::Backup, DbRole::User, DbRole::Anon, DbRole::App, DbRole::Owner] {
        execute(connection, format!("DROP ROLE IF EXISTS {}", ident(&role_name(project, role)))).await?;
    }
    Ok(())
}

/// Closes the platform's own database, and the server's maintenance databases where that is allowed, to the
/// roles of projects: by default every role may connect to any database.
pub async fn close_shared_databases(url: &Secret) -> Result<(), sqlx::Error> {
    let mut connection = connect_as_platform(url, None).await?;
    let databases: Vec<(String, bool)> = sqlx::query_as(
        "SELECT datname::text, pg_has_role(current_user, datdba, 'USAGE') FROM pg_database
         WHERE (datname = current_database() OR datname IN ('postgres', 'template1'))
           AND has_database_privilege('public', oid, 'CONNECT')",
    )
    .fetch_all(&mut connection)
    .await?;
    for (database, ours) in databases {
        if ours {
            execute(&mut connection, format!("REVOKE CONNECT ON DATABASE {} FROM PUBLIC", ident(&database))).await?;
        } else {
            tracing::warn!(
                database,
                "every role of the server may connect to this database; `atlashub doctor` says what to do"
            );
        }
    }
    connection.close().await
}
