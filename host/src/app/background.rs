//! Starts the background tasks of a process, and stops them when the process stops.

use std::{sync::Arc, time::Duration};

use api_types::RunStatus;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{App, Inner, notices::RunNotices};
use crate::{
    admin,
    backups::{self, BackupsState, RestoreJob, Restores},
    error::describe_cause,
    events,
    jobs::{BuiltInJob as _, RunEnded, RunObserver, Scheduler},
    notifications, observability,
    projects::{self, ProjectsState},
    storage,
    transfers::{self, TransfersState},
};

/// Time for runs to finish when the process stops.
const RUN_STOP_TIMEOUT: Duration = Duration::from_secs(10);
const PROJECT_SWEEP_INTERVAL: Duration = Duration::from_secs(60);
const VERIFICATION_SWEEP_INTERVAL: Duration = Duration::from_secs(60);
const STORAGE_SWEEP_INTERVAL: Duration = Duration::from_secs(600);
const TRANSFER_SWEEP_INTERVAL: Duration = Duration::from_secs(300);
const BACKUP_SWEEP_INTERVAL: Duration = Duration::from_secs(3600);

/// Notifies the owner of ended runs, and removes the leftovers of restores, and of exports and imports that did not
/// succeed. If a project was waiting for the run as its final backup, deletes or keeps the project.
struct RunEndObserver {
    notices: RunNotices,
    // The observer must not hold the `App`, because the `App` owns the scheduler, which owns the observer.
    backups: BackupsState,
    projects: ProjectsState,
    transfers: TransfersState,
    stopping: CancellationToken,
}

impl RunObserver for RunEndObserver {
    fn run_ended(&self, ended: &RunEnded) {
        self.notices.run_ended(ended);
        if ended.plugin == RestoreJob::PLUGIN {
            let restores = self.backups.restores.clone();
            spawn_until(&self.stopping, async move { sweep_restores(&restores).await });
        }
        if ended.plugin == transfers::PLUGIN && ended.status != RunStatus::Success {
            let transfers = self.transfers.clone();
            spawn_until(&self.stopping, async move {
                if let Err(error) = transfers::clean_up(&transfers).await {
                    tracing::warn!(%error, "could not remove the leftovers of an export or import");
                }
            });
        }
        if ended.project_id.is_some() && !ended.will_retry {
            let (backups, projects, run) = (self.backups.clone(), self.projects.clone(), ended.run_id);
            spawn_until(&self.stopping, async move { backups.finish_deletion_after_run(&projects, run).await });
        }
    }
}

/// Starts a task, and drops it once the process stops. A task that continued would log errors while connections are
/// closed.
fn spawn_until(stopping: &CancellationToken, task: impl Future<Output: Send> + Send + 'static) {
    let stopping = stopping.clone();
    tokio::spawn(async move {
        tokio::select! {
            biased;
            () = stopping.cancelled() => {}
            _ = task => {}
        }
    });
}

/// Removes the leftovers of restores that ended or whose process was killed.
async fn sweep_restores(restores: &Restores) {
    if let Err(error) = restores.sweep().await {
        tracing::warn!(%error, "could not remove the leftovers of restores");
    }
}

impl App {
    /// Starts the background tasks: metrics, the cache and the usage of API keys, plugins, events, the list of nodes,
    /// notifications, the privileges of projects' roles, and the sweep of projects. If the role runs jobs, also starts
    /// the scheduler and the other sweeps.
    pub fn start_background(&self) {
        observability::start_metrics();
        self.spawn(self.0.projects.keys.clone().listen());
        self.spawn(self.0.projects.keys.clone().store_usage_regularly());
        self.spawn(self.0.plugins.clone().watch());
        self.spawn(events::watch(self.0.events.clone()));
        self.spawn(admin::report_node(self.platform().clone(), self.0.admin.system.clone()));
        let Inner { notifications, config, .. } = &*self.0;
        self.spawn(notifications::run(notifications.clone(), config.data_dir.clone(), config.disk_low_percent));
        let app = self.clone();
        self.spawn(async move {
            if let Err(error) = projects::close_shared_databases(&app.0.projects.database_url).await {
                tracing::warn!(%error, "could not revoke access to the shared databases from projects' roles");
            }
            if let Err(error) = projects::apply_extension_setting(&app.0.projects).await {
                tracing::warn!(%error, "could not apply ATLASHUB_SQL_CREATE_EXTENSION to the projects");
            }
            app.sweep_projects().await;
        });
        if self.0.config.role.runs_jobs() {
            self.spawn(self.clone().sweep_storage());
            self.spawn(self.clone().sweep_backups());
            self.spawn(self.clone().sweep_transfers());
            self.spawn(self.clone().sweep_verifications_and_restores());
            let app = self.clone();
            self.spawn(async move {
                let observer = RunEndObserver {
                    notices: RunNotices::new(app.notifier().clone()),
                    backups: app.0.backups.clone(),
                    projects: app.0.projects.clone(),
                    transfers: app.0.transfers.clone(),
                    stopping: app.0.stopping.clone(),
                };
                let mut scheduler = app.0.scheduler.lock().await;
                *scheduler = Some(Scheduler::start(app.0.jobs.clone(), Some(Arc::new(observer))).await);
            });
        }
    }

    /// Starts what a command needs to execute a run next to a server or without one: plugins, and the task that writes
    /// notifications to the outbox, from which a server delivers them. All periodic work is left to the servers.
    pub fn start_for_command(&self) {
        self.spawn(self.0.plugins.clone().watch());
        self.spawn(notifications::write_outbox(self.0.notifications.clone()));
    }

    /// Executes this run in this process, unless a server claims it first. Other runs are left to the servers.
    /// [`Self::stop_jobs`] stops the run.
    pub async fn execute_run(&self, run: Uuid) {
        let observer = Arc::new(RunNotices::new(self.notifier().clone()));
        let scheduler = Scheduler::start_for_run(self.0.jobs.clone(), run, Some(observer));
        *self.0.scheduler.lock().await = Some(scheduler);
    }

    /// Closes the streams of logs and events, and stops the scheduler: it starts no new runs, waits up to
    /// [`RUN_STOP_TIMEOUT`] for running ones, and stops the rest. These count as failed, and are tried again if they
    /// have retries left.
    pub async fn stop_jobs(&self) {
        self.0.jobs.runs().close_log_streams();
        self.0.events.close_streams();
        let scheduler = self.0.scheduler.lock().await.take();
        if let Some(scheduler) = scheduler {
            scheduler.stop(RUN_STOP_TIMEOUT).await;
        }
    }

    /// Ends the background tasks, and closes the pool of the platform database. Only for a process that stops, after
    /// [`Self::stop_jobs`].
    pub async fn close(&self) {
        self.0.stopping.cancel();
        self.0.projects.pools.availability().stop();
        self.platform().close().await;
    }

    /// Starts a task that ends with the process.
    fn spawn(&self, task: impl Future<Output: Send> + Send + 'static) {
        spawn_until(&self.0.stopping, task);
    }

    /// Removes unfinished projects, and finishes deletions that waited for a final backup. Runs at the start and then
    /// periodically.
    async fn sweep_projects(self) {
        let mut ticks = tokio::time::interval(PROJECT_SWEEP_INTERVAL);
        loop {
            ticks.tick().await;
            if let Err(error) = projects::finish_unfinished_projects(&self.0.projects).await {
                tracing::error!(cause = describe_cause(error.as_ref()), "could not remove unfinished projects");
            }
            if let Err(error) = self.0.backups.finish_deletions(&self.0.projects).await {
                tracing::warn!(
                    cause = describe_cause(error.as_ref()),
                    "could not finish deletions after a final backup"
                );
            }
        }
    }

    /// Removes the scratch databases of interrupted verifications, and the leftovers of restores.
    async fn sweep_verifications_and_restores(self) {
        let mut ticks = tokio::time::interval(VERIFICATION_SWEEP_INTERVAL);
        loop {
            ticks.tick().await;
            if let Err(error) = self.0.backups.catalogue.remove_leftover_scratch_databases().await {
                tracing::warn!(%error, "could not remove leftover scratch databases");
            }
            sweep_restores(&self.0.backups.restores).await;
        }
    }

    /// Removes expired storage data of all projects, and moves uploads that have arrived to their paths. Runs
    /// periodically, but not at the start.
    async fn sweep_storage(self) {
        let mut ticks =
            tokio::time::interval_at(tokio::time::Instant::now() + STORAGE_SWEEP_INTERVAL, STORAGE_SWEEP_INTERVAL);
        loop {
            ticks.tick().await;
            if let Err(error) = storage::sweep_all_projects(&self.0.storage).await {
                tracing::error!(%error, "the storage sweep failed");
            }
        }
    }

    /// Removes expired exports and imports, and the leftovers of failed runs.
    async fn sweep_transfers(self) {
        let mut ticks = tokio::time::interval(TRANSFER_SWEEP_INTERVAL);
        loop {
            ticks.tick().await;
            if let Err(error) = transfers::sweep(&self.0.transfers).await {
                tracing::warn!(%error, "could not remove expired exports and imports");
            }
        }
    }

    /// Removes incomplete backups, and copies of objects that no backup refers to. Runs periodically, but not at the
    /// start.
    async fn sweep_backups(self) {
        let mut ticks =
            tokio::time::interval_at(tokio::time::Instant::now() + BACKUP_SWEEP_INTERVAL, BACKUP_SWEEP_INTERVAL);
        loop {
            ticks.tick().await;
            let state = &self.0.backups;
            if let Err(error) = backups::remove_incomplete(&state.platform, &state.store).await {
                tracing::error!(%error, "could not remove incomplete backups");
            }
            if let Err(error) = state.copies.sweep().await {
                tracing::error!(cause = describe_cause(&error), "could not sweep the copies of objects");
            }
        }
    }
}
