//! Keeps what runs: renews leases, and writes logs and progress on while runs go on.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::{
    PATIENCE, Shared,
    live::{LiveRun, StopReason},
};
use crate::jobs::queries::{self, HeldLease, OutputPart, Renewal};

/// At most so long until a cancellation is seen whose notification was lost.
const LONGEST_RENEWAL: Duration = Duration::from_secs(5);
/// How far what is shown of a run may be behind.
const OUTPUT_INTERVAL: Duration = Duration::from_millis(250);

/// Renews leases. A run whose lease can't be renewed, for whatever reason, is stopped while a fifth of it is left: when
/// somebody else may run it, it has ended here.
pub(super) async fn keep_leases(shared: Arc<Shared>) {
    let lease = shared.jobs.config.lease;
    let (interval, safe) = ((lease / 3).min(LONGEST_RENEWAL), lease - lease / 5);
    let mut all_renewed = true;
    loop {
        let interval = if all_renewed { interval } else { interval / 4 };
        let sleep = soonest_end(&shared, safe).map_or(interval, |left| left.min(interval));
        tokio::select! {
            () = shared.renew.notified() => {}
            () = tokio::time::sleep(sleep) => {}
        }
        if shared.live.is_empty() {
            continue;
        }
        // A connection that went silent says nothing by itself: another one may answer in time.
        let patience = soonest_end(&shared, safe).map_or(lease / 3, |left| left.min(lease / 3));
        match tokio::time::timeout(patience, renew(&shared)).await {
            Ok(Ok(all)) => all_renewed = all,
            Ok(Err(error)) => tracing::warn!(%error, "leases of runs could not be renewed; trying again"),
            Err(_) => tracing::warn!("Postgres did not answer when leases of runs were renewed; trying again"),
        }
        for run in shared.live.iter().filter(|run| run.reason().is_none() && run.unrenewed_for() >= safe) {
            tracing::error!(run = %run.key(), "the run's lease could not be renewed: it is stopped");
            run.stop(StopReason::LeaseLost);
        }
    }
}

/// How long until the first of the runs must be stopped, if it isn't renewed; none where no run goes on.
fn soonest_end(shared: &Shared, safe: Duration) -> Option<Duration> {
    let going_on = shared.live.iter().filter(|run| run.reason().is_none());
    going_on.map(|run| safe.saturating_sub(run.unrenewed_for())).min()
}

/// Answers whether all were renewed that are held: a row that somebody writes at this moment is left out.
async fn renew(shared: &Shared) -> Result<bool, sqlx::Error> {
    let live: Vec<(Uuid, Arc<LiveRun>)> = shared.live.iter().map(|run| (*run.key(), run.value().clone())).collect();
    let held: Vec<HeldLease> = live.iter().map(|(id, run)| run.held(*id)).collect();
    let asked_at = Instant::now();
    let renewals = shared
        .renewing
        .run(PATIENCE, async |connection| queries::renew(connection, &held, shared.jobs.config.lease).await)
        .await?;
    let renewals: HashMap<Uuid, Renewal> = renewals.into_iter().map(|renewal| (renewal.id, renewal)).collect();
    let mut all_renewed = true;
    for (id, run) in live {
        match renewals.get(&id) {
            Some(Renewal { renewed, cancel_requested, .. }) => {
                if *renewed {
                    run.renewed(asked_at);
                }
                all_renewed &= renewed;
                if *cancel_requested {
                    run.stop(StopReason::Cancelled);
                }
            }
            None => run.stop(StopReason::LeaseLost),
        }
    }
    Ok(all_renewed)
}

pub(super) async fn write_output(shared: Arc<Shared>) {
    loop {
        if shared.live.is_empty() {
            shared.working.notified().await;
        }
        tokio::time::sleep(OUTPUT_INTERVAL).await;
        if let Err(error) = write_news(&shared).await {
            tracing::warn!(%error, "logs of runs could not be written; trying again");
        }
    }
}

async fn write_news(shared: &Shared) -> Result<(), sqlx::Error> {
    let (mut parts, mut versions): (Vec<OutputPart>, Vec<(Arc<LiveRun>, u64)>) = (Vec::new(), Vec::new());
    for run in &shared.live {
        if let Some((part, version)) = run.log.news(*run.key(), run.lease) {
            parts.push(part);
            versions.push((run.value().clone(), version));
        }
    }
    if parts.is_empty() {
        return Ok(());
    }
    shared.writing.run(PATIENCE, async |connection| queries::write_output(connection, &parts).await).await?;
    versions.iter().for_each(|(run, version)| run.log.written(*version));
    Ok(())
}
