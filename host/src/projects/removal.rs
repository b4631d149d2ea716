//! Removing a project: it stops working first, then everything of it goes, the row last.

use sqlx::Connection;

use super::{ProjectRef, ProjectsState, database, provisioning, queries};
use crate::error::{ApiError, ApiResult};

/// Runs to its end whether or not the caller waits; asked again after a failure, it goes on.
pub(super) async fn delete_project(state: &ProjectsState, project: &ProjectRef) -> ApiResult<()> {
    let (state, id) = (state.clone(), project.id.clone());
    tokio::spawn(async move { remove(&state, &id).await }).await.map_err(ApiError::internal)?.map_err(ApiError::from)
}

async fn remove(state: &ProjectsState, id: &str) -> Result<(), provisioning::ProvisionError> {
    let mut connection = database::connect_as_platform(&state.database_url, None).await?;
    provisioning::lock(&mut connection, id).await?;
    queries::set_state(&mut connection, id, "deleting").await?;
    state.projects.forget(id);
    state.keys.forget_project(id);
    // Other nodes forget the project's keys, too.
    queries::notify_key(&mut connection, &format!("project:{id}")).await?;
    provisioning::undo(state, &mut connection, id).await?;
    (state.forget)(id);
    let _ = connection.close().await;
    tracing::info!(project = id, "project removed");
    Ok(())
}
