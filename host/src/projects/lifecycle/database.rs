//! The statements that create and drop a project's database and roles.
//!
//! The platform's role owns the database: an owner among the project's roles could open it to others, or drop it. Every
//! function here is idempotent, so that it can be called again after a failure.

use std::str::FromStr;

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};

use crate::{config::Secret, db::DbRole};

/// Returns the name of a project's role in Postgres.
fn role_name(project: &str, role: DbRole) -> String {
    format!("proj_{project}_{}", role.suffix())
}

/// Quotes an identifier. Project ids are lowercase letters and digits, so this is a second line of defence.
fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Connects as the platform's role, to `database` or else to the platform database.
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

/// The role that the platform connects as.
struct PlatformRole {
    name: String,
    is_superuser: bool,
}

async fn platform_role(connection: &mut PgConnection) -> Result<PlatformRole, sqlx::Error> {
    let (name, is_superuser) = sqlx::query_as::<_, (String, bool)>(
        "SELECT rolname::text, rolsuper FROM pg_roles WHERE rolname = current_user",
    )
    .fetch_one(connection)
    .await?;
    Ok(PlatformRole { name, is_superuser })
}

/// Creates the role, or resets its password if it exists. Postgres gets the SCRAM verifier, so that the password never
/// appears in its log.
pub(super) async fn create_role(
    connection: &mut PgConnection,
    project: &str,
    role: DbRole,
    password: &str,
) -> Result<(), sqlx::Error> {
    let name = role_name(project, role);
    let verifier = postgres_protocol::password::scram_sha_256(password.as_bytes());
    let role_exists = exists(connection, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", &name).await?;
    let bypass = match role {
        DbRole::App | DbRole::Backup => "BYPASSRLS",
        DbRole::Owner | DbRole::Anon | DbRole::User => "NOBYPASSRLS",
    };
    let verb = if role_exists { "ALTER" } else { "CREATE" };
    // NOSUPERUSER and NOREPLICATION are the defaults of a new role; only a superuser may specify them.
    execute(
        connection,
        format!("{verb} ROLE {} LOGIN NOCREATEDB NOCREATEROLE {bypass} PASSWORD '{verifier}'", ident(&name)),
    )
    .await
}

/// Sets the password of a role and removes the settings that are stored for it. Any role can change its own password
/// and settings.
pub(super) async fn reset_role(
    connection: &mut PgConnection,
    project: &str,
    role: DbRole,
    password: &str,
) -> Result<(), sqlx::Error> {
    let verifier = postgres_protocol::password::scram_sha_256(password.as_bytes());
    let (name, database) = (ident(&role_name(project, role)), ident(&format!("proj_{project}")));
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
    let database = format!("proj_{project}");
    let owner = ident(&role_name(project, DbRole::Owner));
    let backup = ident(&role_name(project, DbRole::Backup));
    if !platform.is_superuser {
        // Since Postgres 16 the creator of a role may grant it, and needs the grant to act as the role and to end its
        // sessions.
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
    if platform.is_superuser {
        // The gateway parses error contexts, which must be in English.
        execute(connection, format!("ALTER DATABASE {database} SET lc_messages = 'C'")).await?;
    }
    Ok(())
}

/// Sets the owners and privileges of the schemas `public` and `auth` inside the project's database.
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

/// Drops the database with its sessions, and the roles. Succeeds for those that do not exist.
pub(super) async fn drop_database_and_roles(connection: &mut PgConnection, project: &str) -> Result<(), sqlx::Error> {
    let database = ident(&format!("proj_{project}"));
    execute(connection, format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)")).await?;
    // The backup role is a member of the owner role, so it goes first.
    for role in [DbRole::Backup, DbRole::User, DbRole::Anon, DbRole::App, DbRole::Owner] {
        execute(connection, format!("DROP ROLE IF EXISTS {}", ident(&role_name(project, role)))).await?;
    }
    Ok(())
}

/// Revokes access of projects' roles to the platform database, and to the server's maintenance databases where the
/// platform's role may do that: by default every role may connect to any database.
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
                "every role of the server may connect to this database; run `atlashub doctor` to see what to do"
            );
        }
    }
    connection.close().await
}
