//! Handlers of the SQL editor: run, parse and cancel.

use std::{sync::Arc, time::Duration};

use api_types::{ErrorBody, Explain, ParseSql, ParsedSql, RunSql, SqlCancelled, SqlOutcome};
use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use chrono::Utc;
use serde_json::json;

use super::{
    SqlEditorState,
    check::{ScriptOptions, blocking, check_text, checked_script, checked_statement},
    errors::Failure,
    history::{self, Ended},
    limits::{Limits, within},
    restrictions::Permissions,
    result_rows::max_row_bytes,
    running::RunningQuery,
    script::describe,
    script_run,
    session::{self, StatementRun, Transaction},
};
use crate::{
    db::DbRole,
    error::{ApiError, ApiResult, Code},
    http::{ApiJson, ApiPath, AuditDetails, ChangeMade, NoQuery, NothingChanged, Recipient, ResponseBuffer},
    projects::AdminProject,
};

/// Maximum number of rows returned. A request can set a lower one with `maxRows`.
const MAX_ROWS: u32 = 5000;
/// Time limit if the request has no `timeoutMs`.
const DEFAULT_TIMEOUT_MS: u64 = 5000;
const MAX_TIMEOUT_MS: u64 = 60_000;

type SqlResponse = ApiResult<(Extension<AuditDetails>, Option<Extension<NothingChanged>>, Response)>;

/// Run SQL
///
/// Runs one statement, or with `script` several, in the project's database, as the owner of its schema. The SQL runs on
/// a separate connection, for at most `timeoutMs` (5 seconds by default, at most 60). At most 5000 rows of a statement
/// are returned.
///
/// A script is parsed and checked before anything runs, then sent statement by statement: in one transaction unless
/// `transaction` is false. It stops at the first statement that fails. Once it has begun, the response is 200 with a
/// `ScriptResult`, even if a statement failed.
#[utoipa::path(
    post,
    path = "/admin/v1/projects/{project}/sql",
    tag = "sql",
    params(("project" = String, Path, description = "The project's id")),
    request_body = RunSql,
    responses(
        (status = 200, body = SqlOutcome),
        (status = 400, description = "`sql_error` with the position of the error, or `sql_refused`. For a script, \
            `details.statement` is the index of the statement", body = ErrorBody),
        (status = 404, body = ErrorBody),
        (status = 409, description = "`cancelled`, or a run with this `queryId` is in progress", body = ErrorBody),
        (status = 504, description = "The statement was stopped at its time limit", body = ErrorBody),
    )
)]
pub(crate) async fn run_sql(
    State(state): State<SqlEditorState>,
    AdminProject(project): AdminProject,
    ApiJson(request): ApiJson<RunSql>,
) -> SqlResponse {
    check_request(&request)?;
    let running = state.running.begin(&project.id, request.query_id.as_deref())?;
    let at = Utc::now();
    let sql = request.sql.clone();
    let read_only = request.read_only;
    // `analyze` executes the statement. Its rollback does not undo everything, for example not the use of a sequence.
    let nothing_changed = (request.explain == Explain::Plan).then_some(Extension(NothingChanged));
    let result = if request.script {
        run_script(&state, &project.id, request, &running).await
    } else {
        run_statement(&state, &project.id, request, &running).await
    };
    if !read_only {
        (state.schema_changed)(&project.id);
    }
    let (ended, result) = match result {
        Ok(Ran { ended, details, response }) => (ended, Ok((details, response.into_json_response(StatusCode::OK)))),
        Err(NoResult { error, details }) => {
            let ended = Ended { row_count: None, error: Some(error.message().to_owned()) };
            match details {
                Some(details) => (ended, Ok((details, (Extension(ChangeMade), error).into_response()))),
                None => (ended, Err(error)),
            }
        }
    };
    let error = result.as_ref().err();
    if error.is_none_or(|error| !error.status().is_server_error() || error.code() == Code::Timeout) {
        history::add(&state.platform, &project.id, &sql, at, &ended).await;
    }
    let (details, response) = result?;
    Ok((Extension(AuditDetails(details)), nothing_changed, response))
}

/// A statement that was carried out, or a script that ran with or without success.
struct Ran {
    ended: Ended,
    /// For the audit log.
    details: serde_json::Value,
    response: ResponseBuffer,
}

/// SQL that did not run, a statement that failed, or SQL whose result is lost.
struct NoResult {
    error: ApiError,
    /// For the audit log, if the SQL was executed and only its result is lost.
    details: Option<serde_json::Value>,
}

impl From<ApiError> for NoResult {
    fn from(error: ApiError) -> Self {
        Self { error, details: None }
    }
}

async fn run_statement(
    state: &SqlEditorState,
    project: &str,
    request: RunSql,
    running: &RunningQuery,
) -> Result<Ran, NoResult> {
    let statement = checked_statement(&request.sql, permissions(state)).await?;
    if request.explain != Explain::No && statement.as_ref().is_some_and(|statement| !statement.explainable) {
        return Err(ApiError::new(Code::SqlRefused, "EXPLAIN does not support this kind of statement.")
            .with_hint("Supported: SELECT, INSERT, UPDATE, DELETE, MERGE and CREATE TABLE AS.")
            .into());
    }
    let tables = statement.as_ref().map(|statement| statement.tables.clone()).unwrap_or_default();
    let limits = limits(&request, running);
    let client = Arc::new(state.pools.exclusive(project, DbRole::Owner).await.map_err(ApiError::from)?);
    let response = state.responses.response(Recipient::Owner, 4096);
    let run = StatementRun {
        sql: &request.sql,
        statement: statement.as_ref(),
        explain: request.explain,
        transaction: if request.read_only { Transaction::OwnReadOnly } else { Transaction::Own },
        max_rows: request.max_rows.unwrap_or(MAX_ROWS) as usize,
        max_bytes: max_row_bytes(&response),
        range: None,
    };
    let details =
        |command: &str, row_count: u64| json!({ "command": command, "tables": tables, "rowCount": row_count });
    match within(&client, &limits, session::execute(&client, &run, response)).await {
        Ok(success) => Ok(Ran {
            ended: Ended { row_count: Some(success.row_count), error: None },
            details: details(&success.command, success.row_count),
            response: success.response,
        }),
        Err(Failure::ResultLost { error, command, row_count }) => {
            Err(NoResult { error, details: Some(details(&command, row_count)) })
        }
        Err(failure) => Err(failure.into_api_error(&request.sql, 0, limits.timeout).into()),
    }
}

async fn run_script(
    state: &SqlEditorState,
    project: &str,
    request: RunSql,
    running: &RunningQuery,
) -> Result<Ran, NoResult> {
    let limits = limits(&request, running);
    let options = ScriptOptions {
        read_only: request.read_only,
        transaction: request.transaction,
        max_rows: request.max_rows.unwrap_or(MAX_ROWS) as usize,
    };
    let run = checked_script(request.sql, options, permissions(state)).await?;
    let client = state.pools.exclusive(project, DbRole::Owner).await.map_err(ApiError::from)?;
    let outcome = script_run::run(client, &run, &limits, &state.responses, &|_| {}).await;
    let progress = outcome.progress;
    let details = json!({
        "statements": run.statements.len(),
        "tables": run.changed_tables(),
        "committedStatements": progress.committed,
        "rowCount": progress.row_count,
        "error": outcome.failure.as_ref().map(|(_, error)| error.code().as_str()),
    });
    let response = match outcome.response {
        Ok(response) => response,
        Err(error) => return Err(NoResult { error, details: (progress.committed > 0).then_some(details) }),
    };
    Ok(Ran {
        ended: match &outcome.failure {
            None => Ended { row_count: Some(progress.row_count), error: None },
            Some((_, error)) => Ended { row_count: None, error: Some(error.message().to_owned()) },
        },
        details,
        response,
    })
}

fn check_request(request: &RunSql) -> ApiResult<()> {
    if !(1..=MAX_ROWS).contains(&request.max_rows.unwrap_or(MAX_ROWS)) {
        return Err(ApiError::invalid(format!("`maxRows` must be from 1 to {MAX_ROWS}.")));
    }
    if !(1..=MAX_TIMEOUT_MS).contains(&request.timeout_ms.unwrap_or(DEFAULT_TIMEOUT_MS)) {
        return Err(ApiError::invalid(format!("`timeoutMs` must be from 1 to {MAX_TIMEOUT_MS}."))
            .with_hint("Start longer work with `POST /admin/v1/projects/{project}/sql/runs`."));
    }
    check_text(&request.sql)?;
    if request.script && request.explain != Explain::No {
        return Err(ApiError::invalid("`explain` and `script` can't be used together: EXPLAIN needs one statement."));
    }
    if !request.script && request.transaction.is_some() {
        return Err(ApiError::invalid("`transaction` can only be used with `script`."));
    }
    Ok(())
}

fn permissions(state: &SqlEditorState) -> Permissions {
    Permissions { create_extension: state.allow_create_extension }
}

fn limits(request: &RunSql, running: &RunningQuery) -> Limits {
    Limits {
        timeout: Duration::from_millis(request.timeout_ms.unwrap_or(DEFAULT_TIMEOUT_MS)),
        cancelled: running.cancelled.clone(),
        name: running.name.clone(),
    }
}

/// Parse SQL
///
/// Parses SQL with Postgres's grammar. Returns its statements, each with its position, its command and the objects that
/// it destroys, and syntax errors. Nothing is executed, no database is used, and no audit entry is written.
#[utoipa::path(
    post,
    path = "/admin/v1/projects/{project}/sql/parse",
    tag = "sql",
    params(("project" = String, Path, description = "The project's id")),
    request_body = ParseSql,
    responses((status = 200, body = ParsedSql), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)),
)]
pub(crate) async fn parse_sql(
    State(state): State<SqlEditorState>,
    AdminProject(_project): AdminProject,
    NoQuery: NoQuery,
    ApiJson(request): ApiJson<ParseSql>,
) -> ApiResult<ApiJson<ParsedSql>> {
    check_text(&request.sql)?;
    let permissions = permissions(&state);
    blocking(move || describe(&request.sql, permissions)).await?.map(ApiJson)
}

/// Cancel SQL
///
/// Cancels the run with this `queryId`, also in Postgres. The request that started the run fails with the error
/// `cancelled`. A script that has begun reports the error in its response.
#[utoipa::path(
    post,
    path = "/admin/v1/projects/{project}/sql/{queryId}/cancel",
    tag = "sql",
    params(
        ("project" = String, Path, description = "The project's id"),
        ("queryId" = String, Path, description = "The `queryId` that the run was started with"),
    ),
    responses(
        (status = 200, body = SqlCancelled),
        (status = 400, body = ErrorBody),
        (status = 404, description = "No run with this id is in progress", body = ErrorBody),
    ),
)]
pub(crate) async fn cancel_sql(
    State(state): State<SqlEditorState>,
    AdminProject(project): AdminProject,
    ApiPath((_, id)): ApiPath<(String, String)>,
) -> ApiResult<ApiJson<SqlCancelled>> {
    match state.running.cancel(&state.pools, &project.id, &id).await? {
        true => Ok(ApiJson(SqlCancelled { cancelled: true })),
        false => Err(ApiError::new(Code::NotFound, "No run with this id is in progress.")),
    }
}
