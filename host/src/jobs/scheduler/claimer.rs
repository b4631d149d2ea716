//! Claims queued runs, up to the number of free permits, and starts them.

use std::{sync::Arc, time::Duration};

use api_types::RunTrigger;
use tokio::{sync::OwnedSemaphorePermit, task::JoinSet};

use super::{
    attempt,
    queries::{self, ClaimedRow},
    state::{STATEMENT_TIMEOUT, SchedulerState, sleep_until_due},
};

/// Runs claimed in one statement.
const BATCH_SIZE: usize = 256;
/// Time to collect more free permits while there are more queued runs than permits.
const COLLECT_INTERVAL: Duration = Duration::from_millis(1);
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

pub(super) async fn claim_runs(state: Arc<SchedulerState>) {
    // Dropped with this task, which ends the runs.
    let mut attempts = JoinSet::new();
    let mut has_backlog = false;
    loop {
        while attempts.try_join_next().is_some() {}
        let mut permits = tokio::select! {
            biased;
            () = state.stopping.cancelled() => break,
            permit = state.run_permits.clone().acquire_owned() => match permit {
                Ok(permit) => vec![permit],
                Err(_) => break,
            },
        };
        if has_backlog {
            tokio::time::sleep(COLLECT_INTERVAL).await;
        }
        while permits.len() < BATCH_SIZE
            && let Ok(permit) = state.run_permits.clone().try_acquire_owned()
        {
            permits.push(permit);
        }
        let limit = permits.len();
        let sleep = match claim_batch(&state, limit).await {
            Ok(claimed) => {
                has_backlog = claimed.len() == limit;
                start_attempts(&state, &mut attempts, claimed, permits);
                if has_backlog {
                    continue;
                }
                time_until_queued(&state).await
            }
            Err(error) => {
                tracing::warn!(%error, "failed to claim queued runs; retrying");
                drop(permits);
                RETRY_INTERVAL
            }
        };
        tokio::select! {
            () = state.stopping.cancelled() => break,
            () = state.wake_claimer.notified() => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
    // The permits that this task held are free: `wait_until_idle` must check again.
    state.run_finished.notify_waiters();
    while attempts.join_next().await.is_some() {}
}

async fn claim_batch(state: &SchedulerState, limit: usize) -> Result<Vec<ClaimedRow>, sqlx::Error> {
    loop {
        let claimed = state.claimer.run(STATEMENT_TIMEOUT, async |connection| {
            queries::claim_runs(connection, &state.worker, state.jobs.runs.config.lease, limit as i64).await
        });
        match claimed.await {
            // Another scheduler claimed an exclusive run of the same job.
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {}
            claimed => return claimed,
        }
    }
}

fn start_attempts(
    state: &Arc<SchedulerState>,
    attempts: &mut JoinSet<()>,
    claimed: Vec<ClaimedRow>,
    permits: Vec<OwnedSemaphorePermit>,
) {
    for (row, permit) in claimed.into_iter().zip(permits) {
        if let Some(fire_at) = row.scheduled_for.filter(|_| row.trigger == RunTrigger::Schedule) {
            let lateness = (row.started_at - fire_at).as_seconds_f64().max(0.0);
            metrics::histogram!("atlashub_jobs_lateness_seconds").record(lateness);
        }
        let state = state.clone();
        // Registers the run before its task starts, so that stopping the scheduler or cancelling the run finds it.
        let prepared = attempt::prepare(&state, row);
        // Boxed, because the runtime moves a task's state several times and a run's is large.
        attempts.spawn(Box::pin(async move {
            attempt::execute(&state, prepared).await;
            drop(permit);
            state.run_finished.notify_waiters();
        }));
    }
    state.wake_output_writer.notify_one();
}

async fn time_until_queued(state: &SchedulerState) -> Duration {
    match state.claimer.run(STATEMENT_TIMEOUT, queries::seconds_until_queued).await {
        Ok(seconds) => sleep_until_due(seconds),
        Err(_) => RETRY_INTERVAL,
    }
}
