//! Periodic work, scheduled in UTC: ends runs with expired leases, wakes the planner and the claimer in case they
//! missed a notification or a change of the clock, applies the retention of runs, and removes logs without a run.
//!
//! This is the only use of `tokio-cron-scheduler`. The crate polls twice a second and does not handle changes of the
//! clock. That is enough for sweeps, but not for jobs.

use std::sync::{Arc, Weak};

use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

use super::{
    queries,
    state::{STATEMENT_TIMEOUT, SchedulerState},
};
use crate::jobs::runs::retention::apply_retention;

const EXPIRED_LEASES_SCHEDULE: &str = "*/5 * * * * *";
const RETENTION_SCHEDULE: &str = "40 17 * * * *";
/// Maximum number of runs with an expired lease that one statement ends.
const BATCH_SIZE: i64 = 500;

/// The timer of the sweeps. Dropping it stops them.
pub(super) struct Sweeps(Option<JobScheduler>);

impl Sweeps {
    /// Returns a timer without sweeps.
    pub(super) fn none() -> Self {
        Self(None)
    }

    pub(super) async fn start(state: &Arc<SchedulerState>) -> Self {
        match start_timer(Arc::downgrade(state)).await {
            Ok(timer) => Self(Some(timer)),
            Err(error) => {
                tracing::error!(%error, "failed to start the sweeps of jobs; runs with expired leases will not end");
                Self(None)
            }
        }
    }

    pub(super) async fn stop(&mut self) {
        if let Some(mut timer) = self.0.take()
            && let Err(error) = timer.shutdown().await
        {
            tracing::debug!(%error, "failed to stop the sweeps of jobs");
        }
    }
}

impl Drop for Sweeps {
    fn drop(&mut self) {
        if let (Some(mut timer), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move { drop(timer.shutdown().await) });
        }
    }
}

async fn start_timer(state: Weak<SchedulerState>) -> Result<JobScheduler, JobSchedulerError> {
    let timer = JobScheduler::new().await?;
    let lease_state = state.clone();
    timer
        .add(Job::new_async(EXPIRED_LEASES_SCHEDULE, move |_, _| {
            let state = lease_state.upgrade();
            Box::pin(async move {
                if let Some(state) = state {
                    end_expired_runs(&state).await;
                }
            })
        })?)
        .await?;
    timer
        .add(Job::new_async(RETENTION_SCHEDULE, move |_, _| {
            let state = state.upgrade();
            Box::pin(async move {
                if let Some(state) = state {
                    remove_old_data(&state).await;
                }
            })
        })?)
        .await?;
    timer.start().await?;
    Ok(timer)
}

/// Ends runs whose scheduler crashed. Also wakes the planner and the claimer, which would sleep too long if a
/// notification was lost or the machine was suspended.
async fn end_expired_runs(state: &SchedulerState) {
    if state.stopping.is_cancelled() {
        return;
    }
    let end = async |connection: &mut sqlx::PgConnection| queries::end_expired_runs(connection, None, BATCH_SIZE).await;
    match state.writer.run(STATEMENT_TIMEOUT, end).await {
        Ok(ended) => {
            for row in &ended {
                tracing::warn!(run = %row.id, job = row.job_name, retried = row.retried, "the lease of a run expired");
                state.report_ended(row);
            }
        }
        Err(error) => tracing::warn!(%error, "failed to end runs with expired leases"),
    }
    state.wake_planner.notify_one();
    state.wake_claimer.notify_one();
}

async fn remove_old_data(state: &SchedulerState) {
    if let Err(error) = apply_retention(&state.jobs.runs).await {
        tracing::warn!(%error, "failed to remove old runs");
    }
    // A call removes only a limited number of logs. The plugin `cleanup` removes them too.
    if let Err(error) = state.jobs.runs.remove_orphan_logs().await {
        tracing::warn!(%error, "failed to remove logs without a run");
    }
}
