//! Records the outcomes of runs, many in one statement.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use super::{
    queries::{self, EndingRun},
    state::{Outcome, STATEMENT_TIMEOUT, SchedulerState},
};

/// Maximum number of outcomes that one statement records.
const BATCH_SIZE: usize = 256;
/// Time to collect more outcomes while many runs end.
const COLLECT_INTERVAL: Duration = Duration::from_millis(3);
const RETRY_INTERVAL: Duration = Duration::from_millis(500);
/// Time limit for recording outcomes. After that, the leases are no longer renewed. Once they have expired, a sweep
/// ends the runs.
const RECORD_TIMEOUT: Duration = Duration::from_secs(600);

pub(super) async fn record_outcomes(state: Arc<SchedulerState>, mut outcomes: mpsc::UnboundedReceiver<Outcome>) {
    let mut batch = Vec::with_capacity(BATCH_SIZE);
    let mut has_backlog = false;
    while outcomes.recv_many(&mut batch, BATCH_SIZE).await > 0 {
        if has_backlog {
            tokio::time::sleep(COLLECT_INTERVAL).await;
            while batch.len() < BATCH_SIZE
                && let Ok(outcome) = outcomes.try_recv()
            {
                batch.push(outcome);
            }
        }
        has_backlog = batch.len() > 1;
        record_batch(&state, &batch).await;
        for outcome in batch.drain(..) {
            // The lease is renewed until here.
            state.active_runs.remove(&outcome.id);
        }
        // Queued runs of the same jobs may have waited for the ended runs.
        state.wake_claimer.notify_one();
        state.run_finished.notify_waiters();
    }
}

async fn record_batch(state: &SchedulerState, batch: &[Outcome]) {
    let started_at = Instant::now();
    loop {
        let runs: Vec<EndingRun> = batch.iter().map(ending_run).collect();
        match state.writer.run(STATEMENT_TIMEOUT, async |connection| queries::end_runs(connection, &runs).await).await {
            Ok(ended) => return ended.iter().for_each(|row| state.report_ended(row)),
            // Class 22 of SQLSTATE: data exception.
            Err(sqlx::Error::Database(error)) if error.code().is_some_and(|code| code.starts_with("22")) => {
                tracing::error!(%error, "an outcome contains data that Postgres can't store");
                return record_each(state, runs).await;
            }
            Err(error) if started_at.elapsed() > RECORD_TIMEOUT => {
                tracing::error!(%error, runs = batch.len(), "failed to record the outcomes of runs");
                return;
            }
            Err(error) => tracing::warn!(%error, "failed to record the outcomes of runs; retrying"),
        }
        tokio::time::sleep(RETRY_INTERVAL).await;
    }
}

/// Records outcomes one by one, so that an invalid one does not affect the others.
async fn record_each(state: &SchedulerState, runs: Vec<EndingRun>) {
    let end_run = async |run: &EndingRun| {
        let runs = std::slice::from_ref(run);
        state.writer.run(STATEMENT_TIMEOUT, async |connection| queries::end_runs(connection, runs).await).await
    };
    for mut run in runs {
        let mut recorded = end_run(&run).await;
        if recorded.is_err() {
            run.drop_output("its output could not be stored");
            recorded = end_run(&run).await;
        }
        match recorded {
            Ok(ended) => ended.iter().for_each(|row| state.report_ended(row)),
            Err(error) => tracing::error!(run = %run.id(), %error, "failed to record the outcome of a run"),
        }
    }
}

fn ending_run(outcome: &Outcome) -> EndingRun {
    EndingRun::new(
        outcome.run.lease(),
        queries::Ending {
            status: outcome.status,
            retryable: outcome.retryable,
            http_status: outcome.http_status,
            error_text: outcome.error_text.clone(),
            result: outcome.result.clone(),
        },
        outcome.run.log.snapshot(),
    )
}
