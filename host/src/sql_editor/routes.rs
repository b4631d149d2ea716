use api_types::{ErrorBody, RunSql, SqlResult};
use axum::{Extension, extract::State};
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
    http::{ApiJson, AuditDetails},
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
) -> ApiResult<(Extension<AuditDetails>, ApiJson<SqlResult>)> {
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
    match session::run(client, &run).await {
        Ok(result) => {
            let details = json!({ "command": result.command, "rowCount": result.row_count });
            Ok((Extension(AuditDetails(details)), ApiJson(result)))
        }
        Err(failure) => Err(failure.into_api_error(&run.sql)),
    }
}
