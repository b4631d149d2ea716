use std::{sync::Arc, time::Duration};

use super::{App, notices::RunNotices};
use crate::{
    backups::{self, BackupsState},
    jobs::{RunEnded, RunObserver, Scheduler},
    notifications, observability,
    projects::{self, ProjectsState},
    storage,
};

/// How long runs may go on when the process is told to stop.
const RUN_GRACE: Duration = Duration::from_secs(10);
const PROJECT_SWEEP: Duration = Duration::from_secs(60);
const VERIFICATION_SWEEP: Duration = Duration::from_secs(60);
const STORAGE_SWEEP: Duration = Duration::from_secs(600);
const BACKUP_SWEEP: Duration = Duration::from_secs(3600);

/// Hears how runs end: the owner is told, and a project that waited for the run is deleted or stays.
struct RunEnds {
    notices: RunNotices,
    // Not the app: it holds the scheduler, which holds this.
    backups: BackupsState,
    projects: ProjectsState,
}

impl RunObserver for RunEnds {
    fn run_ended(&self, ended: &RunEnded) {
        self.notices.run_ended(ended);
        if ended.project_id.is_some() && !ended.will_retry {
            let (backups, projects, run) = (self.backups.clone(), self.projects.clone(), ended.run_id);
            tokio::spawn(async move { backups.settle_deletion_of(&projects, run).await });
        }
    }
}

impl App {
    /// Starts what runs beside the requests: metrics, hearing of revoked keys, plugins, notifications, the sweeps,
    /// and, where the role says so, jobs.
    pub fn start_background(&self) {
        observability::start_metrics();
        tokio::spawn(self.0.projects.keys.clone().listen());
        tokio::spawn(self.0.plugins.clone().watch());
        notifications::start(&self.0.notifications, self.0.config.data_dir.clone(), self.0.config.disk_low_percent);
        let app = self.clone();
        tokio::spawn(async move {
            if let Err(error) = projects::close_shared_databases(&app.0.projects.database_url).await {
                tracing::warn!(%error, "the shared databases could not be closed to projects' roles");
            }
            app.sweep_projects().await;
        });
        if self.0.config.role.runs_jobs() {
            tokio::spawn(self.clone().sweep_storage());
            tokio::spawn(self.clone().sweep_backups());
            tokio::spawn(self.clone().sweep_verifications());
            let app = self.clone();
            tokio::spawn(async move {
                let observer = RunEnds {
                    notices: RunNotices::new(app.notifier().clone()),
                    backups: app.0.backups.clone(),
                    projects: app.0.projects.clone(),
                };
                let mut scheduler = app.0.scheduler.lock().await;
                *scheduler = Some(Scheduler::start(app.0.jobs.clone(), Some(Arc::new(observer))).await);
            });
        }
    }

    /// Ends what runs jobs: no new runs, some seconds for those that go on, and the rest is given up to other nodes.
    pub async fn stop_jobs(&self) {
        self.0.jobs.close();
        let scheduler = self.0.scheduler.lock().await.take();
        if let Some(scheduler) = scheduler {
            scheduler.stop(RUN_GRACE).await;
        }
    }

    /// Finishes what a crash, or a store that was down, left of projects; at the start and now and then.
    async fn sweep_projects(self) {
        let mut ticks = tokio::time::interval(PROJECT_SWEEP);
        loop {
            ticks.tick().await;
            if let Err(error) = projects::finish_unfinished_projects(&self.0.projects).await {
                tracing::error!(error = format!("{error:#}"), "unfinished projects could not be finished");
            }
            if let Err(error) = self.0.backups.settle_deletions(&self.0.projects).await {
                tracing::warn!(error = format!("{error:#}"), "deletions after a final backup could not be finished");
            }
        }
    }

    /// Removes the scratch databases of a process that was killed while it verified a backup.
    async fn sweep_verifications(self) {
        let mut ticks = tokio::time::interval(VERIFICATION_SWEEP);
        loop {
            ticks.tick().await;
            if let Err(error) = self.0.backups.catalogue.remove_leftover_scratches().await {
                tracing::warn!(%error, "scratch databases could not be looked for");
            }
        }
    }

    async fn sweep_storage(self) {
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + STORAGE_SWEEP, STORAGE_SWEEP);
        loop {
            ticks.tick().await;
            if let Err(error) = storage::full_sweep(&self.0.storage).await {
                tracing::error!(%error, "the storage sweep failed");
            }
        }
    }

    async fn sweep_backups(self) {
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + BACKUP_SWEEP, BACKUP_SWEEP);
        loop {
            ticks.tick().await;
            let state = &self.0.backups;
            if let Err(error) = backups::remove_incomplete(&state.platform, &state.store).await {
                tracing::error!(%error, "unfinished backups could not be cleared away");
            }
        }
    }
}
