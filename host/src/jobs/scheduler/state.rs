//! The state that the tasks of a scheduler share.

use std::{sync::Arc, time::Duration};

use api_types::RunStatus;
use dashmap::DashMap;
use serde_json::Value;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{active_run::ActiveRun, queries::EndedRow};
use crate::{db::DedicatedConnection, jobs::Jobs};

/// Time limit of a statement. The connections set a shorter `statement_timeout` in Postgres, so this limit only ends
/// connections that stopped responding. In all other cases it is known whether a write took effect.
pub(super) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(20);
/// Upper limit of the planner's and claimer's sleep, in case a notification is lost or the clock is changed.
pub(super) const MAX_SLEEP: Duration = Duration::from_secs(30);

/// Receives each run that a scheduler has ended, once. Must not block. A run that is cancelled or skipped before it
/// starts is not reported.
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
    /// The parameter `target`, if the run has it: for a backup, the database.
    pub target: Option<String>,
    pub status: RunStatus,
    pub error_text: Option<String>,
    /// Whether the run failed and will be retried, so that the failure is not final.
    pub will_retry: bool,
    /// Status of the job's previous run. A run and its retries count as one; cancelled and skipped runs do not count.
    pub previous_status: Option<RunStatus>,
}

/// Result of an executed run.
pub(super) struct Outcome {
    pub(super) id: Uuid,
    pub(super) run: Arc<ActiveRun>,
    pub(super) status: RunStatus,
    pub(super) retryable: bool,
    pub(super) http_status: Option<i32>,
    pub(super) error_text: Option<String>,
    pub(super) result: Option<Value>,
}

/// Number of connections of a scheduler, in addition to those of the platform's pool.
pub const SCHEDULER_CONNECTIONS: usize = 4;

/// State that the tasks of one scheduler share.
pub(super) struct SchedulerState {
    pub(super) jobs: Jobs,
    /// The tasks use separate connections, so that leases are renewed regardless of other load.
    pub(super) planner: DedicatedConnection,
    pub(super) claimer: DedicatedConnection,
    pub(super) lease_renewer: DedicatedConnection,
    /// The only connection whose statements wait for the rows of several runs: two such statements with different row
    /// orders could deadlock.
    pub(super) writer: DedicatedConnection,
    /// Identifies this scheduler among others.
    pub(super) worker: String,
    pub(super) active_runs: DashMap<Uuid, Arc<ActiveRun>>,
    pub(super) run_permits: Arc<Semaphore>,
    /// For the runs of plugins that have reserved permits.
    pub(super) own_permits: Arc<Semaphore>,
    pub(super) wake_planner: Notify,
    pub(super) wake_claimer: Notify,
    pub(super) wake_output_writer: Notify,
    pub(super) wake_lease_renewer: Notify,
    pub(super) run_finished: Notify,
    pub(super) outcomes: mpsc::UnboundedSender<Outcome>,
    pub(super) stopping: CancellationToken,
    observer: Option<Arc<dyn RunObserver>>,
}

impl SchedulerState {
    pub(super) fn new(
        jobs: Jobs,
        outcomes: mpsc::UnboundedSender<Outcome>,
        observer: Option<Arc<dyn RunObserver>>,
    ) -> Self {
        let tasks: [&str; SCHEDULER_CONNECTIONS] = ["planner", "claimer", "writer", "lease renewer"];
        let [planner, claimer, writer, lease_renewer] = tasks.map(|task| {
            DedicatedConnection::for_fixed_statements(jobs.platform(), &format!("atlashub scheduler {task}"))
        });
        Self {
            planner: planner.with_asynchronous_commit(),
            claimer,
            writer,
            lease_renewer,
            worker: format!("{}-{}", std::process::id(), Uuid::new_v4().simple()),
            active_runs: DashMap::new(),
            run_permits: Arc::new(Semaphore::new(jobs.runs.config.concurrency)),
            own_permits: Arc::new(Semaphore::new(jobs.runner.own_runs().max)),
            wake_planner: Notify::new(),
            wake_claimer: Notify::new(),
            wake_output_writer: Notify::new(),
            wake_lease_renewer: Notify::new(),
            run_finished: Notify::new(),
            outcomes,
            stopping: CancellationToken::new(),
            observer,
            jobs,
        }
    }

    /// Waits until no run is active and all outcomes are recorded.
    pub(super) async fn wait_until_idle(&self) {
        loop {
            let finished = self.run_finished.notified();
            let free = self.run_permits.available_permits() + self.own_permits.available_permits();
            let total = self.jobs.runs.config.concurrency + self.jobs.runner.own_runs().max;
            if self.active_runs.is_empty() && free == total {
                return;
            }
            finished.await;
        }
    }

    /// Counts and logs a run that ended, and notifies the observer.
    pub(super) fn report_ended(&self, row: &EndedRow) {
        metrics::counter!("atlashub_jobs_runs_total", "status" => row.status.as_str()).increment(1);
        tracing::info!(run = %row.id, job = row.job_name, plugin = row.plugin, status = row.status.as_str(),
            duration_ms = row.duration_ms, retried = row.retried, "run ended");
        if row.retried {
            self.wake_claimer.notify_one();
        }
        if let Some(observer) = &self.observer {
            observer.run_ended(&RunEnded {
                run_id: row.id,
                job_id: row.job_id,
                job_name: row.job_name.clone(),
                project_id: row.project_id.clone(),
                plugin: row.plugin.clone(),
                plugin_job: row.plugin_job.clone(),
                target: row.target.clone(),
                status: row.status,
                error_text: row.error_text.clone(),
                will_retry: row.retried,
                previous_status: row.previous_status,
            });
        }
    }
}

/// Converts the seconds until something is due into a sleep of at most [`MAX_SLEEP`].
pub(super) fn sleep_until_due(seconds: Option<f64>) -> Duration {
    seconds.map_or(MAX_SLEEP, |seconds| {
        // The time is rounded up, because waking up too early costs a round trip.
        Duration::from_secs_f64(seconds.clamp(0.0, MAX_SLEEP.as_secs_f64()) + 0.001)
    })
}
