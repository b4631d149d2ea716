//! The built-in job that executes scripts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    error::{ApiError, Code},
    jobs::{BuiltInJob, LineLevel, RunCall, RunFailure, RunOutput, RunReport},
    sql_editor::{ScriptEnd, ScriptRequest, SqlEditorState, StatementDone},
};

/// Executes scripts as runs.
pub struct SqlJob(pub SqlEditorState);

#[async_trait]
impl BuiltInJob for SqlJob {
    const PLUGIN: &'static str = "sql";
    const JOB: &'static str = "script";
    const MAX_DURATION: Duration = Duration::from_secs(24 * 3600);
    /// The number of simultaneous runs is limited, because each run uses a connection.
    const MAX_RUNS: usize = 4;
    const NEEDS_PROJECT: bool = true;

    type Params = ScriptRequest;

    async fn check(&self, params: ScriptRequest) -> Result<(), String> {
        self.0.check_script(&params).await.map(drop).map_err(|error| error.message().to_owned())
    }

    async fn run(
        &self,
        params: ScriptRequest,
        call: RunCall,
        output: Arc<dyn RunOutput>,
        cancel: CancellationToken,
    ) -> Result<RunReport, RunFailure> {
        let Some(project) = &call.project else {
            return Err(RunFailure::refused("SQL runs in the database of a project, and the job has none."));
        };
        let script = self.0.check_script(&params).await.map_err(|error| RunFailure::refused(error.message()))?;
        output.started();
        let total = script.statement_count() as u64;
        output.progress(0, Some(total), "");
        let report_output = output.clone();
        let has_run = Arc::new(AtomicBool::new(false));
        let note_run = Arc::clone(&has_run);
        let on_statement = move |done: StatementDone<'_>| {
            note_run.store(true, Ordering::Relaxed);
            let number = done.index as u64 + 1;
            let fields = json!({ "rowCount": done.row_count, "durationMs": done.duration_ms.round() });
            report_output.log(LineLevel::Info, &format!("{number} of {total}: {}", done.command), fields);
            report_output.progress(number, Some(total), done.command);
        };
        let end = self.0.run_script(project, &script, call.timeout, cancel, &on_statement).await;
        let end = end.map_err(|error| failure_of(&error, has_run.load(Ordering::Relaxed)))?;
        report(end, total, &*output)
    }
}

/// Converts an error that is not the script's own. `has_run` is whether a statement was carried out. If so, the script
/// must not run again, because its changes may be committed.
fn failure_of(error: &ApiError, has_run: bool) -> RunFailure {
    match error.code() {
        Code::Timeout => RunFailure::TimedOut,
        Code::Cancelled => RunFailure::Cancelled,
        _ if has_run => RunFailure::refused(error.message()),
        // The database may be reachable at the next attempt.
        _ => RunFailure::temporary(error.message()),
    }
}

/// Converts the end of a script with `total` statements to the end of its run.
fn report(end: ScriptEnd, total: u64, output: &dyn RunOutput) -> Result<RunReport, RunFailure> {
    let result = json!({
        "statements": total,
        "committedStatements": end.committed_statements,
        "rowCount": end.row_count,
    });
    let kept = kept_changes(&end);
    let Some(failure) = end.failure else { return Ok(RunReport { result }) };
    let statement = failure.statement.map(|index| format!("Statement {} of {total}: ", u64::from(index) + 1));
    let reason = failure.message.trim_end_matches('.');
    let message = format!("{}{reason}. {kept}", statement.unwrap_or_default());
    output.log(LineLevel::Error, &message, serde_json::Value::Null);
    Err(match failure.code {
        Code::Timeout => RunFailure::TimedOut,
        Code::Cancelled => RunFailure::Cancelled,
        _ => RunFailure::Failed { message, details: Some(result), retryable: false },
    })
}

/// Describes the changes that a failed script leaves behind.
fn kept_changes(end: &ScriptEnd) -> String {
    let committed = match end.committed_statements {
        0 if end.is_uncertain => {
            return "Changes of the script may have been committed. Check them before you run it again.".to_owned();
        }
        0 => return "Nothing was changed.".to_owned(),
        1 => "The first statement was committed.".to_owned(),
        count => format!("The first {count} statements were committed."),
    };
    if end.is_uncertain {
        format!("{committed} Statement {} may have been committed too.", end.committed_statements + 1)
    } else {
        committed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_script_with_an_unknown_outcome_says_which_changes_may_have_been_committed() {
        let kept = |committed_statements: usize, is_uncertain: bool| {
            kept_changes(&ScriptEnd { committed_statements, row_count: 0, failure: None, is_uncertain })
        };
        assert_eq!(kept(0, false), "Nothing was changed.");
        assert!(kept(0, true).starts_with("Changes of the script may have been committed."));
        assert_eq!(kept(2, false), "The first 2 statements were committed.");
        assert_eq!(kept(2, true), "The first 2 statements were committed. Statement 3 may have been committed too.");
    }

    #[test]
    fn script_is_not_repeated_after_a_statement_was_carried_out() {
        let error = ApiError::new(Code::Overloaded, "There is no memory for the response.");
        for (has_run, expected) in [(false, true), (true, false)] {
            let RunFailure::Failed { retryable, .. } = failure_of(&error, has_run) else { panic!("failed") };
            assert_eq!(retryable, expected, "{has_run}");
        }
    }
}
