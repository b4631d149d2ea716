use std::time::Duration;

use api_types::{ErrorBody, RunStarted, StartSqlRun};
use axum::{Extension, extract::State, http::StatusCode};
use serde_json::json;

use super::{
    SqlRunsState,
    params::{JOB, PLUGIN, SqlParams},
    runner::MAX_DURATION,
};
use crate::{
    error::{ApiError, ApiResult},
    http::{ApiJson, AuditDetails, NoQuery},
    jobs::NewRun,
    projects::AdminProject,
};

/// Time limit if the request has no `timeoutMs`.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3600);

/// Run SQL in the background
///
/// Starts a run that executes a script, and can be watched and cancelled like any other run. The script is checked
/// first, as in `POST /admin/v1/projects/{project}/sql`. No rows are kept; the run's log and result have only the
/// number of rows of each statement.
#[utoipa::path(
    post,
    path = "/admin/v1/projects/{project}/sql/runs",
    tag = "sql",
    params(("project" = String, Path, description = "The project's id")),
    request_body = StartSqlRun,
    responses(
        (status = 202, body = RunStarted),
        (status = 400, description = "`sql_error` or `sql_refused`; nothing was started", body = ErrorBody),
        (status = 404, body = ErrorBody),
    ),
)]
pub(crate) async fn start_sql_run(
    State(state): State<SqlRunsState>,
    AdminProject(project): AdminProject,
    NoQuery: NoQuery,
    ApiJson(request): ApiJson<StartSqlRun>,
) -> ApiResult<(StatusCode, Extension<AuditDetails>, ApiJson<RunStarted>)> {
    let timeout = request.timeout_ms.map_or(DEFAULT_TIMEOUT, Duration::from_millis);
    if timeout.is_zero() || timeout > MAX_DURATION {
        return Err(ApiError::invalid(format!("`timeoutMs` must be from 1 to {}.", MAX_DURATION.as_millis())));
    }
    let script = state.editor.check_script(&request.sql, request.read_only, request.transaction).await?;
    let statements = script.statement_count();
    let params = SqlParams { sql: request.sql, read_only: request.read_only, transaction: request.transaction };
    let run = NewRun {
        plugin: PLUGIN.to_owned(),
        plugin_job: JOB.to_owned(),
        params: serde_json::to_value(params).map_err(ApiError::internal)?,
        project_id: Some(project.id.clone()),
        timeout,
    };
    let run_id = state.jobs.start_run(&run).await?.to_string();
    let details = json!({ "runId": run_id, "statements": statements });
    Ok((StatusCode::ACCEPTED, Extension(AuditDetails(details)), ApiJson(RunStarted { run_id })))
}
