use api_types::{ErrorBody, RunSql, SqlResult};
use axum::{Extension, extract::State};
use serde_json::json;

use super::{
    SqlEditorState,
    errors::unreadable,
    session::{self, Run},
    statement::{Permissions, Unreadable, read_statement},
};
use crate::{
    db::DbRole,
    error::{ApiError, ApiResult, Code},
    http::{ApiJson, AuditDetails},
    projects::AdminProject,
};

const DEFAULT_ROWS: u32 = 1000;
const MAX_ROWS: u32 = 5000;

/// Runs one SQL statement in the project's database, as the owner of its schema.
///
/// The statement has five seconds and a connection of its own; at most 5000 rows are answered.
#[utoipa::path(
    post,
    path = "/admin/v1/projects/{project}/sql",
    tag = "sql",
    params(("project" = String, Path, description = "The project's id")),
    request_body = RunSql,
    responses(
        (status = 200, body = SqlResult),
        (status = 400, description = "`sql_error` with the position, or `sql_refused`", body = ErrorBody),
        (status = 404, body = ErrorBody),
        (status = 504, description = "Stopped after five seconds", body = ErrorBody),
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
        return Err(ApiError::invalid("`sql` contains a NUL character, which Postgres does not take."));
    }
    let permissions = Permissions { create_extension: state.allow_create_extension };
    let sql = request.sql.clone();
    let read = tokio::task::spawn_blocking(move || read_statement(&sql, permissions))
        .await
        .map_err(|error| ApiError::internal(anyhow::Error::new(error).context("reading a statement")))?;
    let statement = match read {
        Ok(statement) => Some(statement),
        // The server tells better what is wrong with the text, and where.
        Err(Unreadable::Syntax(_)) => None,
        Err(reason) => return Err(unreadable(reason)),
    };
    if request.explain && statement.as_ref().is_some_and(|statement| !statement.explainable) {
        return Err(ApiError::new(Code::SqlRefused, "There is no plan for this kind of statement.")
            .with_hint("EXPLAIN takes SELECT, INSERT, UPDATE, DELETE, MERGE and CREATE TABLE AS."));
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
