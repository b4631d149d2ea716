//! The handler that starts SQL in the background.

use std::time::Duration;

use api_types::{ErrorBody, RunStarted, StartSqlRun};
use axum::extract::State;
use serde_json::json;

use super::SqlJob;
use crate::{
    error::{ApiError, ApiResult},
    http::{ApiJson, NoQuery},
    jobs::{BuiltInJob as _, Jobs, NewRun, RunStartedResponse, run_started},
    projects::AdminProject,
    sql_editor::{ScriptRequest, SqlEditorState},
};

/// Time limit if the request has no `timeoutMs`.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3600);

/// Run SQL in the background
///
/// Starts a run that executes a script, and can be watched and cancelled like any other run. The script is checked
/// first, as in `POST /admin/v1/projects/{project}/sql`. No rows are kept: the run's log contains the number of rows of
/// each statement, and the result contains their total.
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
    State(editor): State<SqlEditorState>,
    State(jobs): State<Jobs>,
    AdminProject(project): AdminProject,
    NoQuery: NoQuery,
    ApiJson(request): ApiJson<StartSqlRun>,
) -> ApiResult<RunStartedResponse> {
    let max_timeout = SqlJob::MAX_DURATION;
    let timeout = request.timeout_ms.map_or(DEFAULT_TIMEOUT, Duration::from_millis);
    if timeout.is_zero() || timeout > max_timeout {
        return Err(ApiError::invalid(format!("`timeoutMs` must be from 1 to {}.", max_timeout.as_millis())));
    }
    let params = ScriptRequest { sql: request.sql, read_only: request.read_only, transaction: request.transaction };
    let script = editor.check_script(&params).await?;
    let details = json!({ "statements": script.statement_count(), "tables": script.changed_tables() });
    let run = NewRun {
        plugin: SqlJob::PLUGIN.to_owned(),
        plugin_job: SqlJob::JOB.to_owned(),
        params: serde_json::to_value(params).map_err(ApiError::internal)?,
        project_id: Some(project.id.clone()),
        timeout,
    };
    Ok(run_started(jobs.start_run(&run).await?, details))
}
