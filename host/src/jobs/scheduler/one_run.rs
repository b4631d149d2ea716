//! Executes a single run, in a process that leaves all other runs to the servers.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use super::{
    attempt,
    queries::{self, ClaimedRow},
    state::{STATEMENT_TIMEOUT, SchedulerState},
};

/// Interval at which the process tries to claim the run. While another scheduler executes the run, this fails.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Claims the run and executes it, unless another scheduler claims it first. If that scheduler crashes, ends the run
/// once its lease has expired, because there may be no other process that ends it.
pub(super) async fn execute_run(state: Arc<SchedulerState>, run: Uuid) {
    while !state.stopping.is_cancelled() {
        // A scheduler that stops waits for this permit, so it does not interrupt a claim.
        let Ok(permit) = state.run_permits.clone().acquire_owned().await else { return };
        let claimed = claim_or_end(&state, run).await;
        let is_claimed = matches!(claimed, Ok(Some(_)));
        match claimed {
            Ok(Some(row)) => {
                let prepared = attempt::prepare(&state, row);
                state.wake_output_writer.notify_one();
                attempt::execute(&state, prepared).await;
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, %run, "failed to claim the run; retrying"),
        }
        drop(permit);
        state.run_finished.notify_waiters();
        if is_claimed {
            return;
        }
        tokio::select! {
            () = state.stopping.cancelled() => {}
            () = tokio::time::sleep(CHECK_INTERVAL) => {}
        }
    }
}

/// Claims the run if it is queued, and ends it if its lease expired.
async fn claim_or_end(state: &SchedulerState, run: Uuid) -> Result<Option<ClaimedRow>, sqlx::Error> {
    let claim = async |connection: &mut sqlx::PgConnection| {
        queries::claim_run(connection, &state.worker, state.jobs.runs.config.lease, run).await
    };
    let claimed = state.claimer.run(STATEMENT_TIMEOUT, claim).await?;
    if claimed.is_none() {
        let end = async |connection: &mut sqlx::PgConnection| queries::end_expired_runs(connection, Some(run), 1).await;
        let ended = state.writer.run(STATEMENT_TIMEOUT, end).await?;
        ended.iter().for_each(|row| state.report_ended(row));
    }
    Ok(claimed)
}
