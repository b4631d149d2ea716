//! Rows over the public API: reads, writes, filters, types, access.

pub mod access;
pub mod filters;
pub mod reads;
pub mod schema;
pub mod types;
pub mod writes;
