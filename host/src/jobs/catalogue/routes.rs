use api_types::{CreateJob, CronPreview, CronPreviewRequest, ErrorBody, Job, Page, PageQuery, RunStarted, UpdateJob};
use axum::{Extension, extract::State, http::StatusCode};
use chrono::Utc;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::validation;
use crate::jobs::{JobsState, queries::JobFilter};
use crate::{
    error::{ApiError, ApiResult},
    http::{ApiJson, ApiPath, ApiQuery, AuditDetails, AuditTarget, PageRequest},
};

const DEFAULT_PREVIEW: u32 = 5;
const MAX_PREVIEW: u32 = 100;

/// Narrows the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct JobsQuery {
    /// Jobs a page, 1 to 200; 50 unless told.
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
    project_id: Option<String>,
    plugin: Option<String>,
    enabled: Option<bool>,
}

/// Jobs, oldest first.
#[utoipa::path(get, path = "/admin/v1/jobs", tag = "jobs", params(JobsQuery),
    responses((status = 200, body = Page<Job>), (status = 400, body = ErrorBody)))]
pub(crate) async fn list_jobs(
    State(state): State<JobsState>,
    ApiQuery(query): ApiQuery<JobsQuery>,
) -> ApiResult<ApiJson<Page<Job>>> {
    let request = PageRequest::<Uuid>::parse(&PageQuery { limit: query.limit, cursor: query.cursor })?;
    let filter = JobFilter {
        project_id: plain("projectId", query.project_id)?,
        plugin: plain("plugin", query.plugin)?,
        enabled: query.enabled,
    };
    Ok(ApiJson(state.list_jobs(&filter, &request).await?))
}

/// Makes a job. Values of headers and the body are sealed and never shown again.
#[utoipa::path(post, path = "/admin/v1/jobs", tag = "jobs", request_body = CreateJob,
    responses((status = 201, body = Job), (status = 400, body = ErrorBody),
        (status = 422, description = "No plugin can run it", body = ErrorBody)))]
pub(crate) async fn create_job(
    State(state): State<JobsState>,
    ApiJson(request): ApiJson<CreateJob>,
) -> ApiResult<(StatusCode, Extension<AuditTarget>, Extension<AuditDetails>, ApiJson<Job>)> {
    let job = state.create_job(request).await?;
    let details = json!({ "name": job.name, "type": job.r#type, "scheduleCron": job.schedule_cron });
    Ok((StatusCode::CREATED, Extension(AuditTarget(job.id.clone())), Extension(AuditDetails(details)), ApiJson(job)))
}

/// One job, with its next fire times and its last run.
#[utoipa::path(get, path = "/admin/v1/jobs/{job}", tag = "jobs", params(("job" = String, Path)),
    responses((status = 200, body = Job), (status = 404, body = ErrorBody)))]
pub(crate) async fn get_job(State(state): State<JobsState>, ApiPath(job): ApiPath<String>) -> ApiResult<ApiJson<Job>> {
    Ok(ApiJson(state.get_job(job_id(&job)?).await?))
}

/// Changes a job; what is left out stays. Disabling it cancels what it has queued and lets go on what runs.
#[utoipa::path(patch, path = "/admin/v1/jobs/{job}", tag = "jobs", params(("job" = String, Path)),
    request_body = UpdateJob,
    responses((status = 200, body = Job), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody), (status = 422, body = ErrorBody)))]
pub(crate) async fn update_job(
    State(state): State<JobsState>,
    ApiPath(job): ApiPath<String>,
    ApiJson(request): ApiJson<UpdateJob>,
) -> ApiResult<(Extension<AuditDetails>, ApiJson<Job>)> {
    // The names of what was changed; values may be secrets.
    let fields = match serde_json::to_value(&request) {
        Ok(serde_json::Value::Object(fields)) => fields.into_iter().map(|(name, _)| name).collect(),
        _ => Vec::new(),
    };
    let job = state.update_job(job_id(&job)?, request).await?;
    Ok((Extension(AuditDetails(json!({ "fields": fields }))), ApiJson(job)))
}

/// Removes a job with its history. A run that is going on is cancelled.
#[utoipa::path(delete, path = "/admin/v1/jobs/{job}", tag = "jobs", params(("job" = String, Path)),
    responses((status = 204), (status = 404, body = ErrorBody)))]
pub(crate) async fn delete_job(State(state): State<JobsState>, ApiPath(job): ApiPath<String>) -> ApiResult<StatusCode> {
    state.delete_job(job_id(&job)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Runs a job now, whether it is enabled or not. Where its runs may not overlap, it waits its turn.
#[utoipa::path(post, path = "/admin/v1/jobs/{job}/run", tag = "jobs", params(("job" = String, Path)),
    responses((status = 202, body = RunStarted), (status = 404, body = ErrorBody), (status = 422, body = ErrorBody)))]
pub(crate) async fn run_job(
    State(state): State<JobsState>,
    ApiPath(job): ApiPath<String>,
) -> ApiResult<(StatusCode, Extension<AuditDetails>, ApiJson<RunStarted>)> {
    let run_id = state.run_now(job_id(&job)?).await?.to_string();
    let details = AuditDetails(json!({ "runId": run_id }));
    Ok((StatusCode::ACCEPTED, Extension(details), ApiJson(RunStarted { run_id })))
}

/// What a schedule means: its next fire times, and a description in words.
#[utoipa::path(post, path = "/admin/v1/cron/preview", tag = "jobs", request_body = CronPreviewRequest,
    responses((status = 200, body = CronPreview), (status = 400, body = ErrorBody)))]
pub(crate) async fn preview_cron(ApiJson(request): ApiJson<CronPreviewRequest>) -> ApiResult<ApiJson<CronPreview>> {
    let count = request.count.unwrap_or(DEFAULT_PREVIEW);
    if !(1..=MAX_PREVIEW).contains(&count) {
        return Err(ApiError::invalid(format!("`count` must be from 1 to {MAX_PREVIEW}.")));
    }
    let from = request.from.unwrap_or_else(Utc::now);
    if !(1..=4000).contains(&chrono::Datelike::year(&from)) {
        return Err(ApiError::invalid("`from` must be a time before the year 4001."));
    }
    let schedule = validation::schedule(&request.schedule_cron, request.timezone.as_deref().unwrap_or("UTC"))?;
    let next = schedule.upcoming(from, count as usize);
    Ok(ApiJson(CronPreview { next, description: schedule.description() }))
}

pub(in crate::jobs) fn job_id(id: &str) -> ApiResult<Uuid> {
    id.parse().map_err(|_| ApiError::not_found("job"))
}

/// A filter's text, without what Postgres does not take.
pub(in crate::jobs) fn plain(name: &str, value: Option<String>) -> ApiResult<Option<String>> {
    match value {
        Some(value) if value.contains('\0') => Err(ApiError::invalid(format!("`{name}` holds a NUL character."))),
        value => Ok(value),
    }
}
