//! Finishing what a crash left: a project half made is undone, one half removed is removed.

use api_types::ProjectState;
use sqlx::{Connection, PgPool};

use super::{ProjectsState, database, provisioning, queries};

/// A project that is neither usable nor gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    pub id: String,
    pub name: String,
    pub state: ProjectState,
}

/// What there is to finish. Projects that a running process is at work on are among them.
pub async fn unfinished(platform: &PgPool) -> Result<Vec<Unfinished>, sqlx::Error> {
    let projects = queries::unready_projects(platform).await?;
    Ok(projects
        .into_iter()
        .map(|project| Unfinished { id: project.id, name: project.name, state: project.state })
        .collect())
}

/// Undoes or removes every project that nobody is at work on; answers those it finished. Nobody was shown the
/// keys of a project half made, so undoing it loses nothing.
pub async fn finish_unfinished(state: &ProjectsState) -> anyhow::Result<Vec<Unfinished>> {
    let mut finished = Vec::new();
    for project in unfinished(&state.platform).await? {
        let mut connection = database::connect_as_platform(&state.database_url, None).await?;
        match provisioning::lock(&mut connection, &project.id).await {
            // Read again under the lock: whoever held it may have finished since the list was read.
            Ok(()) if is_ready_or_gone(&state.platform, &project.id).await? => {}
            Ok(()) => {
                provisioning::undo(state, &mut connection, &project.id).await?;
                tracing::info!(project = project.id, state = ?project.state, "finished what was left of a project");
                finished.push(project);
            }
            Err(provisioning::ProvisionError::Busy) => {}
            Err(error) => return Err(error.into()),
        }
        let _ = connection.close().await;
    }
    Ok(finished)
}

async fn is_ready_or_gone(platform: &PgPool, id: &str) -> Result<bool, sqlx::Error> {
    Ok(unfinished(platform).await?.iter().all(|project| project.id != id))
}
