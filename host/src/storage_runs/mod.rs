//! Deletion of many objects, as a run like any other.
//!
//! [`StorageRunner`] is the [`JobRunner`](crate::jobs::JobRunner) that executes these runs itself, under the plugin
//! name [`PLUGIN`], and leaves all others to another runner. A job on a schedule can delete objects in the same way.
//!
//! Not here: deleting objects (`storage`), the queue and history of runs (`jobs`).

mod routes;

mod params;
mod runner;

use crate::{jobs::Jobs, storage::StorageState};

pub use params::PLUGIN;
pub(crate) use routes::*;
pub use runner::StorageRunner;

/// The state of the routes.
#[derive(Clone)]
pub struct StorageRunsState {
    pub storage: StorageState,
    pub jobs: Jobs,
}
