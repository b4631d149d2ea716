//! Events about changes, which keep the dashboard's pages up to date: `GET /admin/v1/events`.
//!
//! While at least one stream is open, and for a minute afterwards, one task reads the state of runs, jobs, projects,
//! backups, restores, plugins, channels and nodes every half second, compares it with the previous one, and appends the
//! differences to a bounded history. Every stream of the node reads that history. So the task finds changes that any
//! node or other program made, writes nothing to Postgres, and does no work while no dashboard is open. Streams hold no
//! connection to Postgres.
//!
//! Deliberately absent: contents. An event names the changed resource, and the client reads it again.
//!
//! Reading order: `queries` (the state as rows), `observer` (the changes since the last observation), `history` (events
//! that streams can still read), `watch` (the task), `stream` (one stream), `routes`.

mod history;
mod observer;
mod queries;
mod routes;
mod stream;
mod watch;

use std::sync::Arc;

use sqlx::PgPool;

use crate::{jobs::Runs, plugins::Plugins};

use history::History;
pub(crate) use routes::*;
pub use watch::watch;

/// The state of the slice. Cheap to clone.
#[derive(Clone)]
pub struct EventsState {
    platform: PgPool,
    plugins: Plugins,
    runs: Runs,
    history: Arc<History>,
}

impl EventsState {
    pub fn new(platform: PgPool, plugins: Plugins, runs: Runs) -> Self {
        Self { platform, plugins, runs, history: Arc::new(History::new()) }
    }

    /// Ends all streams. Called when the process shuts down, because a stream would otherwise keep it alive.
    pub fn close_streams(&self) {
        self.history.close();
    }
}
