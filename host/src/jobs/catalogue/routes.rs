//! Handlers of the admin surface for jobs, and for the preview of a schedule.

use api_types::{
    CheckJob, CreateJob, CronPreview, CronPreviewRequest, ErrorBody, Job, JobCheck, JobState, Page, PageQuery,
    RunStarted, UpdateJob,
};
use axum::{Extension, extract::State, http::StatusCode};
use chrono::Utc;
use serde::Deserialize;
use serde_json::json;

use super::{
    check, definitions,
    listing::{self, JobList, JobOrder},
    queries::JobFilter,
    start::{self, RunStartedResponse, run_started},
    validation,
};
use crate::{
    error::{ApiError, ApiResult},
    http::{ApiJson, ApiPath, ApiQuery, AuditDetails, AuditTarget, NoFields, NoQuery, OptionalJson},
    jobs::{
        Jobs,
        runs::routes::{parse_job_id, parse_run_id},
    },
};

const DEFAULT_PREVIEW: u32 = 5;
const MAX_PREVIEW: u32 = 100;
const MAX_RECENT_RUNS: u32 = 100;

/// Filter and page of a list of jobs.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct JobsQuery {
    /// Jobs per page, 1–200 (default 50).
    limit: Option<u32>,
    /// `nextCursor` of the previous page.
    cursor: Option<String>,
    project_id: Option<String>,
    plugin: Option<String>,
    enabled: Option<bool>,
    /// Only jobs whose name, plugin or URL contains this text (case-insensitive).
    q: Option<String>,
    /// Only jobs in this state: `failing`, `problem` or `disabled`.
    #[param(inline)]
    state: Option<JobState>,
    /// Sort key: `name`, `createdAt` (default), `nextRun`, `lastRun` or `failing` (failing jobs first). With `-` before
    /// it, the order is descending.
    order: Option<String>,
    /// Adds up to this number of newest runs to each job, 1–100.
    recent_runs: Option<u32>,
}

/// List jobs
///
/// Oldest first, unless `order` names another order.
#[utoipa::path(get, path = "/admin/v1/jobs", tag = "jobs", params(JobsQuery),
    responses((status = 200, body = Page<Job>), (status = 400, body = ErrorBody)))]
pub(crate) async fn list_jobs(
    State(jobs): State<Jobs>,
    ApiQuery(query): ApiQuery<JobsQuery>,
) -> ApiResult<ApiJson<Page<Job>>> {
    if query.recent_runs.is_some_and(|count| !(1..=MAX_RECENT_RUNS).contains(&count)) {
        return Err(ApiError::invalid(format!("`recentRuns` must be 1 to {MAX_RECENT_RUNS}.")));
    }
    let list = JobList {
        filter: JobFilter {
            project_id: query.project_id,
            plugin: query.plugin,
            enabled: query.enabled,
            q: query.q.map(|q| q.trim().to_owned()).filter(|q| !q.is_empty()),
        },
        state: query.state,
        order: query.order.as_deref().map(JobOrder::parse).transpose()?,
        recent_runs: query.recent_runs,
    };
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    Ok(ApiJson(listing::list_jobs(&jobs, &list, &page).await?))
}

/// Create a job
///
/// Header values and the body are sealed and never returned.
#[utoipa::path(post, path = "/admin/v1/jobs", tag = "jobs", request_body = CreateJob,
    responses((status = 201, body = Job), (status = 400, body = ErrorBody),
        (status = 422, description = "The job can't run, or its request is not allowed", body = ErrorBody)))]
pub(crate) async fn create_job(
    State(jobs): State<Jobs>,
    ApiJson(request): ApiJson<CreateJob>,
) -> ApiResult<(StatusCode, Extension<AuditTarget>, Extension<AuditDetails>, ApiJson<Job>)> {
    let job = definitions::create_job(&jobs, request).await?;
    let details = json!({
        "name": job.name, "type": job.r#type, "scheduleCron": job.schedule_cron, "projectId": job.project_id
    });
    Ok((StatusCode::CREATED, Extension(AuditTarget(job.id.clone())), Extension(AuditDetails(details)), ApiJson(job)))
}

/// Get a job
///
/// Includes its next fire times and its last run.
#[utoipa::path(get, path = "/admin/v1/jobs/{job}", tag = "jobs", params(("job" = String, Path)),
    responses((status = 200, body = Job), (status = 404, body = ErrorBody)))]
pub(crate) async fn get_job(
    State(jobs): State<Jobs>,
    ApiPath(job): ApiPath<String>,
    _: NoQuery,
) -> ApiResult<ApiJson<Job>> {
    Ok(ApiJson(listing::get_job(&jobs, parse_job_id(&job)?).await?))
}

/// Change a job
///
/// Omitted fields keep their values. Disabling a job cancels its queued runs, except manual ones; running ones
/// continue.
#[utoipa::path(patch, path = "/admin/v1/jobs/{job}", tag = "jobs", params(("job" = String, Path)),
    request_body = UpdateJob,
    responses((status = 200, body = Job), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody), (status = 422, body = ErrorBody)))]
pub(crate) async fn update_job(
    State(jobs): State<Jobs>,
    ApiPath(job): ApiPath<String>,
    ApiJson(request): ApiJson<UpdateJob>,
) -> ApiResult<(Extension<AuditDetails>, ApiJson<Job>)> {
    // Names only: values may be secret.
    let fields = match serde_json::to_value(&request) {
        Ok(serde_json::Value::Object(fields)) => fields.into_iter().map(|(name, _)| name).collect(),
        _ => Vec::new(),
    };
    let job = definitions::update_job(&jobs, parse_job_id(&job)?, request).await?;
    let details = json!({ "name": job.name, "fields": fields });
    Ok((Extension(AuditDetails(details)), ApiJson(job)))
}

/// Delete a job
///
/// Also deletes its history. Running runs are cancelled.
#[utoipa::path(delete, path = "/admin/v1/jobs/{job}", tag = "jobs", params(("job" = String, Path)),
    responses((status = 204), (status = 404, body = ErrorBody)))]
pub(crate) async fn delete_job(
    State(jobs): State<Jobs>,
    ApiPath(job): ApiPath<String>,
) -> ApiResult<(StatusCode, Extension<AuditDetails>)> {
    let name = definitions::delete_job(&jobs, parse_job_id(&job)?).await?;
    Ok((StatusCode::NO_CONTENT, Extension(AuditDetails(json!({ "name": name })))))
}

/// Run a job
///
/// Starts a run, even if the job is disabled. If runs may not overlap, the new one waits for the current one.
#[utoipa::path(post, path = "/admin/v1/jobs/{job}/run", tag = "jobs", params(("job" = String, Path)),
    responses((status = 202, body = RunStarted), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 422, body = ErrorBody)))]
pub(crate) async fn run_job(
    State(jobs): State<Jobs>,
    ApiPath(job): ApiPath<String>,
    OptionalJson(_): OptionalJson<NoFields>,
) -> ApiResult<RunStartedResponse> {
    let (run, name) = start::run_job(&jobs, parse_job_id(&job)?).await?;
    Ok(run_started(run, json!({ "name": name })))
}

/// Repeat a run
///
/// Starts a run that does the same work as one that has ended. A run of a job executes the job as it is defined now.
/// Any other run has the same plugin, parameters and time limit.
#[utoipa::path(post, path = "/admin/v1/runs/{run}/again", tag = "jobs", params(("run" = String, Path)),
    responses((status = 202, body = RunStarted), (status = 404, body = ErrorBody),
        (status = 409, description = "The run has not ended, or its project was deleted", body = ErrorBody),
        (status = 422, body = ErrorBody)))]
pub(crate) async fn run_again(
    State(jobs): State<Jobs>,
    ApiPath(run): ApiPath<String>,
) -> ApiResult<RunStartedResponse> {
    let (run, name) = start::run_again(&jobs, parse_run_id(&run)?).await?;
    Ok(run_started(run, json!({ "name": name })))
}

/// Check a job
///
/// Checks a definition without saving it, even if it is incomplete. Returns every problem with its field, the host and
/// whether requests to it are allowed, and the next fire times and the description of the schedule.
#[utoipa::path(post, path = "/admin/v1/jobs/check", tag = "jobs", request_body = CheckJob,
    responses((status = 200, body = JobCheck), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub(crate) async fn check_job(
    State(jobs): State<Jobs>,
    _: NoQuery,
    ApiJson(request): ApiJson<CheckJob>,
) -> ApiResult<ApiJson<JobCheck>> {
    Ok(ApiJson(check::check_job(&jobs, &request).await?))
}

/// Preview a schedule
///
/// Returns the next fire times of a schedule, and its description in words.
#[utoipa::path(post, path = "/admin/v1/cron/preview", tag = "jobs", request_body = CronPreviewRequest,
    responses((status = 200, body = CronPreview), (status = 400, body = ErrorBody)))]
pub(crate) async fn preview_cron(ApiJson(request): ApiJson<CronPreviewRequest>) -> ApiResult<ApiJson<CronPreview>> {
    let count = request.count.unwrap_or(DEFAULT_PREVIEW);
    if !(1..=MAX_PREVIEW).contains(&count) {
        return Err(ApiError::invalid(format!("`count` must be from 1 to {MAX_PREVIEW}.")));
    }
    let from = request.from.unwrap_or_else(Utc::now);
    if !(1..=4000).contains(&chrono::Datelike::year(&from)) {
        return Err(ApiError::invalid("`from` must be a time from the year 1 to 4000."));
    }
    let schedule = validation::parse_schedule(&request.schedule_cron, request.timezone.as_deref().unwrap_or("UTC"))?;
    let next = schedule.upcoming(from, count as usize);
    Ok(ApiJson(CronPreview { next, description: schedule.description() }))
}
