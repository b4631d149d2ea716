//! Starts runs that create backups.

use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use super::BackupsState;
use crate::{
    db::{DatabaseName, DbError},
    error::{ApiError, ApiResult},
    jobs::NewRun,
};

/// The first-party plugin that creates backups, and its job.
pub(super) const PLUGIN: &str = "backup";
pub(super) const JOB: &str = "backup";
/// Time limit of a run. This is enough for large databases. The plugin's own limit may be shorter.
const RUN_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// Hint for a target that is not the id of a project.
const PROJECT_IDS: &str = "The list of projects shows the id of each project.";

/// The content of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupContent {
    DatabaseOnly,
    /// The databases, and the objects of projects.
    WithObjects,
}

impl BackupsState {
    /// Starts a backup of `platform`, `project:<id>` or `all`. Returns the id of its run and, for a project, the
    /// project's name.
    ///
    /// # Errors
    /// Returns `invalid_request` for any other target or for the platform with objects, 404 if the project doesn't
    /// exist or isn't ready, and the errors of `Jobs::start_run`.
    pub async fn start_backup(&self, target: &str, content: BackupContent) -> ApiResult<(Uuid, Option<String>)> {
        let (mut project_id, mut name) = (None, None);
        if content == BackupContent::WithObjects && target == "platform" {
            return Err(ApiError::invalid("`objects` is for projects: the platform has no objects.")
                .with_hint("Leave `objects` out, or back up `all`."));
        }
        if target != "all" {
            let database: DatabaseName = target.parse().map_err(|_| match target.strip_prefix("project:") {
                // No project has this id.
                Some(id) if !id.is_empty() => ApiError::not_found("project").with_hint(PROJECT_IDS),
                _ => ApiError::invalid("`target` must be `platform`, `project:<id>` or `all`.").with_hint(PROJECT_IDS),
            })?;
            match self.databases.title(&database).await {
                Err(DbError::Gone) => return Err(ApiError::not_found("project").with_hint(PROJECT_IDS)),
                title => name = title?,
            }
            if let DatabaseName::Project(id) = database {
                project_id = Some(id);
            }
        }
        let params = match content {
            BackupContent::DatabaseOnly => json!({ "target": target }),
            BackupContent::WithObjects => json!({ "target": target, "objects": true }),
        };
        let run =
            NewRun { plugin: PLUGIN.to_owned(), plugin_job: JOB.to_owned(), params, project_id, timeout: RUN_TIMEOUT };
        Ok((self.jobs.start_run(&run).await?, name))
    }
}
