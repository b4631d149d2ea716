//! Renews the leases of active runs, and stops runs whose lease can't be renewed.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::{
    active_run::{ActiveRun, StopReason},
    queries::{self, HeldLease, Renewal},
    state::{STATEMENT_TIMEOUT, SchedulerState},
};

/// Maximum interval between two renewals. It is also the maximum delay of a cancellation whose notification was lost.
const MAX_RENEWAL_INTERVAL: Duration = Duration::from_secs(5);

/// Renews leases until the task is dropped.
///
/// A run whose lease can't be renewed for any reason is stopped while a fifth of the lease is left. So it has ended
/// before another scheduler may start it.
pub(super) async fn renew_leases(state: Arc<SchedulerState>) {
    let lease = state.jobs.runs.config.lease;
    let (interval, stop_after) = ((lease / 3).min(MAX_RENEWAL_INTERVAL), lease - lease / 5);
    let mut all_renewed = true;
    loop {
        let interval = if all_renewed { interval } else { interval / 4 };
        let sleep = time_until_first_stop(&state, stop_after).map_or(interval, |left| left.min(interval));
        tokio::select! {
            () = state.wake_lease_renewer.notified() => {}
            () = tokio::time::sleep(sleep) => {}
        }
        if state.active_runs.is_empty() {
            continue;
        }
        // A connection that stopped responding reports no error. The time limit closes it, because a new one may
        // succeed in time.
        let timeout = time_until_first_stop(&state, stop_after).map_or(lease / 3, |left| left.min(lease / 3));
        match tokio::time::timeout(timeout, renew_all(&state)).await {
            Ok(Ok(all)) => all_renewed = all,
            Ok(Err(error)) => tracing::warn!(%error, "failed to renew the leases of runs; retrying"),
            Err(_) => tracing::warn!("timed out while renewing the leases of runs; retrying"),
        }
        let is_overdue = |run: &ActiveRun| run.stop_reason().is_none() && run.time_since_renewal() >= stop_after;
        for run in state.active_runs.iter().filter(|run| is_overdue(run)) {
            tracing::error!(run = %run.key(), "stopping a run whose lease could not be renewed");
            run.stop(StopReason::LeaseLost);
        }
    }
}

/// Returns the time until the first run must be stopped if its lease is not renewed, or `None` if there is no such run.
fn time_until_first_stop(state: &SchedulerState, stop_after: Duration) -> Option<Duration> {
    let running = state.active_runs.iter().filter(|run| run.stop_reason().is_none());
    running.map(|run| stop_after.saturating_sub(run.time_since_renewal())).min()
}

/// Renews all leases, and stops the runs whose lease was lost or whose cancellation was requested. Returns false if a
/// row was locked and skipped.
async fn renew_all(state: &SchedulerState) -> Result<bool, sqlx::Error> {
    let runs: Vec<Arc<ActiveRun>> = state.active_runs.iter().map(|run| run.value().clone()).collect();
    let held: Vec<HeldLease> = runs.iter().map(|run| run.lease()).collect();
    let requested_at = Instant::now();
    let lease = state.jobs.runs.config.lease;
    let renew = async |connection: &mut sqlx::PgConnection| queries::renew_leases(connection, &held, lease).await;
    let renewals = state.lease_renewer.run(STATEMENT_TIMEOUT, renew).await?;
    let renewals: HashMap<Uuid, Renewal> = renewals.into_iter().map(|renewal| (renewal.id, renewal)).collect();
    let mut all_renewed = true;
    for run in runs {
        match renewals.get(&run.lease().id) {
            Some(renewal) => {
                if renewal.renewed {
                    run.set_renewed_at(requested_at);
                }
                all_renewed &= renewal.renewed;
                if renewal.cancel_requested {
                    run.stop(StopReason::Cancelled);
                }
            }
            None => run.stop(StopReason::LeaseLost),
        }
    }
    Ok(all_renewed)
}
