//! Manual runs: of a job, or of a plugin without a job.

use std::time::Duration;

use api_types::{RunStarted, RunStatus};
use axum::{Extension, http::StatusCode};
use serde_json::Value;
use uuid::Uuid;

use super::{
    definitions::{check_plugin_job, check_work, find_job},
    sealed,
};
use crate::{
    error::{ApiError, ApiResult, Code},
    http::{ApiJson, AuditDetails},
    jobs::{
        Jobs,
        runs::queries::{self, NewRunRow},
    },
};

/// A run that belongs to no job, for example a manual backup.
#[derive(Debug, Clone)]
pub struct NewRun {
    pub plugin: String,
    /// Empty for the plugin's only job, or for the job with the plugin's name.
    pub plugin_job: String,
    pub params: Value,
    pub project_id: Option<String>,
    pub timeout: Duration,
}

impl Jobs {
    /// Queues a run that belongs to no job and returns its id. A scheduler with a free permit starts the run.
    ///
    /// # Errors
    /// Returns 422 if the plugin can't run or has no such job, 400 if the parameters don't match the job's schema, and
    /// 503 if Postgres can't be reached.
    pub async fn start_run(&self, new: &NewRun) -> ApiResult<Uuid> {
        let id = Uuid::now_v7();
        self.start_run_with_id(id, new).await?;
        Ok(id)
    }

    /// Like [`Self::start_run`], for a run whose id was stored before.
    ///
    /// # Errors
    /// Fails like [`Self::start_run`].
    pub async fn start_run_with_id(&self, id: Uuid, new: &NewRun) -> ApiResult<()> {
        let plugin_job = check_plugin_job(self, &new.plugin, &new.plugin_job, &new.params).await?;
        let row = NewRunRow {
            id,
            project_id: new.project_id.as_deref(),
            plugin: &new.plugin,
            plugin_job: &plugin_job,
            params: &new.params,
            timeout_ms: i32::try_from(new.timeout.as_millis()).unwrap_or(i32::MAX).max(1),
        };
        Ok(queries::insert_run(self.platform(), &row).await?)
    }
}

/// Queues a run that repeats an ended one. Returns the run's id and the name of the job or plugin.
///
/// A run of a job executes the job as it is defined now. A run without a job has the plugin, the parameters and the
/// time limit of the ended one.
pub(super) async fn run_again(jobs: &Jobs, run: Uuid) -> ApiResult<(Uuid, String)> {
    let work = queries::get_run_work(jobs.platform(), run).await?.ok_or_else(|| ApiError::not_found("run"))?;
    if matches!(work.status, RunStatus::Queued | RunStatus::Running) {
        return Err(
            ApiError::new(Code::Conflict, "The run has not ended.").with_hint("Wait for its end, or cancel it.")
        );
    }
    if let Some(job) = work.job_id {
        return run_job(jobs, job).await;
    }
    if let Some(project) = &work.project_id {
        jobs.projects.get(project).await.map_err(|error| match error.code() {
            Code::NotFound => ApiError::new(Code::Conflict, "The run's project no longer exists."),
            _ => error,
        })?;
    }
    let new = NewRun {
        plugin: work.plugin,
        plugin_job: work.plugin_job,
        params: work.params,
        project_id: work.project_id,
        timeout: Duration::from_millis(u64::from(work.timeout_ms.unsigned_abs())),
    };
    Ok((jobs.start_run(&new).await?, new.plugin))
}

/// Queues a run of a job. Returns the run's id and the job's name. Also works if the job is disabled.
pub(super) async fn run_job(jobs: &Jobs, job: Uuid) -> ApiResult<(Uuid, String)> {
    let mut row = find_job(jobs, job).await?;
    let headers = sealed::read_headers(&jobs.sealer, &row)?;
    check_work(jobs, &mut row, None, &headers).await?;
    let id = Uuid::now_v7();
    let inserted = queries::insert_job_run(jobs.platform(), id, job).await?;
    if inserted { Ok((id, row.name)) } else { Err(ApiError::not_found("job")) }
}

/// The response of a request that started a run, with the details for the request's audit entry.
pub(crate) type RunStartedResponse = (StatusCode, Extension<AuditDetails>, ApiJson<RunStarted>);

/// Returns the response of a request that started this run. Adds the run's id to the audit details.
pub(crate) fn run_started(run: Uuid, mut details: Value) -> RunStartedResponse {
    let run_id = run.to_string();
    details["runId"] = run_id.as_str().into();
    (StatusCode::ACCEPTED, Extension(AuditDetails(details)), ApiJson(RunStarted { run_id }))
}
