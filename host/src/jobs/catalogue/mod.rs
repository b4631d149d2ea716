//! Jobs as the owner defines them.
//!
//! Reading order: `validation` (rules for a definition), `sealed` (header values and bodies), `queries`, `definitions`
//! (create, change and delete), `check` (every problem of a definition at once), `history` and `listing` (jobs with
//! numbers from their history), `concerns` (problems of jobs), `start` (manual runs), `routes`.

mod check;
mod concerns;
mod definitions;
mod history;
mod listing;
mod queries;
pub(super) mod routes;
mod sealed;
mod start;
mod validation;

pub use concerns::{JobConcern, JobConcernKind};
pub(super) use sealed::{HttpParams, open_secrets};
pub use sealed::{SEALED_COLUMNS, job_body_identity, job_headers_identity};
pub use start::NewRun;
pub(crate) use start::{RunStartedResponse, run_started};
