//! Rows over the public API.

pub mod access;
pub mod filters;
pub mod project_errors;
pub mod reads;
pub mod response_limits;
pub mod schema;
pub mod sessions;
pub mod type_changes;
pub mod types;
pub mod writes;
