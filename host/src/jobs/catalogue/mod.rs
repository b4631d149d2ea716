//! Jobs as the owner defines them: validation, sealed values, manual runs, routes.

mod jobs;
pub(super) mod routes;
pub(super) mod sealed;
mod start;
pub(super) mod validation;

pub use start::NewRun;
