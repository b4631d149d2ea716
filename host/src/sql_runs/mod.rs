//! Runs SQL in the background: a script that may take longer than a request, executed as a run.
//!
//! [`SqlJob`] executes these runs, which have the plugin `sql` and the job `script`. A scheduled job can run SQL in the
//! same way.
//!
//! Deliberately absent: running statements (`sql_editor`), the queue and history of runs (`jobs`).

mod job;
mod routes;

pub use job::SqlJob;
pub(crate) use routes::*;
