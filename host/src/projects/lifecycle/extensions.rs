//! Prevents a project's SQL from creating extensions, unless `ATLASHUB_SQL_CREATE_EXTENSION` allows it.
//!
//! Every role with `CREATE` on a database can create trusted extensions in it, and the owner role needs `CREATE` for
//! schemas. Checking the text of a statement can't prevent that, because functions can build SQL at run time. So each
//! project's database has an event trigger that refuses `CREATE EXTENSION`, unless the variable allows it. Only a
//! superuser can create event triggers. If the platform's role is not a superuser, projects can create every trusted
//! extension.

use sqlx::{Connection as _, PgConnection};

use super::database;
use crate::{
    config::Secret,
    db::project_database,
    projects::{ProjectsState, queries},
};

const TRIGGER: &str = "atlashub_refuse_extension";

/// Creates the event trigger, its function and their schema. They are members of the extension `plpgsql`, so that dumps
/// don't contain them. A superuser's session is exempt, even after `SET ROLE`.
const CREATE_TRIGGER: &str = "BEGIN;
    CREATE SCHEMA IF NOT EXISTS atlashub_internal;
    ALTER SCHEMA atlashub_internal OWNER TO CURRENT_USER;
    DROP FUNCTION IF EXISTS atlashub_internal.refuse_extension();
    CREATE FUNCTION atlashub_internal.refuse_extension() RETURNS event_trigger LANGUAGE plpgsql SET search_path = '' AS
    $body$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = session_user AND rolsuper) THEN
            RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
                MESSAGE = 'extensions can''t be created in this project',
                HINT = 'Set ATLASHUB_SQL_CREATE_EXTENSION=true to allow it for extensions that Postgres trusts.';
        END IF;
    END $body$;
    REVOKE ALL ON FUNCTION atlashub_internal.refuse_extension() FROM PUBLIC;
    CREATE EVENT TRIGGER atlashub_refuse_extension ON ddl_command_start WHEN TAG IN ('CREATE EXTENSION')
        EXECUTE FUNCTION atlashub_internal.refuse_extension();
    ALTER EXTENSION plpgsql ADD SCHEMA atlashub_internal;
    ALTER EXTENSION plpgsql ADD FUNCTION atlashub_internal.refuse_extension();
    ALTER EXTENSION plpgsql ADD EVENT TRIGGER atlashub_refuse_extension;
    COMMIT";

/// Applies the setting to the databases of all ready projects. Logs a failure, and continues with the next database.
///
/// # Errors
/// Returns the error of the query for the projects.
pub async fn apply_extension_setting(state: &ProjectsState) -> Result<(), sqlx::Error> {
    for project in queries::ready_projects(&state.platform).await? {
        if let Err(error) = apply_to_project(state, &project).await {
            tracing::warn!(project, %error, "could not apply ATLASHUB_SQL_CREATE_EXTENSION to a project's database");
        }
    }
    Ok(())
}

/// Applies the setting to one project's database.
pub(super) async fn apply_to_project(state: &ProjectsState, project: &str) -> Result<(), sqlx::Error> {
    apply_to_database(&state.database_url, &project_database(project), state.allow_create_extension).await
}

/// Applies the setting to the database with this name, which may be one that a restore has just loaded.
pub(super) async fn apply_to_database(url: &Secret, database: &str, is_allowed: bool) -> Result<(), sqlx::Error> {
    let mut connection = database::connect_as_platform(url, Some(database)).await?;
    let result = apply(&mut connection, is_allowed).await;
    let _ = connection.close().await;
    result
}

async fn apply(connection: &mut PgConnection, is_allowed: bool) -> Result<(), sqlx::Error> {
    // The project controls the contents of the database. So names must not resolve to its objects, and a lock that it
    // holds must not make this connection wait forever.
    sqlx::raw_sql("SET search_path = ''; SET lock_timeout = 5000").execute(&mut *connection).await?;
    let is_superuser: bool =
        sqlx::query_scalar("SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user")
            .fetch_one(&mut *connection)
            .await?;
    if !is_superuser {
        return Ok(());
    }
    let is_enabled: Option<bool> =
        sqlx::query_scalar("SELECT evtenabled <> 'D' FROM pg_catalog.pg_event_trigger WHERE evtname = $1")
            .bind(TRIGGER)
            .fetch_optional(&mut *connection)
            .await?;
    let statement = match (is_enabled, is_allowed) {
        (None, false) => CREATE_TRIGGER,
        (Some(false), false) => "ALTER EVENT TRIGGER atlashub_refuse_extension ENABLE",
        (Some(true), true) => "ALTER EVENT TRIGGER atlashub_refuse_extension DISABLE",
        (None | Some(false), true) | (Some(true), false) => return Ok(()),
    };
    sqlx::raw_sql(statement).execute(connection).await.map(drop)
}
