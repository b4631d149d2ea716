//! Jobs: what runs on a schedule or by hand, and the history of its runs.
//!
//! Postgres says *who* runs: a run is a row, unique by job, fire time and attempt, claimed with `SKIP LOCKED` and held by
//! a lease that its scheduler renews. A `Schedule` says *when*. So there may be any number of schedulers, and each may
//! die at any moment. What a run does to the outside may then happen twice; what it writes to the platform is fenced by
//! its lease ([`JobsState::hold_lease`]).
//!
//! Deliberately absent: WebAssembly. A job is run by a [`JobRunner`]; the plugins' floor provides it. No values of
//! secrets leave this folder but in [`RunCall::secrets`].
//!
//! Reading order: `runner` (what runs), `schedule` (when), `queries`, `definition` (what a job may be), `catalogue`
//! (jobs as the owner changes them), `begin` (runs by hand), `scheduler`, `output` (a run's log and progress), `log`
//! (reading it), `tail` (following it), `retention`, then the routes.

mod catalogue;
mod names;
mod no_runner;
mod queries;
mod redact;
mod runner;
mod runs;
mod schedule;
mod scheduler;

use std::sync::Arc;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::{config::JobsConfig, object_store::ObjectStore, projects::Projects, secrets::Sealer};

pub(crate) use catalogue::routes::*;
pub(crate) use runs::routes::*;

pub use crate::object_store::PLATFORM_BUCKET;
pub use catalogue::NewRun;
pub use catalogue::sealed::{SEALED_COLUMNS, job_body_identity, job_headers_identity};
pub use no_runner::NoRunner;
pub use redact::Redactor;
pub use runner::{JobRunner, LineLevel, RunCall, RunFailure, RunOutput, RunRefusal, RunReport};
pub use runs::RetentionReport;
pub use schedule::{Schedule, ScheduleError};
pub use scheduler::{RunEnded, RunObserver, Scheduler};

/// What the routes, the scheduler and other slices need of jobs. Cheap to clone.
#[derive(Clone)]
pub struct JobsState {
    platform: PgPool,
    sealer: Sealer,
    store: ObjectStore,
    projects: Projects,
    runner: Arc<dyn JobRunner>,
    config: JobsConfig,
    /// Cancelled when the process ends, so that those who follow a log are told.
    closing: CancellationToken,
    tails: Arc<tokio::sync::Semaphore>,
    /// Where the sweep of logs without a run goes on.
    orphan_cursor: Arc<tokio::sync::Mutex<Option<String>>>,
}

impl JobsState {
    pub fn new(
        platform: PgPool,
        sealer: Sealer,
        store: ObjectStore,
        projects: Projects,
        runner: Arc<dyn JobRunner>,
        config: JobsConfig,
    ) -> Self {
        Self {
            platform,
            sealer,
            store,
            projects,
            runner,
            config,
            closing: CancellationToken::new(),
            tails: Arc::new(tokio::sync::Semaphore::new(runs::MOST_TAILS)),
            orphan_cursor: Arc::default(),
        }
    }

    /// Ends what would go on for ever: logs that are being followed.
    pub fn close(&self) {
        self.closing.cancel();
    }
}
