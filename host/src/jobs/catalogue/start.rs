//! Runs by hand, of jobs and of none, and the lease that fences what a run writes.

use std::time::Duration;

use api_types::{JobType, Run};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    sealed,
    validation::{HTTP_PLUGIN, HTTP_PLUGIN_JOB},
};
use crate::error::{ApiError, ApiResult, Code};
use crate::jobs::{
    JobsState,
    names::parse_job_type,
    queries::{self, NewRunRow},
};

/// Work that belongs to no job, for example a backup by hand.
#[derive(Debug, Clone)]
pub struct NewRun {
    pub plugin: String,
    /// Empty for the plugin's only one.
    pub plugin_job: String,
    pub params: Value,
    pub project_id: Option<String>,
    pub timeout: Duration,
}

impl JobsState {
    /// Queues a run; a scheduler takes it up at once. Answers its id.
    ///
    /// # Errors
    /// `unprocessable` where no plugin can run it, `invalid_request` where the parameters don't fit.
    pub async fn begin_run(&self, new: &NewRun) -> ApiResult<Uuid> {
        let plugin_job = self.check_runner(&new.plugin, &new.plugin_job, &new.params).await?;
        let row = NewRunRow {
            id: Uuid::now_v7(),
            project_id: new.project_id.as_deref(),
            plugin: &new.plugin,
            plugin_job: &plugin_job,
            params: &new.params,
            timeout_ms: i32::try_from(new.timeout.as_millis()).unwrap_or(i32::MAX).max(1),
        };
        queries::begin_run(&self.platform, &row).await?;
        Ok(row.id)
    }

    /// Queues a run of a job, also of a disabled one.
    pub(in crate::jobs) async fn run_now(&self, job: Uuid) -> ApiResult<Uuid> {
        let row = self.job_row(job).await?;
        match parse_job_type(&row.job_type) {
            JobType::Http => {
                let (url, method) = (row.http_url.as_deref().unwrap_or_default(), row.http_method.as_deref());
                let headers = self.header_names(&row)?;
                let has_body = row.http_body_json.is_some();
                let params = sealed::http_params(url, method.unwrap_or("GET"), &headers, has_body, row.timeout_ms);
                self.check_runner(HTTP_PLUGIN, HTTP_PLUGIN_JOB, &params).await?;
            }
            JobType::Platform => {
                let (plugin, plugin_job) = (row.plugin.as_deref(), row.plugin_job.as_deref());
                self.check_runner(plugin.unwrap_or_default(), plugin_job.unwrap_or_default(), &row.params).await?;
            }
        }
        let id = Uuid::now_v7();
        if queries::begin_job_run(&self.platform, id, job).await? { Ok(id) } else { Err(ApiError::not_found("job")) }
    }

    /// A run as it stands now.
    ///
    /// # Errors
    /// 404 where there is none.
    pub async fn run(&self, id: Uuid) -> ApiResult<Run> {
        let row = queries::run(&self.platform, id).await?.ok_or_else(|| ApiError::not_found("run"))?;
        Ok(row.into_wire())
    }

    /// Cancels a run that waits or goes on, on whichever node.
    ///
    /// # Errors
    /// 404 where there is none, 409 where it has ended.
    pub async fn cancel_run(&self, id: Uuid) -> ApiResult<Run> {
        let cancelled = queries::cancel(&self.platform, id).await?;
        let run = self.run(id).await?;
        if cancelled { Ok(run) } else { Err(ApiError::new(Code::Conflict, "The run has ended.")) }
    }

    /// For work on behalf of a run that can't be one transaction: true where the run holds its lease at this moment. What
    /// comes right after it is as good as fenced: the run is stopped before the lease that was seen is over.
    ///
    /// # Errors
    /// 503 where Postgres can't be asked.
    pub async fn lease_lasts(&self, run: Uuid, lease: Uuid) -> ApiResult<bool> {
        Ok(queries::lease_lasts(&self.platform, run, lease).await?)
    }

    /// For a transaction that writes on behalf of a run: true where the run still holds its lease, and then nobody
    /// takes it away before the transaction ends.
    pub async fn hold_lease(transaction: &mut PgConnection, run: Uuid, lease: Uuid) -> Result<bool, sqlx::Error> {
        queries::lease_is_held(transaction, run, lease).await
    }
}
