//! Tests of plugins: trust, loading, compiling, capabilities, limits.

pub mod capabilities;
pub mod compiling;
pub mod examples;
pub mod folder;
pub mod guests;
pub mod hostile;
pub mod limits;
pub mod routes;
pub mod transfers;
pub mod trust;
