use api_types::{ErrorBody, LogLine, Page, PageQuery, Run, RunStatus};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use uuid::Uuid;

use crate::jobs::{
    JobsState,
    catalogue::routes::{job_id, plain},
    names::status_text,
    queries::{self, RunFilter},
};
use crate::{
    error::{ApiError, ApiResult},
    http::{ApiJson, ApiPath, ApiQuery, PageRequest},
};

/// Narrows the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RunsQuery {
    /// Runs a page, 1 to 200; 50 unless told.
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
    project_id: Option<String>,
    plugin: Option<String>,
    status: Option<RunStatus>,
}

/// How a log is read.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LogQuery {
    /// Server-sent events: what there is, then what comes, then `event: end` with the run.
    #[serde(default)]
    follow: bool,
    /// Lines a page, 1 to 200; without it and `cursor` the answer is the whole log.
    limit: Option<u32>,
    /// `nextCursor` of the page before; stays good while the run goes on.
    cursor: Option<String>,
}

/// Runs of all jobs and of none, newest first.
#[utoipa::path(get, path = "/admin/v1/runs", tag = "jobs", params(RunsQuery),
    responses((status = 200, body = Page<Run>), (status = 400, body = ErrorBody)))]
pub(crate) async fn list_runs(
    State(state): State<JobsState>,
    ApiQuery(query): ApiQuery<RunsQuery>,
) -> ApiResult<ApiJson<Page<Run>>> {
    state.list_runs(None, query).await.map(ApiJson)
}

/// A job's runs, newest first.
#[utoipa::path(get, path = "/admin/v1/jobs/{job}/runs", tag = "jobs", params(("job" = String, Path), RunsQuery),
    responses((status = 200, body = Page<Run>), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub(crate) async fn list_runs_of_job(
    State(state): State<JobsState>,
    ApiPath(job): ApiPath<String>,
    ApiQuery(query): ApiQuery<RunsQuery>,
) -> ApiResult<ApiJson<Page<Run>>> {
    let job = state.job_row(job_id(&job)?).await?.id;
    state.list_runs(Some(job), query).await.map(ApiJson)
}

impl JobsState {
    async fn list_runs(&self, job_id: Option<Uuid>, query: RunsQuery) -> ApiResult<Page<Run>> {
        let request = PageRequest::<Uuid>::parse(&PageQuery { limit: query.limit, cursor: query.cursor })?;
        let filter = RunFilter {
            job_id,
            project_id: plain("projectId", query.project_id)?,
            plugin: plain("plugin", query.plugin)?,
            status: query.status.map(status_text),
        };
        let rows = queries::runs(&self.platform, &filter, request.after, request.fetch()).await?;
        let page = request.page(rows, |row| row.id);
        let items = page.items.into_iter().map(queries::RunRow::into_wire).collect();
        Ok(Page { items, next_cursor: page.next_cursor })
    }
}

/// One run.
#[utoipa::path(get, path = "/admin/v1/runs/{run}", tag = "jobs", params(("run" = String, Path)),
    responses((status = 200, body = Run), (status = 404, body = ErrorBody)))]
pub(crate) async fn get_run(State(state): State<JobsState>, ApiPath(run): ApiPath<String>) -> ApiResult<ApiJson<Run>> {
    Ok(ApiJson(state.run(run_id(&run)?).await?))
}

/// A run's log, whole or in pages. With `follow=true` it answers server-sent events; `Last-Event-ID` goes on where another answer stopped.
#[utoipa::path(get, path = "/admin/v1/runs/{run}/log", tag = "jobs", params(("run" = String, Path), LogQuery),
    responses((status = 200, body = Page<LogLine>), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 503, body = ErrorBody)))]
pub(crate) async fn get_run_log(
    State(state): State<JobsState>,
    ApiPath(run): ApiPath<String>,
    ApiQuery(query): ApiQuery<LogQuery>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let run = run_id(&run)?;
    let paged = query.limit.is_some() || query.cursor.is_some();
    if query.follow && paged {
        return Err(ApiError::invalid("`limit` and `cursor` don't go with `follow`.")
            .with_hint("A log that is followed goes on at the header `last-event-id`."));
    }
    if query.follow {
        let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
        let offset = last.and_then(|id| id.parse::<u32>().ok()).unwrap_or(0);
        return state.follow_log(run, offset as usize).await;
    }
    let page = if paged {
        let request = PageRequest::parse(&PageQuery { limit: query.limit, cursor: query.cursor })?;
        state.log_page(run, &request).await?
    } else {
        Page { items: state.log_lines(run).await?, next_cursor: None }
    };
    Ok(ApiJson(page).into_response())
}

/// Cancels a run that waits or goes on; it ends within a moment.
#[utoipa::path(post, path = "/admin/v1/runs/{run}/cancel", tag = "jobs", params(("run" = String, Path)),
    responses((status = 202, body = Run), (status = 404, body = ErrorBody),
        (status = 409, description = "It has ended", body = ErrorBody)))]
pub(crate) async fn cancel_run(
    State(state): State<JobsState>,
    ApiPath(run): ApiPath<String>,
) -> ApiResult<(StatusCode, ApiJson<Run>)> {
    let run = state.cancel_run(run_id(&run)?).await?;
    Ok((StatusCode::ACCEPTED, ApiJson(run)))
}

fn run_id(id: &str) -> ApiResult<Uuid> {
    id.parse().map_err(|_| ApiError::not_found("run"))
}
