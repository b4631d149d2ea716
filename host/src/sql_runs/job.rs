use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    error::Code,
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
        let on_statement = move |done: StatementDone<'_>| {
            let number = done.index as u64 + 1;
            let fields = json!({ "rowCount": done.row_count, "durationMs": done.duration_ms.round() });
            report_output.log(LineLevel::Info, &format!("{number} of {total}: {}", done.command), fields);
            report_output.progress(number, Some(total), done.command);
        };
        let end = self.0.run_script(project, &script, call.timeout, cancel, &on_statement).await;
        let end = end.map_err(|error| match error.code() {
            Code::Timeout => RunFailure::TimedOut,
            Code::Cancelled => RunFailure::Cancelled,
            // Nothing ran, and the database may be reachable at the next attempt.
            _ => RunFailure::temporary(error.message()),
        })?;
        report(end, total, &*output)
    }
}

/// Converts the end of a script with `total` statements to the end of its run.
fn report(end: ScriptEnd, total: u64, output: &dyn RunOutput) -> Result<RunReport, RunFailure> {
    let result = json!({
        "statements": total,
        "committedStatements": end.committed_statements,
        "rowCount": end.row_count,
    });
    let Some(failure) = end.failure else { return Ok(RunReport { result }) };
    let kept = match end.committed_statements {
        0 => "Nothing was changed.".to_owned(),
        1 => "The first statement was committed.".to_owned(),
        count => format!("The first {count} statements were committed."),
    };
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
