//! The scheduler: queues due runs, claims queued runs, and executes them. Any number of schedulers can run on one
//! database.
//!
//! Most parts are tasks. In reading order: `state` (shared by the tasks), `active_run` (a run that this scheduler
//! executes), `planner` (fire times to queued runs), `claimer` (queued runs to attempts), `attempt` (one run),
//! `finisher` (records outcomes), `lease_renewer`, `output_writer` (logs and progress of active runs), `listener`
//! (messages of the nodes), `sweeps` (expired leases, retention), `one_run` (in place of the planner, the claimer and
//! the sweeps in a process that executes a single run), `queries`.
//!
//! Deliberately absent: state that another scheduler would need. Dropping a [`Scheduler`] has the effect of a crash:
//! its leases expire, and another scheduler ends its runs and executes their retries.

mod active_run;
mod attempt;
mod claimer;
mod finisher;
mod lease_renewer;
mod listener;
mod one_run;
mod output_writer;
mod planner;
mod queries;
mod state;
mod sweeps;

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, task::JoinSet};
use uuid::Uuid;

use super::Jobs;
use active_run::StopReason;
use queries::EndingRun;
use state::{STATEMENT_TIMEOUT, SchedulerState};

pub use state::{RunEnded, RunObserver, SCHEDULER_CONNECTIONS};

/// Time limit for recording the outcomes of abandoned runs at shutdown.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);
/// Time in which runs that are stopped at shutdown can write their logs and outcomes.
const FINISH_TIMEOUT: Duration = Duration::from_secs(3);

/// A running scheduler.
pub struct Scheduler {
    state: Arc<SchedulerState>,
    tasks: JoinSet<()>,
    sweeps: sweeps::Sweeps,
}

impl Scheduler {
    /// Starts the scheduler's tasks and returns immediately. If Postgres is not available, the tasks retry.
    pub async fn start(jobs: Jobs, observer: Option<Arc<dyn RunObserver>>) -> Self {
        let mut scheduler = Self::without_claimer(jobs, observer);
        let state = &scheduler.state;
        scheduler.tasks.spawn(planner::plan_runs(state.clone()));
        scheduler.tasks.spawn(claimer::claim_runs(state.clone()));
        scheduler.sweeps = sweeps::Sweeps::start(state).await;
        scheduler
    }

    /// Starts a scheduler for this run only, which must belong to no job. The scheduler executes the run unless another
    /// scheduler claims it first. It queues no runs and touches no other run.
    pub fn start_for_run(jobs: Jobs, run: Uuid, observer: Option<Arc<dyn RunObserver>>) -> Self {
        let mut scheduler = Self::without_claimer(jobs, observer);
        scheduler.tasks.spawn(one_run::execute_run(scheduler.state.clone(), run));
        scheduler
    }

    /// Starts the tasks that serve active runs.
    fn without_claimer(jobs: Jobs, observer: Option<Arc<dyn RunObserver>>) -> Self {
        let (outcome_sender, outcomes) = mpsc::unbounded_channel();
        let state = Arc::new(SchedulerState::new(jobs, outcome_sender, observer));
        let mut tasks = JoinSet::new();
        tasks.spawn(finisher::record_outcomes(state.clone(), outcomes));
        tasks.spawn(lease_renewer::renew_leases(state.clone()));
        tasks.spawn(output_writer::write_output(state.clone()));
        tasks.spawn(listener::listen(state.clone()));
        Self { state, tasks, sweeps: sweeps::Sweeps::none() }
    }

    /// Stops claiming runs, waits up to `grace` for active runs, and abandons the rest: they are stopped, recorded as
    /// failed, and retried if they have retries left.
    pub async fn stop(mut self, grace: Duration) {
        let state = &self.state;
        state.stopping.cancel();
        if tokio::time::timeout(grace, state.wait_until_idle()).await.is_err() {
            let runs = state.active_runs.len();
            tracing::warn!(runs, grace_s = grace.as_secs(), "runs did not end within the grace period; stopping them");
            // Stop all runs before recording any of them, because another scheduler may start the next attempt of a
            // recorded run.
            state.active_runs.iter().for_each(|run| run.stop(StopReason::SchedulerStopped));
            if tokio::time::timeout(attempt::STOP_GRACE + FINISH_TIMEOUT, state.wait_until_idle()).await.is_err() {
                release_runs(state).await;
            }
        }
        self.sweeps.stop().await;
        self.tasks.shutdown().await;
    }
}

/// Records stopped runs whose outcome could not be recorded before, so that they are retried without waiting for their
/// leases to expire.
async fn release_runs(state: &SchedulerState) {
    let runs: Vec<EndingRun> =
        state.active_runs.iter().map(|run| EndingRun::abandoned(run.lease(), Some(run.log.snapshot()))).collect();
    let recorded = state.writer.run(STATEMENT_TIMEOUT, async |connection| queries::end_runs(connection, &runs).await);
    // The time limit includes the time for which another statement occupies the connection.
    match tokio::time::timeout(RELEASE_TIMEOUT, recorded).await {
        Ok(Ok(ended)) => ended.iter().for_each(|row| state.report_ended(row)),
        Ok(Err(error)) => tracing::warn!(%error, "failed to release runs; their leases will expire"),
        Err(_) => tracing::warn!("timed out while releasing runs; their leases will expire"),
    }
}
