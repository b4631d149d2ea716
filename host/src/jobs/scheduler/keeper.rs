//! Keeps what runs: renews leases, and writes logs and progress on while runs go on.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::{
    Shared,
    live::{LiveRun, StopReason},
};
use crate::jobs::queries::{self, HeldLease, OutputPart};

/// At most so long until a cancellation is seen whose notification was lost.
const LONGEST_RENEWAL: Duration = Duration::from_secs(5);
/// How far what is shown of a run may be behind.
const OUTPUT_INTERVAL: Duration = Duration::from_millis(250);

pub(super) async fn keep_leases(shared: Arc<Shared>) {
    let interval = (shared.jobs.config.lease / 3).min(LONGEST_RENEWAL);
    let mut renewed_at = Instant::now();
    loop {
        tokio::select! {
            () = shared.renew.notified() => {}
            () = tokio::time::sleep(interval) => {}
        }
        if shared.live.is_empty() {
            renewed_at = Instant::now();
            continue;
        }
        let asked_at = Instant::now();
        match renew(&shared).await {
            Ok(()) => renewed_at = asked_at,
            Err(error) if renewed_at.elapsed() < shared.jobs.config.lease => {
                tracing::warn!(%error, "leases of runs could not be renewed; trying again");
            }
            // Others may have taken over by now.
            Err(error) => {
                tracing::error!(%error, "leases of runs ran out: they are stopped");
                shared.live.iter().for_each(|run| run.stop(StopReason::LeaseLost));
            }
        }
    }
}

async fn renew(shared: &Shared) -> Result<(), sqlx::Error> {
    // A query that hangs must not outlive the leases.
    let patience = shared.jobs.config.lease;
    let writing = shared.writing.lock().await;
    let live: Vec<(Uuid, Arc<LiveRun>)> = shared.live.iter().map(|run| (*run.key(), run.value().clone())).collect();
    let held: Vec<HeldLease> = live.iter().map(|(id, run)| run.held(*id)).collect();
    let renewal = queries::renew(&shared.jobs.platform, &held, shared.jobs.config.lease);
    let renewed = tokio::time::timeout(patience, renewal).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
    drop(writing);
    let renewed: HashMap<Uuid, bool> = renewed.into_iter().collect();
    for (id, run) in live {
        match renewed.get(&id) {
            Some(false) => {}
            Some(true) => run.stop(StopReason::Cancelled),
            None => run.stop(StopReason::LeaseLost),
        }
    }
    Ok(())
}

pub(super) async fn write_output(shared: Arc<Shared>) {
    loop {
        if shared.live.is_empty() {
            shared.working.notified().await;
        }
        tokio::time::sleep(OUTPUT_INTERVAL).await;
        let _writing = shared.writing.lock().await;
        let (mut parts, mut versions): (Vec<OutputPart>, Vec<(Arc<LiveRun>, u64)>) = (Vec::new(), Vec::new());
        for run in &shared.live {
            if let Some((part, version)) = run.log.news(*run.key(), run.lease) {
                parts.push(part);
                versions.push((run.value().clone(), version));
            }
        }
        if parts.is_empty() {
            continue;
        }
        match queries::write_output(&shared.jobs.platform, &parts).await {
            Ok(()) => versions.iter().for_each(|(run, version)| run.log.written(*version)),
            Err(error) => tracing::warn!(%error, "logs of runs could not be written; trying again"),
        }
    }
}
