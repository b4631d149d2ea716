//! Removes projects whose creation or deletion a crash or an error interrupted, and creates the missing resources of a
//! project whose rows were restored.

use api_types::ProjectState;
use sqlx::{PgConnection, PgPool};

use super::{
    SealedCredentials, database, extensions,
    provisioning::{self, LifecycleError},
    queries as changes, removal,
};
use crate::{
    db::{Credentials as _, DbRole, audit::NewAuditEntry, project_database},
    error::describe_cause,
    object_store::project_bucket,
    projects::{ProjectsState, queries},
};

/// A project that is being created or deleted, or whose creation or deletion a crash or an error interrupted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedProject {
    pub id: String,
    pub name: String,
    pub state: ProjectState,
}

/// Returns the projects that are not ready, including those that a running process works on.
///
/// # Errors
/// Returns the error of the query.
pub async fn unfinished_projects(platform: &PgPool) -> Result<Vec<UnfinishedProject>, sqlx::Error> {
    let projects = queries::unfinished_projects(platform).await?;
    Ok(projects
        .into_iter()
        .map(|project| UnfinishedProject { id: project.id, name: project.name, state: project.state })
        .collect())
}

/// The differences between the projects and the databases of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseDifferences {
    /// Id and name of each ready project whose database does not exist.
    pub missing: Vec<(String, String)>,
    /// Names of databases whose project does not exist. They may belong to another installation on the same server.
    pub unknown: Vec<String>,
}

/// Compares the projects with the databases of the server.
///
/// # Errors
/// Returns the error of a query.
pub async fn compare_databases(platform: &PgPool) -> Result<DatabaseDifferences, sqlx::Error> {
    let missing = queries::projects_without_database(platform).await?;
    Ok(DatabaseDifferences { missing, unknown: queries::databases_without_project(platform).await? })
}

/// Removes every unfinished project that no process works on, and returns the removed ones.
///
/// Removing a project in state `creating` loses nothing: its keys were never returned. Its name is freed first. If a
/// part of a project can't be removed, logs the cause, and goes on with the other projects.
///
/// # Errors
/// Fails if the projects can't be listed.
pub async fn finish_unfinished_projects(state: &ProjectsState) -> anyhow::Result<Vec<UnfinishedProject>> {
    let mut finished = Vec::new();
    for project in unfinished_projects(&state.platform).await? {
        match remove_unfinished(state, &project).await {
            Ok(true) => {
                tracing::info!(project = project.id, state = %project.state, "removed an unfinished project");
                finished.push(project);
            }
            Ok(false) => {}
            Err(error) => tracing::error!(
                project = project.id,
                state = %project.state,
                cause = describe_cause(error.as_ref()),
                "could not remove an unfinished project; the next sweep tries again"
            ),
        }
    }
    Ok(finished)
}

/// Removes an unfinished project. Returns `false`, and changes nothing, if another process works on it or has finished.
async fn remove_unfinished(state: &ProjectsState, project: &UnfinishedProject) -> anyhow::Result<bool> {
    let mut connection = database::connect_as_platform(&state.database_url, None).await?;
    let is_removed = match provisioning::lock(&mut connection, &project.id).await {
        Ok(()) => remove_locked(state, &mut connection, project).await,
        Err(LifecycleError::Busy) => Ok(false),
        Err(error) => Err(error),
    };
    provisioning::unlock(connection).await;
    Ok(is_removed?)
}

/// Removes an unfinished project whose lock `connection` holds. Returns `false` if another process has finished it.
async fn remove_locked(
    state: &ProjectsState,
    connection: &mut PgConnection,
    project: &UnfinishedProject,
) -> Result<bool, LifecycleError> {
    // Read again under the lock: its previous holder may have finished since the list was read.
    if is_ready_or_gone(&state.platform, &project.id).await? {
        return Ok(false);
    }
    changes::free_name(&mut *connection, &project.id).await?;
    let entry = deletion_entry(project);
    removal::delete_locked(state, connection, &project.id, entry.as_ref()).await?;
    Ok(true)
}

/// Returns the audit entry for the end of an interrupted deletion. The request's own entry says that its outcome is
/// unknown, or that it failed. An interrupted creation has only the entry of its request.
fn deletion_entry(project: &UnfinishedProject) -> Option<NewAuditEntry> {
    (project.state == ProjectState::Deleting).then(|| {
        let mut entry = NewAuditEntry::new("system", "project.delete");
        entry.project_id = Some(project.id.clone());
        entry.target = Some(project.id.clone());
        entry.details = serde_json::json!({ "name": project.name });
        entry
    })
}

/// Creates the missing resources of a ready project: the roles that every project has, its database and its bucket.
/// Sets the stored passwords of these roles. Returns whether the database was missing, and is therefore empty.
///
/// # Errors
/// Fails if another process works on the project, or if a resource can't be created.
pub async fn ensure_resources(state: &ProjectsState, id: &str) -> anyhow::Result<bool> {
    let mut connection = database::connect_as_platform(&state.database_url, None).await?;
    provisioning::lock(&mut connection, id).await?;
    let was_missing = create_resources(state, &mut connection, id).await;
    provisioning::unlock(connection).await;
    was_missing
}

/// Creates the missing resources of a project whose lock `connection` holds. Returns whether the database was missing.
async fn create_resources(state: &ProjectsState, connection: &mut PgConnection, id: &str) -> anyhow::Result<bool> {
    let credentials = SealedCredentials::new(state.platform.clone(), state.database_url.clone(), state.sealer.clone());
    for role in DbRole::OF_EVERY_PROJECT {
        let password = credentials.password(id, role).await?;
        database::create_role(connection, id, role, password.expose()).await?;
    }
    let is_missing = !database::database_exists(connection, &project_database(id)).await?;
    database::create_database(connection, id).await?;
    if is_missing {
        database::prepare_database(&state.database_url, id).await?;
        extensions::apply_to_project(state, id).await?;
    }
    state.store.ensure_bucket(&project_bucket(id)).await?;
    Ok(is_missing)
}

async fn is_ready_or_gone(platform: &PgPool, id: &str) -> Result<bool, sqlx::Error> {
    let project = queries::project(platform, id).await?;
    Ok(project.is_none_or(|project| project.state == ProjectState::Ready))
}
