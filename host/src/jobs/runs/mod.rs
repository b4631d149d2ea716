//! The history of runs: output, logs, following a log, retention, routes.

mod log;
pub(super) mod output;
mod retention;
pub(super) mod routes;
mod tail;

pub use retention::RetentionReport;
pub(super) use tail::MOST_TAILS;
