use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::params::{JOB, PLUGIN, SqlParams};
use crate::{
    egress::EgressRequest,
    error::Code,
    jobs::{JobRunner, LineLevel, OwnRuns, RunCall, RunFailure, RunOutput, RunRefusal, RunReport},
    sql_editor::SqlEditorState,
};

/// Default and maximum time limit of a run.
pub(super) const MAX_DURATION: Duration = Duration::from_secs(24 * 3600);
/// Maximum number of SQL runs that one scheduler executes at a time. Each uses a connection.
const MAX_RUNS: usize = 4;

/// Executes SQL runs, and passes all others to another runner.
pub struct SqlRunner {
    editor: SqlEditorState,
    others: Arc<dyn JobRunner>,
}

impl SqlRunner {
    pub fn new(editor: SqlEditorState, others: Arc<dyn JobRunner>) -> Self {
        Self { editor, others }
    }

    async fn run_sql(
        &self,
        call: &RunCall,
        output: Arc<dyn RunOutput>,
        cancel: CancellationToken,
    ) -> Result<RunReport, RunFailure> {
        let failed = |message: String| RunFailure::Failed { message, details: None, retryable: false };
        let params =
            parse(&call.params).map_err(|problem| failed(format!("The parameters are not valid: {problem}.")))?;
        let Some(project) = &call.project else {
            return Err(failed("SQL runs in the database of a project, and the job has none.".to_owned()));
        };
        let script = self.editor.check_script(&params.sql, params.read_only, params.transaction).await;
        let script = script.map_err(|error| failed(error.message().to_owned()))?;
        output.started();
        let total = script.statement_count() as u64;
        output.progress(0, Some(total), "");
        let report_output = output.clone();
        let on_statement = move |done: crate::sql_editor::StatementDone<'_>| {
            let number = done.index as u64 + 1;
            let fields = json!({ "rowCount": done.row_count, "durationMs": done.duration_ms.round() });
            report_output.log(LineLevel::Info, &format!("{number} of {total}: {}", done.command), fields);
            report_output.progress(number, Some(total), done.command);
        };
        let end = self.editor.run_script(project, &script, call.timeout, cancel, &on_statement).await;
        let end = end.map_err(|error| match error.code() {
            Code::Timeout => RunFailure::TimedOut,
            Code::Cancelled => RunFailure::Cancelled,
            // Nothing ran, and the database may be reachable at the next attempt.
            _ => RunFailure::Failed { message: error.message().to_owned(), details: None, retryable: true },
        })?;
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
        match failure.code {
            Code::Timeout => Err(RunFailure::TimedOut),
            Code::Cancelled => Err(RunFailure::Cancelled),
            _ => Err(RunFailure::Failed { message, details: Some(result), retryable: false }),
        }
    }
}

fn parse(params: &serde_json::Value) -> Result<SqlParams, serde_json::Error> {
    serde_json::from_value(params.clone())
}

#[async_trait]
impl JobRunner for SqlRunner {
    async fn check(&self, plugin: &str, job: &str, params: &serde_json::Value) -> Result<String, RunRefusal> {
        if plugin != PLUGIN {
            return self.others.check(plugin, job, params).await;
        }
        if !["", JOB, PLUGIN].contains(&job) {
            let known = vec![JOB.to_owned()];
            return Err(RunRefusal::UnknownJob { plugin: PLUGIN.to_owned(), job: job.to_owned(), known });
        }
        let invalid = |problem: String| RunRefusal::Params { problems: vec![(String::new(), problem)] };
        let params = parse(params).map_err(|error| invalid(error.to_string()))?;
        let script = self.editor.check_script(&params.sql, params.read_only, params.transaction).await;
        script.map_err(|error| invalid(error.message().to_owned()))?;
        Ok(JOB.to_owned())
    }

    async fn check_request(&self, plugin: &str, request: &EgressRequest) -> Result<(), RunRefusal> {
        self.others.check_request(plugin, request).await
    }

    async fn max_duration(&self, plugin: &str) -> Option<Duration> {
        if plugin == PLUGIN { Some(MAX_DURATION) } else { self.others.max_duration(plugin).await }
    }

    fn max_runs(&self, plugin: &str, total: usize) -> usize {
        if plugin == PLUGIN { MAX_RUNS.min(total) } else { self.others.max_runs(plugin, total) }
    }

    fn own_runs(&self) -> OwnRuns {
        self.others.own_runs()
    }

    async fn run(
        &self,
        call: RunCall,
        output: Arc<dyn RunOutput>,
        cancel: CancellationToken,
    ) -> Result<RunReport, RunFailure> {
        if call.plugin == PLUGIN {
            self.run_sql(&call, output, cancel).await
        } else {
            self.others.run(call, output, cancel).await
        }
    }
}
