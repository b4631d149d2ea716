//! Handlers of the admin surface for runs and their logs.

use std::{fmt::Display, str::FromStr};

use api_types::{
    ErrorBody, LogLevel, LogLine, Page, PageQuery, Run, RunDetail, RunStatus, RunSummary, RunTrigger, SummaryPeriod,
};
use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    follow::LogFollower,
    log::{self, LogFilter},
    log_stream,
    queries::{self, RunFilter, RunRow},
    summary::SummaryFilter,
};
use crate::{
    error::{ApiError, ApiResult},
    http::{ApiJson, ApiPath, ApiQuery, AuditDetails, NoQuery, PageRequest},
    jobs::Runs,
};

/// Filter and page of a list of runs.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RunsQuery {
    /// Runs per page, 1–200 (default 50).
    limit: Option<u32>,
    /// `nextCursor` of the previous page.
    cursor: Option<String>,
    project_id: Option<String>,
    /// Only runs of this job.
    job_id: Option<String>,
    plugin: Option<String>,
    /// Statuses, separated by commas, for example `fail,timeout`. Only runs with one of them.
    status: Option<String>,
    /// `true`: only runs that have not ended. `false`: only those that have.
    active: Option<bool>,
    /// Triggers, separated by commas, for example `schedule,catchUp`. Only runs with one of them.
    trigger: Option<String>,
    /// Only runs that were queued at or after this time.
    from: Option<DateTime<Utc>>,
    /// Only runs that were queued before this time.
    to: Option<DateTime<Utc>>,
}

/// The parameters of a request for a log.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LogQuery {
    /// Streams server-sent events: existing lines, new lines, then `event: end` with the run, or with `null` if the run
    /// can't be read.
    #[serde(default)]
    follow: bool,
    /// Lines per page, 1–200 (default 50). Without `limit` and `cursor`, the response contains the whole log.
    limit: Option<u32>,
    /// `nextCursor` of the previous page. It stays valid while the run continues.
    cursor: Option<String>,
    /// Only lines of this level or of a more important one: `debug`, `info`, `warn` or `error`.
    #[param(inline)]
    level: Option<LogLevel>,
    /// Only the last lines, up to this number. With `follow`, the stream begins with them. Can't be combined with
    /// `limit` and `cursor`.
    tail: Option<u32>,
    /// Returns the log as a text file. Can't be combined with `follow`, `limit` and `cursor`.
    #[serde(default)]
    download: bool,
}

/// List runs
///
/// The runs of all jobs, and those without a job, newest first.
#[utoipa::path(get, path = "/admin/v1/runs", tag = "jobs", params(RunsQuery),
    responses((status = 200, body = Page<Run>), (status = 400, body = ErrorBody)))]
pub(crate) async fn list_runs(
    State(runs): State<Runs>,
    ApiQuery(query): ApiQuery<RunsQuery>,
) -> ApiResult<ApiJson<Page<Run>>> {
    let job = parse_job_filter(query.job_id.as_deref())?;
    list_filtered(&runs, job, query).await.map(ApiJson)
}

/// List the runs of a job
///
/// Newest first.
#[utoipa::path(get, path = "/admin/v1/jobs/{job}/runs", tag = "jobs", params(("job" = String, Path), RunsQuery),
    responses((status = 200, body = Page<Run>), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub(crate) async fn list_runs_of_job(
    State(runs): State<Runs>,
    ApiPath(job): ApiPath<String>,
    ApiQuery(query): ApiQuery<RunsQuery>,
) -> ApiResult<ApiJson<Page<Run>>> {
    let job = parse_job_id(&job)?;
    if parse_job_filter(query.job_id.as_deref())?.is_some_and(|id| id != job) {
        return Err(ApiError::invalid("`jobId` is not the job of the path; leave it out."));
    }
    if !queries::job_exists(&runs.platform, job).await? {
        return Err(ApiError::not_found("job"));
    }
    list_filtered(&runs, Some(job), query).await.map(ApiJson)
}

async fn list_filtered(runs: &Runs, job_id: Option<Uuid>, query: RunsQuery) -> ApiResult<Page<Run>> {
    let request = PageRequest::<Uuid>::parse(&PageQuery { limit: query.limit, cursor: query.cursor })?;
    let filter = RunFilter {
        job_id,
        project_id: query.project_id,
        plugin: query.plugin,
        statuses: parse_list("status", query.status.as_deref(), RunStatus::ALL)?,
        triggers: parse_list("trigger", query.trigger.as_deref(), RunTrigger::ALL)?,
        active: query.active,
        from: query.from,
        to: query.to,
    };
    let rows = queries::list_runs(&runs.platform, &filter, request.after, request.fetch()).await?;
    let page = request.page(rows, |row| row.id);
    let items = page.items.into_iter().map(RunRow::into_wire).collect();
    Ok(Page { items, next_cursor: page.next_cursor })
}

/// Period and filter of a summary of runs.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SummaryQuery {
    /// Length of the periods, `hour` (default) or `day`.
    by: Option<SummaryPeriod>,
    /// Only runs that were queued at or after this time (default: 24 hours before `to`).
    from: Option<DateTime<Utc>>,
    /// Only runs that were queued before this time (default: now).
    to: Option<DateTime<Utc>>,
    project_id: Option<String>,
    plugin: Option<String>,
    job_id: Option<String>,
}

/// Summarize runs
///
/// Counts runs by status, in total and for each hour or day.
#[utoipa::path(get, path = "/admin/v1/runs/summary", tag = "jobs", params(SummaryQuery),
    responses((status = 200, body = RunSummary), (status = 400, body = ErrorBody)))]
pub(crate) async fn summarize_runs(
    State(runs): State<Runs>,
    ApiQuery(query): ApiQuery<SummaryQuery>,
) -> ApiResult<ApiJson<RunSummary>> {
    let filter = SummaryFilter {
        project_id: query.project_id,
        plugin: query.plugin,
        job_id: parse_job_filter(query.job_id.as_deref())?,
    };
    let by = query.by.unwrap_or(SummaryPeriod::Hour);
    Ok(ApiJson(runs.summarize(by, query.from, query.to, &filter).await?))
}

/// Get a run
///
/// Includes all attempts of the same work and, while the run is queued, the reason why it waits.
#[utoipa::path(get, path = "/admin/v1/runs/{run}", tag = "jobs", params(("run" = String, Path)),
    responses((status = 200, body = RunDetail), (status = 404, body = ErrorBody)))]
pub(crate) async fn get_run(
    State(runs): State<Runs>,
    ApiPath(run): ApiPath<String>,
    _: NoQuery,
) -> ApiResult<ApiJson<RunDetail>> {
    runs.get_run_detail(parse_run_id(&run)?).await.map(ApiJson)
}

/// Get the log of a run
///
/// Returns the log, whole or in pages. With `follow=true` the response is a stream of server-sent events, which the
/// header `Last-Event-ID` resumes. With `download=true` it is a text file, with a line for each line of the log.
#[utoipa::path(get, path = "/admin/v1/runs/{run}/log", tag = "jobs", params(("run" = String, Path), LogQuery),
    responses((status = 200, content((Page<LogLine> = "application/json"), (String = "text/plain"),
            (String = "text/event-stream"))), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 503, body = ErrorBody)))]
pub(crate) async fn get_run_log(
    State(runs): State<Runs>,
    ApiPath(run): ApiPath<String>,
    ApiQuery(query): ApiQuery<LogQuery>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let run = parse_run_id(&run)?;
    let is_paged = query.limit.is_some() || query.cursor.is_some();
    if query.follow && is_paged {
        return Err(ApiError::invalid("`limit` and `cursor` can't be combined with `follow`.")
            .with_hint("To resume a followed log, send the header `last-event-id`."));
    }
    if query.tail.is_some() && is_paged {
        return Err(ApiError::invalid("`tail` can't be combined with `limit` and `cursor`."));
    }
    if query.tail == Some(0) {
        return Err(ApiError::invalid("`tail` must be at least 1."));
    }
    if query.download && (query.follow || is_paged) {
        return Err(ApiError::invalid("`download` can't be combined with `follow`, `limit` and `cursor`."));
    }
    let filter = LogFilter { level: query.level, tail: query.tail };
    if query.follow {
        let last_id = headers.get("last-event-id").and_then(|id| id.to_str().ok());
        let offset = last_id.and_then(|id| id.parse::<u32>().ok()).unwrap_or(0);
        let log = LogFollower::open(&runs, run, offset as usize, filter).await?;
        return Ok(log_stream::stream_log(runs, log));
    }
    if is_paged {
        let request = PageRequest::parse(&PageQuery { limit: query.limit, cursor: query.cursor })?;
        return Ok(ApiJson(log::read_page(&runs, run, filter, &request).await?).into_response());
    }
    let lines = log::read_lines(&runs, run, filter).await?;
    if query.download {
        let disposition = format!("attachment; filename=\"run-{run}.log\"");
        let headers = [
            (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
            (header::CONTENT_DISPOSITION, disposition.as_str()),
            (header::CACHE_CONTROL, "no-store"),
        ];
        return Ok((headers, log::to_text(&lines)).into_response());
    }
    Ok(ApiJson(Page { items: lines, next_cursor: None }).into_response())
}

/// Cancel a run
///
/// The run may be queued or running. A running one ends shortly afterwards.
#[utoipa::path(post, path = "/admin/v1/runs/{run}/cancel", tag = "jobs", params(("run" = String, Path)),
    responses((status = 202, body = Run), (status = 404, body = ErrorBody),
        (status = 409, description = "The run has already ended", body = ErrorBody)))]
pub(crate) async fn cancel_run(
    State(runs): State<Runs>,
    ApiPath(run): ApiPath<String>,
) -> ApiResult<(StatusCode, Extension<AuditDetails>, ApiJson<Run>)> {
    let id = parse_run_id(&run)?;
    let run = runs.cancel_run(id).await?;
    let name = queries::job_name(&runs.platform, id).await?;
    let details = serde_json::json!({ "name": name, "jobId": run.job_id, "plugin": run.plugin });
    Ok((StatusCode::ACCEPTED, Extension(AuditDetails(details)), ApiJson(run)))
}

/// Parses values that are separated by commas. Returns an empty list if there are none.
fn parse_list<T: FromStr + Display>(name: &str, text: Option<&str>, known: &[T]) -> ApiResult<Vec<T>> {
    let values = text.unwrap_or_default().split(',').map(str::trim).filter(|value| !value.is_empty());
    let parse = |value: &str| {
        value.parse().map_err(|_| {
            let known: Vec<String> = known.iter().map(T::to_string).collect();
            ApiError::invalid(format!("Unknown value `{value}` of `{name}`. Supported: {}.", known.join(", ")))
        })
    };
    values.map(parse).collect()
}

fn parse_job_filter(id: Option<&str>) -> ApiResult<Option<Uuid>> {
    id.map(str::parse).transpose().map_err(|_| ApiError::invalid("`jobId` must be a UUID."))
}

pub(in crate::jobs) fn parse_run_id(id: &str) -> ApiResult<Uuid> {
    id.parse().map_err(|_| ApiError::not_found("run"))
}

pub(in crate::jobs) fn parse_job_id(id: &str) -> ApiResult<Uuid> {
    id.parse().map_err(|_| ApiError::not_found("job"))
}
