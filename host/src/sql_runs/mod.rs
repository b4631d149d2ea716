//! Runs SQL in the background: a script that may take longer than a request, executed as a run.
//!
//! [`SqlRunner`] is a [`JobRunner`](crate::jobs::JobRunner) that executes the runs with the plugin name [`PLUGIN`], and
//! passes all others to `plugins`. Scheduled jobs can also run SQL in this way.
//!
//! Not here: running statements (`sql_editor`), the queue and history of runs (`jobs`).

mod routes;

mod params;
mod runner;

use crate::{jobs::Jobs, sql_editor::SqlEditorState};

pub use params::PLUGIN;
pub(crate) use routes::*;
pub use runner::SqlRunner;

/// The state of the routes.
#[derive(Clone)]
pub struct SqlRunsState {
    pub editor: SqlEditorState,
    pub jobs: Jobs,
}
