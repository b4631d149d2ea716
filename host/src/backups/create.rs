use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use super::BackupsState;
use crate::{
    db::{DatabaseName, DbError},
    error::{ApiError, ApiResult},
    jobs::NewRun,
};

/// The first-party plugin, and its job.
const PLUGIN: &str = "backup";
const JOB: &str = "backup";
/// Much longer than a large database takes; the plugin's own limit may be shorter.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

impl BackupsState {
    /// Begins a backup of `platform`, `project:<id>` or `all`, and answers its run.
    ///
    /// # Errors
    /// `invalid_request` for another target, 404 for a project that there isn't.
    pub async fn begin(&self, target: &str) -> ApiResult<Uuid> {
        let mut project_id = None;
        if target != "all" {
            let database: DatabaseName = target.parse().map_err(|_| {
                ApiError::invalid("`target` is none of `platform`, `project:<id>` and `all`.")
                    .with_hint("The id of a project is in its address and in the list of projects.")
            })?;
            match self.databases.title(&database).await {
                Err(DbError::Gone) => return Err(ApiError::not_found("project")),
                title => drop(title?),
            }
            if let DatabaseName::Project(id) = database {
                project_id = Some(id);
            }
        }
        let run = NewRun {
            plugin: PLUGIN.to_owned(),
            plugin_job: JOB.to_owned(),
            params: json!({ "target": target }),
            project_id,
            timeout: LONGEST,
        };
        self.jobs.start_run(&run).await
    }
}
