//! Jobs as the owner defines them.
//!
//! Reading order: `validation` (rules for a definition), `sealed` (header values and bodies), `queries`, `definitions`
//! (list, create, change and delete), `start` (manual runs), `routes`.

mod definitions;
mod queries;
pub(super) mod routes;
mod sealed;
mod start;
mod validation;

pub use sealed::{SEALED_COLUMNS, job_body_identity, job_headers_identity};
pub(super) use sealed::{http_params, open_secrets};
pub use start::NewRun;
