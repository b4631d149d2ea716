//! The role `proj_<id>_auth`, which owns the tables of end-user login.
//!
//! A project gets the role when it switches login on, or when a database with the tables is restored into it. All
//! functions are idempotent.

use sqlx::{Connection as _, PgConnection, PgPool};

use super::{
    auth_tables::{self, AuthTables},
    credentials::password_identity,
    database::{self, ident, role_name},
    queries,
};
use crate::{
    config::Secret,
    db::{DbRole, ProjectPools},
    error::{ApiError, ApiResult},
    projects::Projects,
    secrets::{self, Sealer},
};

/// The parts of this slice that end-user login needs.
#[derive(Clone)]
pub struct AuthResources {
    pub platform: PgPool,
    /// URL of the platform database. Projects' databases are on the same server.
    pub database_url: Secret,
    pub sealer: Sealer,
    pub pools: ProjectPools,
    pub projects: Projects,
}

/// Creates the project's role for end-user login and gives it schema `auth` with those of `tables` that exist there.
///
/// # Errors
/// 409 if the schema contains a table with one of the names that AtlasHub did not make.
pub async fn prepare_auth_role(resources: &AuthResources, project: &str, tables: AuthTables) -> ApiResult<()> {
    create(resources, project).await?;
    let mut connection =
        database::connect_as_platform(&resources.database_url, Some(&format!("proj_{project}"))).await?;
    let result = auth_tables::take_over(&mut connection, project, tables).await;
    let _ = connection.close().await;
    result
}

/// Takes the tables of end-user login over from the project's owner in a database that is being restored, if it has
/// them. Otherwise the owner could read passwords and change users.
///
/// # Errors
/// 409 if the tables differ from what AtlasHub made.
pub async fn take_over_restored(
    resources: &AuthResources,
    project: &str,
    database: &str,
    tables: AuthTables,
) -> ApiResult<()> {
    let mut connection = database::connect_as_platform(&resources.database_url, Some(database)).await?;
    let result = async {
        if !auth_tables::exist(&mut connection, tables).await? {
            return Ok(());
        }
        create(resources, project).await?;
        auth_tables::take_over(&mut connection, project, tables).await
    }
    .await;
    let _ = connection.close().await;
    result
}

async fn create(resources: &AuthResources, project: &str) -> ApiResult<()> {
    let password = secrets::random_password();
    let sealed = resources.sealer.seal(password.as_bytes(), &password_identity(project, DbRole::Auth));
    let sealed = sealed.map_err(ApiError::internal)?;
    queries::insert_missing_credential(&resources.platform, project, DbRole::Auth, &sealed).await?;
    let sealed = queries::credential(&resources.platform, project, DbRole::Auth).await?;
    let sealed = sealed.ok_or_else(|| ApiError::not_found("project"))?;
    let password =
        resources.sealer.open(&sealed, &password_identity(project, DbRole::Auth)).map_err(ApiError::internal)?;
    let password = std::str::from_utf8(&password).map_err(ApiError::internal)?;

    let mut connection = database::connect_as_platform(&resources.database_url, None).await?;
    let result = create_role(&mut connection, project, password).await;
    let _ = connection.close().await;
    Ok(result?)
}

async fn create_role(connection: &mut PgConnection, project: &str, password: &str) -> Result<(), sqlx::Error> {
    // Two nodes may do this at the same time. The lock is held until the connection closes.
    sqlx::query("SELECT pg_advisory_lock(hashtextextended('atlashub auth role ' || $1, 0))")
        .bind(project)
        .execute(&mut *connection)
        .await?;
    database::create_role(connection, project, DbRole::Auth, password).await?;
    let platform = database::platform_role(connection).await?;
    let role = ident(&role_name(project, DbRole::Auth));
    if !platform.is_superuser {
        let grant = format!("GRANT {role} TO {} WITH INHERIT TRUE, SET TRUE", ident(&platform.name));
        database::execute(connection, grant).await?;
    }
    let database = format!("proj_{project}");
    if !database::database_exists(connection, &database).await? {
        return Ok(());
    }
    database::execute(connection, format!("GRANT CONNECT ON DATABASE {} TO {role}", ident(&database))).await
}
