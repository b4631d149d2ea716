//! The state of the slice: the history of runs, and jobs with everything that is needed to run them.

use std::sync::Arc;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::JobRunner;
use crate::{config::JobsConfig, object_store::ObjectStore, projects::Projects, secrets::Sealer};

/// Maximum number of logs that clients of one node follow at once.
const MAX_LOG_STREAMS: usize = 64;

/// The history of runs, without the means to start or execute one. Cheap to clone.
#[derive(Clone)]
pub struct Runs {
    pub(super) platform: PgPool,
    pub(super) store: ObjectStore,
    pub(super) config: JobsConfig,
    /// Cancelled when the process shuts down; ends log streams.
    pub(super) closing: CancellationToken,
    pub(super) log_stream_permits: Arc<tokio::sync::Semaphore>,
    /// Position of the sweep of orphaned logs in the object store.
    pub(super) orphan_cursor: Arc<tokio::sync::Mutex<Option<String>>>,
}

impl Runs {
    pub fn new(platform: PgPool, store: ObjectStore, config: JobsConfig) -> Self {
        Self {
            platform,
            store,
            config,
            closing: CancellationToken::new(),
            log_stream_permits: Arc::new(tokio::sync::Semaphore::new(MAX_LOG_STREAMS)),
            orphan_cursor: Arc::default(),
        }
    }

    /// Ends all log streams. Called when the process shuts down, because a stream would otherwise keep the process
    /// alive.
    pub fn close_log_streams(&self) {
        self.closing.cancel();
    }
}

/// Jobs and everything that is needed to run them. Cheap to clone.
#[derive(Clone)]
pub struct Jobs {
    pub(super) runs: Runs,
    pub(super) sealer: Sealer,
    pub(super) projects: Projects,
    pub(super) runner: Arc<dyn JobRunner>,
}

impl Jobs {
    pub fn new(runs: Runs, sealer: Sealer, projects: Projects, runner: Arc<dyn JobRunner>) -> Self {
        Self { runs, sealer, projects, runner }
    }

    /// Returns the history of these jobs' runs.
    pub fn runs(&self) -> &Runs {
        &self.runs
    }

    pub(super) fn platform(&self) -> &PgPool {
        &self.runs.platform
    }
}
