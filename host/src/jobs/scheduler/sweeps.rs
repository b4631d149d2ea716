//! What is done now and then, in UTC: dead leases, a look whether the clock has jumped, old runs.
//!
//! Only here is `tokio-cron-scheduler` used: it looks twice a second and knows no change of the clock, which is enough
//! for this and for nothing that the owner schedules.

use std::sync::{Arc, Weak};

use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

use super::{PATIENCE, Shared};
use crate::jobs::queries;

const REAP: &str = "*/5 * * * * *";
const RETAIN: &str = "40 17 * * * *";
/// Runs taken for dead in one statement.
const BATCH: i64 = 500;

/// The timer; ends when it is dropped.
pub(super) struct Sweeps(Option<JobScheduler>);

impl Sweeps {
    pub(super) async fn start(shared: &Arc<Shared>) -> Self {
        match schedule(Arc::downgrade(shared)).await {
            Ok(timer) => Self(Some(timer)),
            Err(error) => {
                tracing::error!(%error, "the sweeps of jobs could not be started: dead runs are not found");
                Self(None)
            }
        }
    }

    pub(super) async fn stop(&mut self) {
        if let Some(mut timer) = self.0.take()
            && let Err(error) = timer.shutdown().await
        {
            tracing::debug!(%error, "the sweeps of jobs did not stop in order");
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

async fn schedule(shared: Weak<Shared>) -> Result<JobScheduler, JobSchedulerError> {
    let timer = JobScheduler::new().await?;
    let reaping = shared.clone();
    timer
        .add(Job::new_async(REAP, move |_, _| {
            let shared = reaping.upgrade();
            Box::pin(async move {
                if let Some(shared) = shared {
                    reap(&shared).await;
                }
            })
        })?)
        .await?;
    timer
        .add(Job::new_async(RETAIN, move |_, _| {
            let shared = shared.upgrade();
            Box::pin(async move {
                if let Some(shared) = shared {
                    retain(&shared).await;
                }
            })
        })?)
        .await?;
    timer.start().await?;
    Ok(timer)
}

/// Finds runs whose scheduler died, and wakes the planner: after a pause of the machine its sleep is too long.
async fn reap(shared: &Shared) {
    if shared.stopping.is_cancelled() {
        return;
    }
    match shared.writing.run(PATIENCE, async |connection| queries::reap(connection, BATCH).await).await {
        Ok(ended) => {
            for row in &ended {
                tracing::warn!(run = %row.id, job = row.job_name, retried = row.retried, "a run's scheduler stopped");
                shared.announce(row);
            }
        }
        Err(error) => tracing::warn!(%error, "runs of dead schedulers could not be looked for"),
    }
    shared.plan.notify_one();
    shared.claim.notify_one();
}

async fn retain(shared: &Shared) {
    if let Err(error) = shared.jobs.apply_retention().await {
        tracing::warn!(%error, "old runs could not be removed");
    }
    // A page an hour: what the plugin `cleanup` does not get to.
    if let Err(error) = shared.jobs.remove_orphan_logs().await {
        tracing::warn!(%error, "logs whose run is gone could not be removed");
    }
}
