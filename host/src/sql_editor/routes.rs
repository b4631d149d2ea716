use api_types::{ErrorBody, RunSql, SqlResult};
use axum::{Extension, extract::State, http::StatusCode, response::IntoResponse};
use serde_json::json;

use super::{
    SqlEditorState,
    errors::Rejection,
    restrictions::Permissions,
    session::{self, Run},
    statement::parse_statement,
};
use crate::{
    db::DbRole,
    error::{ApiError, ApiResult, Code},
    http::{ApiJson, AuditDetails, Recipient},
    projects::AdminProject,
};

/// Rows returned if the request has no `maxRows`.
const DEFAULT_ROWS: u32 = 1000;
const MAX_ROWS: u32 = 5000;

/// Run a SQL statement
///
/// Runs one statement in the project's database, as the owner of its schema. It runs on a separate connection, for at
/// most 5 seconds. At most 5000 rows are returned.
#[utoipa::path(
    post,
    path = "/admin/v1/projects/{project}/sql",
    tag = "sql",
    params(("project" = String, Path, description = "The project's id")),
    request_body = RunSql,
    responses(
        (status = 200, body = SqlResult),
        (status = 400, description = "`sql_error` with the position of the error, or `sql_refused`", body = ErrorBody),
        (status = 404, body = ErrorBody),
        (status = 504, description = "The statement was stopped after 5 seconds", body = ErrorBody),
    )
)]
pub(crate) async fn run_sql(
    State(state): State<SqlEditorState>,
    AdminProject(project): AdminProject,
    ApiJson(request): ApiJson<RunSql>,
) -> ApiResult<impl IntoResponse> {
    let max_rows = request.max_rows.unwrap_or(DEFAULT_ROWS);
    if !(1..=MAX_ROWS).contains(&max_rows) {
        return Err(ApiError::invalid(format!("`maxRows` must be from 1 to {MAX_ROWS}.")));
    }
    if request.sql.contains('\0') {
        return Err(ApiError::invalid("`sql` contains a NUL character, which Postgres does not support."));
    }
    let permissions = Permissions { create_extension: state.allow_create_extension };
    let sql = request.sql.clone();
    let parsed = tokio::task::spawn_blocking(move || parse_statement(&sql, permissions))
        .await
        .map_err(|error| ApiError::internal(anyhow::Error::new(error).context("parsing a statement")))?;
    let statement = match parsed {
        Ok(statement) => Some(statement),
        // Postgres gives a better message, and the position.
        Err(Rejection::Syntax(_)) => None,
        Err(rejection) => return Err(rejection.into_api_error()),
    };
    if request.explain && statement.as_ref().is_some_and(|statement| !statement.explainable) {
        return Err(ApiError::new(Code::SqlRefused, "EXPLAIN does not support this kind of statement.")
            .with_hint("Supported: SELECT, INSERT, UPDATE, DELETE, MERGE and CREATE TABLE AS."));
    }
    let client = state.pools.exclusive(&project.id, DbRole::Owner).await?;
    let run = Run {
        sql: request.sql,
        statement,
        read_only: request.read_only,
        explain: request.explain,
        max_rows: max_rows as usize,
    };
    let response = state.responses.response(Recipient::Owner, 4096);
    match session::run(client, &run, response).await {
        Ok(success) => {
            let details = json!({ "command": success.command, "rowCount": success.row_count });
            Ok((Extension(AuditDetails(details)), success.response.into_json_response(StatusCode::OK)))
        }
        Err(failure) => Err(failure.into_api_error(&run.sql)),
    }
}
