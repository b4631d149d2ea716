//! The role `proj_<id>_auth`, which owns the tables of end-user login.
//!
//! The role is created when a project switches login on, or when a database with the tables is restored into it. All
//! functions are idempotent.

use sqlx::{Connection as _, PgPool};

use super::{
    auth_tables::{self, AuthTables},
    database,
    optional_role::OptionalRole,
};
use crate::{
    config::Secret,
    db::{DbRole, ProjectPools, project_database},
    error::ApiResult,
    projects::Projects,
    secrets::Sealer,
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
/// Returns 409 if the schema contains tables or other objects that AtlasHub did not create and can't take over, 404 if
/// the project does not exist, and 503 if Postgres can't be reached.
pub async fn prepare_auth_role(resources: &AuthResources, project: &str, tables: AuthTables) -> ApiResult<()> {
    create(resources, project).await?;
    let mut connection =
        database::connect_as_platform(&resources.database_url, Some(&project_database(project))).await?;
    let result = auth_tables::take_over(&mut connection, project, tables).await;
    let _ = connection.close().await;
    result
}

/// Makes the project's role for login the owner of the tables of end-user login in a database that is being restored,
/// if the database contains them. An archive is loaded as the project's owner, who could otherwise read passwords and
/// change users.
///
/// # Errors
/// Fails like [`prepare_auth_role`].
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
    let AuthResources { platform, database_url, sealer, .. } = resources;
    let role = OptionalRole { platform, database_url, sealer, role: DbRole::Auth };
    let _ = role.create(project).await?.close().await;
    Ok(())
}
