//! Deletes a project: first it stops serving requests, then its databases, roles, files and rows are removed, the row
//! of the project last. Its backups stay.
//!
//! With a final backup the project keeps working until the backup is complete.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    database, provisioning,
    provisioning::LifecycleError,
    queries::{self, LockedProject},
};
use crate::{
    db::audit::{self, NewAuditEntry},
    error::{ApiError, ApiResult, Code},
    projects::{self, ProjectRef, ProjectsState, keys},
};

/// Deletes a project. Completes even if the caller stops waiting. Can be called again after a failure.
pub(super) async fn delete_project(state: &ProjectsState, project: &ProjectRef) -> ApiResult<()> {
    let (state, id) = (state.clone(), project.id.clone());
    tokio::spawn(async move { delete_now(&state, &id).await })
        .await
        .map_err(ApiError::internal)?
        .map_err(ApiError::from)
}

/// Starts a final backup, after which the project is deleted. Returns the backup's run.
pub(super) async fn delete_with_backup(state: &ProjectsState, project: &ProjectRef) -> ApiResult<Uuid> {
    let mut transaction = state.platform.begin().await?;
    match queries::lock_ready_project(&mut transaction, &project.id).await? {
        None => {
            return Err(ApiError::new(Code::Conflict, "The project is being deleted.")
                .with_hint("Send the request without `finalBackup` to finish the deletion."));
        }
        Some(project) if project.protected => return Err(protected()),
        Some(LockedProject { delete_after_run: Some(run), .. }) => {
            return Err(ApiError::new(
                Code::Conflict,
                format!("The project is already waiting for its final backup, run {run}."),
            )
            .with_hint("Wait for it, cancel that run, or delete the project without a final backup."));
        }
        Some(_) => {}
    }
    // A crash before the commit leaves a backup without a deletion, and the caller receives no response.
    let run = (state.begin_final_backup)(project.id.clone()).await?;
    queries::set_delete_after_run(&mut *transaction, &project.id, run).await?;
    transaction.commit().await?;
    state.projects.forget(&project.id);
    tracing::info!(project = project.id, %run, "a project will be deleted after its final backup");
    Ok(run)
}

/// Deletes a project that waits for the run, and writes the audit entry. Does nothing if the project no longer waits,
/// or another process works on it.
///
/// # Errors
/// Fails if a part of the project can't be removed. The project then stays in state `deleting`, and recovery removes
/// it.
pub async fn delete_after_run(state: &ProjectsState, id: &str, run: Uuid, entry: &NewAuditEntry) -> anyhow::Result<()> {
    let mut connection = database::connect_as_platform(&state.database_url, None).await?;
    let deleted = match provisioning::lock(&mut connection, id).await {
        Ok(()) => delete_waiting(state, &mut connection, id, run, entry).await,
        Err(LifecycleError::Busy) => Ok(()),
        Err(error) => Err(error),
    };
    provisioning::unlock(connection).await;
    Ok(deleted?)
}

/// Deletes a project whose lock `connection` holds, if it waits for the run.
async fn delete_waiting(
    state: &ProjectsState,
    connection: &mut PgConnection,
    id: &str,
    run: Uuid,
    entry: &NewAuditEntry,
) -> Result<(), LifecycleError> {
    if queries::begin_deletion(&mut *connection, id, run).await? {
        delete_locked(state, connection, id, Some(entry)).await?;
    }
    Ok(())
}

/// Keeps a project that waits for the run, stores the reason and writes the audit entry. Returns `false` if the project
/// no longer waits.
///
/// # Errors
/// Returns the error of a statement. In that case, nothing was changed.
pub async fn keep_after_run(
    state: &ProjectsState,
    id: &str,
    run: Uuid,
    problem: &str,
    entry: &NewAuditEntry,
) -> Result<bool, sqlx::Error> {
    let mut transaction = state.platform.begin().await?;
    let kept = queries::cancel_deletion(&mut *transaction, id, run, problem).await?;
    if kept {
        audit::record(&mut *transaction, entry).await?;
    }
    transaction.commit().await?;
    state.projects.forget(id);
    Ok(kept)
}

async fn delete_now(state: &ProjectsState, id: &str) -> Result<(), LifecycleError> {
    let mut connection = database::connect_as_platform(&state.database_url, None).await?;
    provisioning::lock(&mut connection, id).await?;
    let deleted = delete_unprotected(state, &mut connection, id).await;
    provisioning::unlock(connection).await;
    deleted
}

/// Deletes a project whose lock `connection` holds, unless it is protected.
async fn delete_unprotected(
    state: &ProjectsState,
    connection: &mut PgConnection,
    id: &str,
) -> Result<(), LifecycleError> {
    let has_begun = queries::begin_deletion_now(&mut *connection, id).await?;
    if !has_begun && projects::queries::project(&state.platform, id).await?.is_some() {
        return Err(LifecycleError::Protected);
    }
    delete_locked(state, connection, id, None).await
}

/// Returns the error for the deletion of a protected project.
pub(super) fn protected() -> ApiError {
    ApiError::new(Code::Conflict, "The project is protected from deletion.")
        .with_hint("Turn the protection off in its settings, or with `PATCH` and `{\"protected\":false}`.")
}

/// Deletes a project in state `deleting` or `creating` whose lock `connection` holds.
pub(super) async fn delete_locked(
    state: &ProjectsState,
    connection: &mut PgConnection,
    id: &str,
    entry: Option<&NewAuditEntry>,
) -> Result<(), LifecycleError> {
    state.projects.forget(id);
    state.keys.forget_project(id);
    keys::notify_project_changed(&mut *connection, id).await?;
    provisioning::remove_all(state, connection, id, entry).await?;
    (state.forget)(id);
    state.surveys.forget(id);
    tracing::info!(project = id, "deleted a project");
    Ok(())
}
