//! Runs the statements of a script, one after the other.

use std::{ops::Range, sync::Arc, time::Instant};

use api_types::{Explain, ScriptFailure};
use serde::Serialize;

use super::{
    changed_tables::distinct,
    errors::Failure,
    limits::{Limits, within},
    session::{self, StatementRun, Transaction},
    statement::Statement,
};
use crate::{
    db::ExclusiveClient,
    error::{ApiError, ApiResult, Code},
    http::{Recipient, ResponseBuffer, ResponseMemory},
};

/// A script with checked statements, and its options.
pub(super) struct ScriptRun {
    pub(super) sql: String,
    pub(super) statements: Vec<CheckedStatement>,
    pub(super) read_only: bool,
    pub(super) in_one_transaction: bool,
    pub(super) max_rows: usize,
    /// Whether the response contains the results of the statements.
    pub(super) keeps_results: bool,
}

impl ScriptRun {
    /// Returns the names of the tables that the statements change.
    pub(super) fn changed_tables(&self) -> Vec<String> {
        distinct(self.statements.iter().flat_map(|part| part.statement.tables.iter().cloned()).collect())
    }
}

/// A statement of a script.
pub(super) struct CheckedStatement {
    /// Byte range in the script.
    pub(super) bytes: Range<usize>,
    /// Character range in the script.
    pub(super) characters: Range<u32>,
    pub(super) statement: Statement,
}

/// The progress of a script.
#[derive(Default)]
pub(super) struct Progress {
    results: Vec<ResponseBuffer>,
    result_bytes: usize,
    /// Number of statements that were carried out.
    done: usize,
    pub(super) row_count: u64,
    /// Number of statements, from the first one, whose changes are committed.
    pub(super) committed: usize,
}

/// The members of an [`api_types::ScriptResult`] after the results.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ScriptEnd<'a> {
    statement_count: usize,
    failure: Option<&'a ScriptFailure>,
    committed: bool,
    committed_statements: usize,
    duration_ms: f64,
}

/// Result of a script.
pub(super) struct ScriptOutcome {
    /// An [`api_types::ScriptResult`], or the error of writing it.
    pub(super) response: ApiResult<ResponseBuffer>,
    /// Index of the statement that failed, or `None` if the commit failed, and the error.
    pub(super) failure: Option<(Option<u32>, ApiError)>,
    /// Whether the changes of the statement or commit that failed may have been committed.
    pub(super) is_uncertain: bool,
    pub(super) progress: Progress,
}

/// A statement of a script that was carried out.
#[derive(Debug, Clone, Copy)]
pub struct StatementDone<'a> {
    /// Index of the statement, from 0.
    pub index: usize,
    pub command: &'a str,
    pub row_count: u64,
    pub duration_ms: f64,
}

/// Runs the script until its end or the first failure. `on_statement` is called after each statement that was carried
/// out.
pub(super) async fn run(
    client: ExclusiveClient,
    run: &ScriptRun,
    limits: &Limits,
    memory: &ResponseMemory,
    on_statement: &(dyn Fn(StatementDone<'_>) + Send + Sync),
) -> ScriptOutcome {
    let started = Instant::now();
    let mut progress = Progress::default();
    let client = Arc::new(client);
    let result = within(&client, limits, execute(&client, run, memory, &mut progress, on_statement)).await;
    let duration_ms = started.elapsed().as_secs_f64() * 1e3;
    let failure = result.err().map(|failure| {
        // If there is no such statement, the commit failed.
        let statement = run.statements.get(progress.done);
        let base = statement.map_or(0, |statement| statement.characters.start);
        let error = failure.into_api_error(&run.sql, base, limits.timeout);
        (statement.map(|_| progress.done as u32), error)
    });
    let shown = failure.as_ref().map(|(statement, error)| ScriptFailure {
        statement: *statement,
        code: error.code().as_str().to_owned(),
        message: error.message().to_owned(),
        hint: error.hint().map(str::to_owned),
        details: error.details().cloned(),
    });
    let end = ScriptEnd {
        statement_count: run.statements.len(),
        failure: shown.as_ref(),
        committed: progress.committed > 0,
        committed_statements: progress.committed,
        duration_ms,
    };
    let is_uncertain = !run.read_only
        && failure
            .as_ref()
            .is_some_and(|(statement, error)| may_be_committed(*statement, error.code(), run.in_one_transaction));
    let lost = match (&failure, progress.committed) {
        (None, _) => "The statements were carried out. Only their results are lost.",
        (Some(_), 0) if is_uncertain => "The script failed, but its changes may have been committed.",
        (Some(_), 0) => "The script failed. Nothing was changed.",
        (Some(_), _) if is_uncertain => {
            "The script failed. The statements before the failure were committed. The statement that failed may have \
             been committed too."
        }
        (Some(_), _) => "The script failed. The statements before the failure were committed.",
    };
    let results = std::mem::take(&mut progress.results);
    let response = script_result(memory, results, &end).map_err(|error| error.with_hint(lost));
    ScriptOutcome { response, failure, is_uncertain, progress }
}

/// Returns whether Postgres may have committed the changes of what failed: `statement`, or the commit if it is `None`.
/// If the connection is lost, or the run ends before Postgres has responded, the outcome of a commit is unknown. In one
/// transaction, only the end of the script commits. Otherwise each statement commits its own changes.
fn may_be_committed(statement: Option<u32>, code: Code, in_one_transaction: bool) -> bool {
    match code {
        Code::Unavailable | Code::Timeout | Code::Cancelled => statement.is_none() || !in_one_transaction,
        _ => false,
    }
}

/// Builds an [`api_types::ScriptResult`].
fn script_result(
    memory: &ResponseMemory,
    results: Vec<ResponseBuffer>,
    end: &ScriptEnd<'_>,
) -> ApiResult<ResponseBuffer> {
    let mut response = memory.response(Recipient::Owner, 4096);
    response.push(b"{\"results\":[")?;
    for (index, result) in results.into_iter().enumerate() {
        if index > 0 {
            response.push(b",")?;
        }
        response.append(result)?;
    }
    let end = serde_json::to_string(end).map_err(ApiError::internal)?;
    response.push(b"],")?;
    // `end` is an object: its members follow those of the response.
    response.push(&end.as_bytes()[1..])?;
    Ok(response)
}

async fn execute(
    client: &ExclusiveClient,
    run: &ScriptRun,
    memory: &ResponseMemory,
    progress: &mut Progress,
    on_statement: &(dyn Fn(StatementDone<'_>) + Send + Sync),
) -> Result<(), Failure> {
    let transaction = match (run.in_one_transaction, run.read_only) {
        (true, _) => Transaction::Enclosing,
        (false, true) => Transaction::OwnReadOnly,
        (false, false) => Transaction::Own,
    };
    if run.in_one_transaction {
        let begin = if run.read_only { session::BEGIN_READ_ONLY } else { "BEGIN" };
        client.batch_execute(begin).await.map_err(Failure::Internal)?;
    }
    // This reserves space for the end of every result, even if the rows of earlier results fill the response.
    let for_ends = memory.max_response_bytes() / 4;
    for (index, CheckedStatement { bytes, characters, statement }) in run.statements.iter().enumerate() {
        let statement_run = StatementRun {
            sql: &run.sql[bytes.clone()],
            statement: Some(statement),
            explain: Explain::No,
            transaction,
            max_rows: run.max_rows,
            max_bytes: memory.max_response_bytes().saturating_sub(for_ends + progress.result_bytes),
            range: Some((characters.start, characters.end)),
        };
        let ran = session::execute(client, &statement_run, memory.response(Recipient::Owner, 512)).await;
        if matches!(ran, Err(Failure::ResultLost { .. })) {
            // The script ends here, but the statement's own transaction is committed.
            progress.committed = progress.done + 1;
        }
        let success = ran?;
        progress.done += 1;
        progress.row_count += success.row_count;
        let session::Success { command, row_count, duration_ms, .. } = &success;
        on_statement(StatementDone { index, command, row_count: *row_count, duration_ms: *duration_ms });
        if !run.in_one_transaction {
            progress.committed = progress.done;
        }
        if run.keeps_results {
            progress.result_bytes += success.response.len();
            progress.results.push(success.response);
        }
    }
    if run.in_one_transaction {
        client.batch_execute("COMMIT").await.map_err(Failure::postgres)?;
        progress.committed = progress.done;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcome_is_uncertain_only_if_a_commit_may_have_been_sent() {
        for (statement, code, in_one_transaction, expected) in [
            (None, Code::Unavailable, true, true),
            (None, Code::Timeout, true, true),
            (None, Code::SqlError, true, false),
            (Some(0), Code::Unavailable, true, false),
            (Some(0), Code::Timeout, true, false),
            (Some(0), Code::Cancelled, true, false),
            (Some(0), Code::Unavailable, false, true),
            (Some(0), Code::Timeout, false, true),
            (Some(0), Code::Cancelled, false, true),
            (Some(0), Code::SqlError, false, false),
        ] {
            let actual = may_be_committed(statement, code, in_one_transaction);
            assert_eq!(actual, expected, "{statement:?} {code:?} {in_one_transaction}");
        }
    }
}
