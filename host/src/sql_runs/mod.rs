//! Runs SQL in the background: a script that may take longer than a request, executed as a run.
//!
//! [`SqlJob`] executes these runs, in which its name stands in place of a plugin's. Scheduled jobs can also run SQL in
//! this way.
//!
//! Not here: running statements (`sql_editor`), the queue and history of runs (`jobs`).

mod job;
mod routes;

pub use job::SqlJob;
pub(crate) use routes::*;
