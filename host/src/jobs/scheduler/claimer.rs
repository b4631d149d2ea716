//! Who: claims queued runs, as many as there are turns free, and starts them.

use std::{sync::Arc, time::Duration};

use tokio::{sync::OwnedSemaphorePermit, task::JoinSet};

use super::{PATIENCE, Shared, attempt};
use crate::jobs::queries::{self, ClaimedRow};

/// Claimed in one round trip.
const BATCH: usize = 256;
/// While there is more to claim than there are turns, turns that become free one by one are used together.
const GATHERING: Duration = Duration::from_millis(1);
/// In case that a notification was lost.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
const AFTER_ERROR: Duration = Duration::from_secs(1);

pub(super) async fn claim(shared: Arc<Shared>) {
    // Dropped with this task, and the runs with it.
    let mut runs = JoinSet::new();
    let mut backlog = false;
    loop {
        while runs.try_join_next().is_some() {}
        let mut turns = tokio::select! {
            biased;
            () = shared.stopping.cancelled() => break,
            turn = shared.turns.clone().acquire_owned() => match turn {
                Ok(turn) => vec![turn],
                Err(_) => break,
            },
        };
        if backlog {
            tokio::time::sleep(GATHERING).await;
        }
        while turns.len() < BATCH
            && let Ok(turn) = shared.turns.clone().try_acquire_owned()
        {
            turns.push(turn);
        }
        let asked = turns.len();
        let sleep = match claim_some(&shared, asked).await {
            Ok(claimed) => {
                backlog = claimed.len() == asked;
                start(&shared, &mut runs, claimed, turns);
                if backlog {
                    continue;
                }
                until_queued(&shared).await
            }
            Err(error) => {
                tracing::warn!(%error, "queued runs could not be claimed; trying again");
                drop(turns);
                AFTER_ERROR
            }
        };
        tokio::select! {
            () = shared.stopping.cancelled() => break,
            () = shared.claim.notified() => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
    // Whoever waits for the end may look again: the turns that were held for claiming are free.
    shared.finished.notify_waiters();
    while runs.join_next().await.is_some() {}
}

async fn claim_some(shared: &Shared, limit: usize) -> Result<Vec<ClaimedRow>, sqlx::Error> {
    loop {
        let claimed = shared.claiming.run(PATIENCE, async |connection| {
            queries::claim(connection, &shared.worker, shared.jobs.config.lease, limit as i64).await
        });
        match claimed.await {
            // Another scheduler was faster with a run of the same job.
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {}
            claimed => return claimed,
        }
    }
}

fn start(shared: &Arc<Shared>, runs: &mut JoinSet<()>, claimed: Vec<ClaimedRow>, turns: Vec<OwnedSemaphorePermit>) {
    for (row, turn) in claimed.into_iter().zip(turns) {
        if let Some(at) = row.scheduled_for.filter(|_| row.trigger == "schedule") {
            let late = (row.started_at - at).as_seconds_f64().max(0.0);
            metrics::histogram!("atlashub_jobs_lateness_seconds").record(late);
        }
        let shared = shared.clone();
        // Before the task runs: whoever stops the scheduler, or cancels the run, must find it.
        let prepared = attempt::prepare(&shared, row);
        // Boxed: the runtime moves a task's state several times, and a run's is large.
        runs.spawn(Box::pin(async move {
            attempt::run(&shared, prepared).await;
            drop(turn);
            shared.finished.notify_waiters();
        }));
    }
    shared.working.notify_one();
}

async fn until_queued(shared: &Shared) -> Duration {
    match shared.claiming.run(PATIENCE, queries::seconds_until_queued).await {
        Ok(seconds) => seconds.map_or(LONGEST_SLEEP, |seconds| {
            Duration::from_secs_f64(seconds.clamp(0.0, LONGEST_SLEEP.as_secs_f64()) + 0.001)
        }),
        Err(_) => AFTER_ERROR,
    }
}
