//! Runs scripts for which no client waits. `sql_runs` executes them as runs.

use std::time::Duration;

use chrono::Utc;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{
    SqlEditorState,
    check::{ScriptOptions, check_text, checked_script},
    history::{self, Ended},
    limits::Limits,
    restrictions::Permissions,
    script_run::{self, ScriptRun, StatementDone},
    statement::FetchMode,
};
use crate::{
    db::DbRole,
    error::{ApiResult, Code},
};

/// A script to run. A run stores it as its parameters.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScriptRequest {
    pub sql: String,
    #[serde(default)]
    pub read_only: bool,
    /// Whether the script runs in one transaction (default true).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<bool>,
}

/// A script that has passed all checks.
pub struct CheckedScript(ScriptRun);

impl CheckedScript {
    pub fn statement_count(&self) -> usize {
        self.0.statements.len()
    }

    /// Returns the names of the tables that the script changes.
    pub fn changed_tables(&self) -> Vec<String> {
        self.0.changed_tables()
    }
}

/// Result of a script.
#[derive(Debug)]
pub struct ScriptEnd {
    /// Number of statements, from the first one, whose changes are committed.
    pub committed_statements: usize,
    /// Number of rows that the statements returned or changed. The returned rows are not kept.
    pub row_count: u64,
    pub failure: Option<ScriptError>,
    /// Whether the changes of the statement or commit that failed may have been committed.
    pub is_uncertain: bool,
}

/// The failure that stopped a script.
#[derive(Debug)]
pub struct ScriptError {
    /// Index of the statement that failed. `None` if the commit failed.
    pub statement: Option<u32>,
    pub code: Code,
    pub message: String,
}

impl SqlEditorState {
    /// Checks a script as `POST sql` does.
    ///
    /// # Errors
    /// Returns `sql_error` for a syntax error, `sql_refused` for a statement that the editor does not run, and
    /// `invalid_request` for a script without statements, with too many statements, or with a NUL character.
    pub async fn check_script(&self, request: &ScriptRequest) -> ApiResult<CheckedScript> {
        check_text(&request.sql)?;
        let permissions = Permissions { create_extension: self.allow_create_extension };
        let options = ScriptOptions { read_only: request.read_only, transaction: request.transaction, max_rows: 0 };
        let mut script = checked_script(request.sql.clone(), options, permissions).await?;
        script.keeps_results = false;
        for statement in &mut script.statements {
            // Every statement is completed, although its rows are dropped.
            statement.statement.fetch_mode = FetchMode::Whole;
        }
        Ok(CheckedScript(script))
    }

    /// Runs a script until it ends, or until `timeout` has passed or it is cancelled, and adds it to the history.
    /// `on_statement` is called after each statement that was carried out.
    ///
    /// # Errors
    /// Fails if the connection can't be opened. [`ScriptEnd::failure`] reports the failure of a statement or of the
    /// commit.
    pub async fn run_script(
        &self,
        project: &str,
        script: &CheckedScript,
        timeout: Duration,
        cancelled: CancellationToken,
        on_statement: &(dyn Fn(StatementDone<'_>) + Send + Sync),
    ) -> ApiResult<ScriptEnd> {
        let limits = Limits { timeout, cancelled, name: "sql-run".to_owned() };
        let at = Utc::now();
        let client = self.pools.exclusive(project, DbRole::Owner).await?;
        let outcome = script_run::run(client, &script.0, &limits, &self.responses, on_statement).await;
        (self.schema_changed)(project);
        let failure = outcome.failure.map(|(statement, error)| ScriptError {
            statement,
            code: error.code(),
            message: error.message().to_owned(),
        });
        let end = ScriptEnd {
            committed_statements: outcome.progress.committed,
            row_count: outcome.progress.row_count,
            failure,
            is_uncertain: outcome.is_uncertain,
        };
        let ended = Ended {
            row_count: end.failure.is_none().then_some(end.row_count),
            error: end.failure.as_ref().map(|failure| failure.message.clone()),
        };
        history::add(&self.platform, project, &script.0.sql, at, &ended).await;
        Ok(end)
    }
}
