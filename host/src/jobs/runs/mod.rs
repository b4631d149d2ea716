//! The history of runs.
//!
//! Reading order: `queries`, `access` (reads and cancels a run), `detail` (a run with its earlier and later attempts),
//! `output` (log and progress of a running run, in memory), `log` (reads stored logs and puts long ones into the object
//! store), `follow` (reads a log while it grows), `log_stream` (a followed log as events), `lease_fence` (rejects
//! writes of a run that lost its lease), `retention`, `summary` (counts runs over time), `routes`.

mod access;
mod detail;
mod follow;
mod lease_fence;
pub(super) mod log;
mod log_stream;
pub(super) mod output;
pub(super) mod queries;
pub(super) mod retention;
pub(super) mod routes;
pub(super) mod summary;

pub use follow::{LogFollower, LogNews};
pub use log::LogFilter;
pub use retention::RetentionReport;
pub use summary::SummaryFilter;
