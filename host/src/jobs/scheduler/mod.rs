//! A scheduler: queues what is due, claims what is queued, runs it. Any number may run on one database.
//!
//! Each part is a task of its own, in reading order: `planner` (fire times to runs), `claimer` (runs to attempts),
//! `attempt` (one run), `finisher` (how they ended), `keeper` (leases, logs, progress), `listener` (what other nodes
//! say), `sweeps` (what is done now and then).
//!
//! Deliberately absent: state that another scheduler would miss. Dropping a [`Scheduler`] is like a crash: its leases run
//! out, and another one takes over.

mod attempt;
mod claimer;
mod finisher;
mod keeper;
mod listener;
mod live;
mod planner;
mod sweeps;

use std::{sync::Arc, time::Duration};

use api_types::RunStatus;
use dashmap::DashMap;
use tokio::{
    sync::{Notify, Semaphore, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{JobsState, queries};
use crate::db::KeptConnection;
use live::{LiveRun, StopReason};

/// How long a statement may take: longer than Postgres itself lets one run, so that only a connection that went silent
/// is given up, and what became of a write is known wherever it can be.
const PATIENCE: Duration = Duration::from_secs(20);
/// The same when the process ends.
const RELEASE_PATIENCE: Duration = Duration::from_secs(5);
/// What runs that were stopped at the end get to have their logs and outcomes written.
const WRITING_OUT: Duration = Duration::from_secs(3);

/// Hears how runs end, each once. Must not block.
pub trait RunObserver: Send + Sync + 'static {
    fn run_ended(&self, ended: &RunEnded);
}

/// A run that ended.
#[derive(Debug, Clone)]
pub struct RunEnded {
    pub run_id: Uuid,
    pub job_id: Option<Uuid>,
    pub job_name: Option<String>,
    pub project_id: Option<String>,
    pub plugin: String,
    pub plugin_job: String,
    pub status: RunStatus,
    pub error_text: Option<String>,
    /// It failed and is tried again: nobody needs to hear of it yet.
    pub will_retry: bool,
    /// How the job's run before this one ended.
    pub previous_status: Option<RunStatus>,
}

/// A running scheduler.
pub struct Scheduler {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
    sweeps: sweeps::Sweeps,
}

/// What the tasks of one scheduler share.
struct Shared {
    jobs: JobsState,
    /// A connection for each task: leases are renewed however busy everything else is.
    planning: KeptConnection,
    claiming: KeptConnection,
    /// Rows of several runs are written over this one alone: two such writes in different orders would wait for one
    /// another.
    writing: KeptConnection,
    renewing: KeptConnection,
    /// Names this scheduler among others.
    worker: String,
    live: DashMap<Uuid, Arc<LiveRun>>,
    turns: Arc<Semaphore>,
    /// There may be something to plan, to claim, to look after; leases should be looked at now.
    plan: Notify,
    claim: Notify,
    working: Notify,
    renew: Notify,
    /// A run was finished.
    finished: Notify,
    ended: mpsc::UnboundedSender<finisher::Outcome>,
    stopping: CancellationToken,
    observer: Option<Arc<dyn RunObserver>>,
}

impl Scheduler {
    /// Starts in the background and answers at once; where Postgres can't be reached, it waits for it.
    pub async fn start(jobs: JobsState, observer: Option<Arc<dyn RunObserver>>) -> Self {
        let (ended, outcomes) = mpsc::unbounded_channel();
        let connection =
            |task| KeptConnection::for_fixed_statements(&jobs.platform, &format!("atlashub scheduler {task}"));
        let shared = Arc::new(Shared {
            planning: connection("planning").without_waiting_for_disk(),
            claiming: connection("claiming"),
            writing: connection("writing"),
            renewing: connection("renewing"),
            worker: format!("{}-{}", std::process::id(), Uuid::new_v4().simple()),
            live: DashMap::new(),
            turns: Arc::new(Semaphore::new(jobs.config.concurrency)),
            plan: Notify::new(),
            claim: Notify::new(),
            working: Notify::new(),
            renew: Notify::new(),
            finished: Notify::new(),
            ended,
            stopping: CancellationToken::new(),
            observer,
            jobs,
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(planner::plan(shared.clone()));
        tasks.spawn(claimer::claim(shared.clone()));
        tasks.spawn(finisher::finish(shared.clone(), outcomes));
        tasks.spawn(keeper::keep_leases(shared.clone()));
        tasks.spawn(keeper::write_output(shared.clone()));
        tasks.spawn(listener::listen(shared.clone()));
        let sweeps = sweeps::Sweeps::start(&shared).await;
        Self { shared, tasks, sweeps }
    }

    /// Takes up no more work, lets what runs go on for `grace`, and gives the rest up: those runs are stopped and then
    /// marked as failed, and queued again where they have retries left.
    pub async fn stop(mut self, grace: Duration) {
        self.shared.stopping.cancel();
        if tokio::time::timeout(grace, self.shared.idle()).await.is_err() {
            let shared = &self.shared;
            tracing::warn!(runs = shared.live.len(), grace_s = grace.as_secs(), "runs did not end in time: given up");
            // First of all they stop: once one is marked, another scheduler may begin the next attempt.
            shared.live.iter().for_each(|run| run.stop(StopReason::SchedulerStopped));
            if tokio::time::timeout(attempt::GRACE + WRITING_OUT, shared.idle()).await.is_err() {
                shared.release().await;
            }
        }
        self.sweeps.stop().await;
        self.tasks.shutdown().await;
    }
}

impl Shared {
    /// Once nothing runs, and how it ended is written.
    async fn idle(&self) {
        loop {
            let finished = self.finished.notified();
            if self.live.is_empty() && self.turns.available_permits() == self.jobs.config.concurrency {
                return;
            }
            finished.await;
        }
    }

    /// Marks runs that have stopped and whose outcome could not be written.
    async fn release(&self) {
        let held: Vec<queries::HeldLease> = self.live.iter().map(|run| run.held(*run.key())).collect();
        let release = self.writing.run(RELEASE_PATIENCE, async |connection| queries::release(connection, &held).await);
        let released = tokio::time::timeout(RELEASE_PATIENCE, release).await;
        match released.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
            Ok(ended) => ended.iter().for_each(|row| self.announce(row)),
            // Their leases run out, and another scheduler does the same.
            Err(error) => tracing::warn!(%error, "runs could not be given up in order"),
        }
    }
}
