//! Checks submitted SQL before anything runs.

use serde_json::json;

use super::{
    errors::Rejection,
    restrictions::Permissions,
    script::{CharacterPositions, ScriptStatement, statements, syntax_error},
    script_run::{CheckedStatement, ScriptRun},
    statement::{Statement, parse_statement},
};
use crate::error::{ApiError, ApiResult, Code};

/// Rejects SQL that can't be sent to Postgres.
pub(super) fn check_text(sql: &str) -> ApiResult<()> {
    match sql.contains('\0') {
        true => Err(ApiError::invalid("`sql` contains a NUL character, which Postgres does not support.")),
        false => Ok(()),
    }
}

/// Checks a single statement. Returns `None` if it has a syntax error, so that Postgres reports the error with a better
/// message and a position.
pub(super) async fn checked_statement(sql: &str, permissions: Permissions) -> ApiResult<Option<Statement>> {
    let sql = sql.to_owned();
    match blocking(move || parse_statement(&sql, permissions)).await? {
        Ok(statement) => Ok(Some(statement)),
        Err(Rejection::Syntax(_)) => Ok(None),
        Err(rejection) => Err(rejection.into_api_error()),
    }
}

/// Options of a script.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScriptOptions {
    pub(super) read_only: bool,
    /// Whether the script runs in one transaction (default true).
    pub(super) transaction: Option<bool>,
    pub(super) max_rows: usize,
}

/// Checks every statement of a script.
pub(super) async fn checked_script(
    sql: String,
    options: ScriptOptions,
    permissions: Permissions,
) -> ApiResult<ScriptRun> {
    blocking(move || {
        let parts: Vec<ScriptStatement<'_>> = statements(&sql, permissions)?
            .map(|mut part| {
                // Trees are large, and not needed to run the statements.
                if let Ok(analysis) = &mut part.analysis {
                    analysis.tree = None;
                }
                part
            })
            .collect();
        // A single statement changes all or nothing by itself.
        let in_one_transaction = options.transaction.unwrap_or(true) && parts.len() > 1;
        if parts.is_empty() {
            return Err(Rejection::Empty.into_api_error());
        }
        let mut characters = CharacterPositions::new(&sql);
        let mut checked = Vec::with_capacity(parts.len());
        for (index, part) in parts.into_iter().enumerate() {
            let bytes = part.start..part.start + part.sql.len();
            let first = characters.at(bytes.start);
            let statement = checked_part(&characters, part, in_one_transaction);
            let statement = statement.map_err(|error| error.with_detail("statement", index.into()))?;
            checked.push(CheckedStatement { characters: first..characters.at(bytes.end), bytes, statement });
        }
        let ScriptOptions { read_only, max_rows, .. } = options;
        Ok(ScriptRun { sql, statements: checked, read_only, in_one_transaction, max_rows, keeps_results: true })
    })
    .await?
}

fn checked_part(
    start: &CharacterPositions<'_>,
    part: ScriptStatement<'_>,
    in_one_transaction: bool,
) -> ApiResult<Statement> {
    let analysis = match part.analysis {
        Ok(analysis) => analysis,
        Err(rejection @ Rejection::Syntax(_)) => {
            let error = syntax_error(start, part.sql, rejection);
            return Err(ApiError::new(Code::SqlError, error.message)
                .with_hint("Nothing was run.")
                .with_details(json!({ "sqlstate": "42601", "position": error.position, "line": error.line })));
        }
        Err(rejection) => return Err(rejection.into_api_error()),
    };
    if let Some(refusal) = analysis.refusal {
        return Err(refusal.into_api_error());
    }
    if in_one_transaction && !analysis.statement.in_transaction {
        return Err(ApiError::new(
            Code::SqlRefused,
            format!("{} can't run in a transaction with other statements.", analysis.statement.command),
        )
        .with_hint("Send `\"transaction\": false`, or run the statement alone."));
    }
    Ok(analysis.statement)
}

/// Runs CPU-bound work on a thread for blocking operations.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> ApiResult<T> {
    let result = tokio::task::spawn_blocking(work).await;
    result.map_err(|error| ApiError::internal(anyhow::Error::new(error).context("parsing SQL")))
}
