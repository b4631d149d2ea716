//! Removing a project: it stops working first, then everything of it goes, the row last. Where a final backup was asked
//! for it works on until that is there.

use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::{ProjectRef, ProjectsState, database, provisioning, queries, removal_queries};
use crate::error::{ApiError, ApiResult, Code};

/// Runs to its end whether or not the caller waits; asked again after a failure, it goes on.
pub(super) async fn delete_project(state: &ProjectsState, project: &ProjectRef) -> ApiResult<()> {
    let (state, id) = (state.clone(), project.id.clone());
    tokio::spawn(async move { remove(&state, &id).await }).await.map_err(ApiError::internal)?.map_err(ApiError::from)
}

/// Begins a final backup, and lets the project wait for it; answers the run.
pub(super) async fn delete_with_backup(state: &ProjectsState, project: &ProjectRef) -> ApiResult<Uuid> {
    let mut transaction = state.platform.begin().await?;
    let waits_for = removal_queries::lock_ready(&mut transaction, &project.id).await?;
    match waits_for {
        None => {
            return Err(ApiError::new(Code::Conflict, "The project is being deleted.")
                .with_hint("Leave `finalBackup` out to go on with that."));
        }
        Some(Some(run)) => {
            return Err(ApiError::new(Code::Conflict, format!("The project waits for its final backup, run {run}."))
                .with_hint("Wait for it, cancel that run, or delete the project without a final backup."));
        }
        Some(None) => {}
    }
    // A crash between the two leaves a backup and no deletion, and nobody was told of one.
    let run = (state.begin_final_backup)(project.id.clone()).await?;
    removal_queries::wait_for(&mut *transaction, &project.id, run).await?;
    transaction.commit().await?;
    state.projects.forget(&project.id);
    tracing::info!(project = project.id, %run, "a project will be deleted after its final backup");
    Ok(run)
}

/// Removes a project that waits for the run; false where it doesn't any more, or another process is at work on it.
pub async fn delete_after_run(state: &ProjectsState, id: &str, run: Uuid) -> anyhow::Result<bool> {
    let mut connection = database::connect_as_platform(&state.database_url, None).await?;
    match provisioning::lock(&mut connection, id).await {
        Ok(()) => {}
        Err(provisioning::ProvisionError::Busy) => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    let ours = removal_queries::begin_deletion(&mut connection, id, run).await?;
    if ours {
        remove_locked(state, &mut connection, id).await?;
    }
    let _ = connection.close().await;
    Ok(ours)
}

/// Lets a project that waits for the run go on as before, and says why; false where it doesn't wait any more.
pub async fn keep_after_run(state: &ProjectsState, id: &str, run: Uuid, problem: &str) -> Result<bool, sqlx::Error> {
    let kept = removal_queries::keep(&state.platform, id, run, problem).await?;
    state.projects.forget(id);
    Ok(kept)
}

async fn remove(state: &ProjectsState, id: &str) -> Result<(), provisioning::ProvisionError> {
    let mut connection = database::connect_as_platform(&state.database_url, None).await?;
    provisioning::lock(&mut connection, id).await?;
    queries::set_state(&mut connection, id, "deleting").await?;
    remove_locked(state, &mut connection, id).await?;
    let _ = connection.close().await;
    Ok(())
}

/// Of a project in state `deleting`, under its lock.
async fn remove_locked(
    state: &ProjectsState,
    connection: &mut PgConnection,
    id: &str,
) -> Result<(), provisioning::ProvisionError> {
    state.projects.forget(id);
    state.keys.forget_project(id);
    // Other nodes forget the project's keys, too.
    queries::notify_key(&mut *connection, &format!("project:{id}")).await?;
    provisioning::undo(state, connection, id).await?;
    (state.forget)(id);
    tracing::info!(project = id, "project removed");
    Ok(())
}
