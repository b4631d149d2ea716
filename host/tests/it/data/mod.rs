//! Rows over the public API.

pub mod access;
pub mod filters;
pub mod reads;
pub mod schema;
pub mod types;
pub mod writes;
