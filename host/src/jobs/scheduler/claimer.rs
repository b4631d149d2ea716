//! Claims queued runs, up to the number of free permits, and starts them.
//!
//! No plugin starves the others: at most [`JobRunner::max_runs`] runs of each are active, and the plugins of
//! [`JobRunner::own_runs`] have reserved permits.
//!
//! [`JobRunner::max_runs`]: crate::jobs::JobRunner::max_runs
//! [`JobRunner::own_runs`]: crate::jobs::JobRunner::own_runs

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use api_types::RunTrigger;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};

use super::{
    attempt,
    queries::{self, ClaimLimits, ClaimedRow},
    state::{STATEMENT_TIMEOUT, SchedulerState, sleep_until_due},
};

/// Maximum number of permits of each kind that are taken for one claim.
const BATCH_SIZE: usize = 256;
/// Time to collect more free permits while there are more queued runs than permits.
const COLLECT_INTERVAL: Duration = Duration::from_millis(1);
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Interval of searches for runs of plugins with reserved permits, while no other permit is free or more runs are
/// queued than a claim considers. It is long, because a search may have to skip many queued runs of other plugins.
const OWN_INTERVAL: Duration = Duration::from_millis(500);
/// Number of plugins in [`ActivePlugins`] above which those without active runs are removed.
const MAX_COUNTED: usize = 256;

/// Permits that were taken for the next claim.
#[derive(Default)]
struct Permits {
    own: Vec<OwnedSemaphorePermit>,
    shared: Vec<OwnedSemaphorePermit>,
}

/// Counts the active runs of each plugin: each run holds a clone of the `Arc` of its plugin.
#[derive(Default)]
struct ActivePlugins(HashMap<String, Arc<()>>);

impl ActivePlugins {
    /// Counts a run of the plugin until the returned value is dropped.
    fn count(&mut self, plugin: &str) -> Arc<()> {
        if self.0.len() > MAX_COUNTED {
            self.0.retain(|_, runs| Arc::strong_count(runs) > 1);
        }
        self.0.entry(plugin.to_owned()).or_default().clone()
    }

    /// Returns the limits of a claim with these permits.
    fn limits(&self, state: &SchedulerState, permits: &Permits) -> ClaimLimits {
        let runner = &state.jobs.runner;
        let own_plugins = runner.own_runs().plugins.to_vec();
        let mut limits =
            ClaimLimits { own: permits.own.len(), shared: permits.shared.len(), own_plugins, ..ClaimLimits::default() };
        for (plugin, runs) in &self.0 {
            let max = runner.max_runs(plugin, state.jobs.runs.config.concurrency);
            match max.saturating_sub(Arc::strong_count(runs) - 1) {
                0 => limits.excluded.push(plugin.clone()),
                free => {
                    limits.plugins.push(plugin.clone());
                    limits.runs.push(free as i64);
                }
            }
        }
        limits
    }
}

pub(super) async fn claim_runs(state: Arc<SchedulerState>) {
    // If this task is dropped, so is the set, which ends the runs.
    let mut attempts = JoinSet::new();
    let mut active = ActivePlugins::default();
    let mut has_backlog = false;
    let mut own_searched_at = Instant::now();
    loop {
        while attempts.try_join_next().is_some() {}
        // With a backlog, a claim considers only the runs that became due first. These can all be runs of plugins
        // without reserved permits.
        let is_own_search_due =
            has_backlog && own_searched_at.elapsed() >= OWN_INTERVAL && !state.stopping.is_cancelled();
        let own_permits = if is_own_search_due { take_own_permits(&state) } else { None };
        let is_own_search = own_permits.is_some();
        let permits = match own_permits {
            Some(permits) => permits,
            None => tokio::select! {
                biased;
                () = state.stopping.cancelled() => break,
                permits = take_permits(&state, has_backlog) => permits,
            },
        };
        if !has_backlog || permits.shared.is_empty() {
            own_searched_at = Instant::now();
        }
        let limits = active.limits(&state, &permits);
        let sleep = match claim_batch(&state, &limits).await {
            Ok(claimed) => {
                let considered = claimed.first().map_or(0, |row| row.candidates as usize);
                // Runs that were considered but not claimed exceed the permits of their kind or the limit of their
                // plugin. The limit is 1 for a plugin that is not counted yet, so another claim may claim more.
                let may_be_more = considered > claimed.len() || considered == limits.own + limits.shared;
                has_backlog = is_own_search || (!claimed.is_empty() && may_be_more);
                start_attempts(&state, &mut attempts, &mut active, claimed, permits);
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

/// Waits for a free permit, then takes all free ones, up to the size of a batch. If the only free permits are for
/// plugins with reserved permits, first waits [`OWN_INTERVAL`] for others.
async fn take_permits(state: &SchedulerState, has_backlog: bool) -> Permits {
    let mut permits = Permits::default();
    let own = async {
        let permit = state.own_permits.clone().acquire_owned().await;
        tokio::time::sleep(OWN_INTERVAL).await;
        permit
    };
    tokio::select! {
        biased;
        permit = state.run_permits.clone().acquire_owned() => permits.shared.extend(permit),
        permit = own => permits.own.extend(permit),
    }
    if has_backlog && !permits.shared.is_empty() {
        tokio::time::sleep(COLLECT_INTERVAL).await;
    }
    take_free(&state.run_permits, &mut permits.shared);
    take_free(&state.own_permits, &mut permits.own);
    permits
}

/// Takes the free permits for plugins with reserved permits, up to the size of a batch. Returns `None` if none is free.
fn take_own_permits(state: &SchedulerState) -> Option<Permits> {
    let mut permits = Permits::default();
    take_free(&state.own_permits, &mut permits.own);
    (!permits.own.is_empty()).then_some(permits)
}

fn take_free(permits: &Arc<Semaphore>, taken: &mut Vec<OwnedSemaphorePermit>) {
    while taken.len() < BATCH_SIZE
        && let Ok(permit) = permits.clone().try_acquire_owned()
    {
        taken.push(permit);
    }
}

async fn claim_batch(state: &SchedulerState, limits: &ClaimLimits) -> Result<Vec<ClaimedRow>, sqlx::Error> {
    loop {
        let claimed = state.claimer.run(STATEMENT_TIMEOUT, async |connection| {
            queries::claim_runs(connection, &state.worker, state.jobs.runs.config.lease, limits).await
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
    active: &mut ActivePlugins,
    claimed: Vec<ClaimedRow>,
    mut permits: Permits,
) {
    let own_plugins = state.jobs.runner.own_runs().plugins;
    for row in claimed {
        if let Some(fire_at) = row.scheduled_for.filter(|_| row.trigger == RunTrigger::Schedule) {
            let lateness = (row.started_at - fire_at).as_seconds_f64().max(0.0);
            metrics::histogram!("atlashub_jobs_lateness_seconds").record(lateness);
        }
        let is_own = own_plugins.contains(&row.plugin.as_str());
        let permit = if is_own { permits.own.pop() } else { permits.shared.pop() };
        let counted = active.count(&row.plugin);
        let state = state.clone();
        // Registers the run before its task starts, so that stopping the scheduler or cancelling the run finds it.
        let prepared = attempt::prepare(&state, row);
        // Boxed, because the runtime moves a task's state several times, and the state of a run is large.
        attempts.spawn(Box::pin(async move {
            attempt::execute(&state, prepared).await;
            drop((permit, counted));
            if state.run_permits.available_permits() == 1 {
                // The claimer may have found no free permit.
                state.wake_claimer.notify_one();
            }
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
