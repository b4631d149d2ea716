//! SQL that takes longer than a request may: a script as a run like any other.
//!
//! [`SqlRunner`] is the [`JobRunner`](crate::jobs::JobRunner) that executes these runs itself, under the plugin name
//! [`PLUGIN`], and leaves all others to `plugins`. A job on a schedule can run SQL in the same way.
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
