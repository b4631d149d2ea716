//! Jobs: work that runs on a schedule or on demand, and the history of its runs.
//!
//! A run is a row in Postgres. The runs of a fire time are unique by job, fire time and attempt. A scheduler claims
//! queued runs with `SKIP LOCKED` and holds a lease on each, which it renews. Any number of schedulers can run on one
//! database, and any of them can crash: when the leases of its runs expire, another scheduler ends these runs, and
//! executes their retries if there are any. A run's effects on other systems can then happen twice; its writes to the
//! platform are fenced by the lease ([`Runs::lock_lease`]).
//!
//! Deliberately absent: WebAssembly. A [`JobRunner`] executes runs; `plugins` implements it. Values of secrets leave
//! this folder only in [`RunCall::secrets`], and in requests for [`JobRunner::check_request`].
//!
//! Reading order: `runner` (the interface to `plugins`), `built_in` (jobs that the server executes itself), `schedule`
//! (when a job is due), `state` (shared by the rest of the folder), `catalogue` (jobs and their definition), `runs`
//! (history, logs, retention), `redact` (keeps secrets out of logs and responses), `signals` (messages between nodes),
//! `scheduler` (executes runs).

mod built_in;
mod catalogue;
mod redact;
mod runner;
mod runs;
mod schedule;
mod scheduler;
mod signals;
mod state;

pub(crate) use catalogue::{RunStartedResponse, routes::*, run_started};
pub(crate) use runs::routes::*;

pub use built_in::{BuiltInJob, WithBuiltIn};
pub use catalogue::{JobConcern, JobConcernKind, NewRun, SEALED_COLUMNS, job_body_identity, job_headers_identity};
pub use redact::{Redactor, StreamRedactor};
pub use runner::{JobRunner, LineLevel, OwnRuns, RunCall, RunFailure, RunOutput, RunRefusal, RunReport};
pub use runs::{LogFilter, LogFollower, LogNews, RetentionReport, SummaryFilter};
pub use schedule::{Schedule, ScheduleError};
pub use scheduler::{RunEnded, RunObserver, SCHEDULER_CONNECTIONS, Scheduler};
pub use state::{Jobs, Runs};
