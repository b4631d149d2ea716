//! Tests of plugins: trust, loading, compiling, capabilities, limits.

pub mod buckets;
#[cfg(feature = "languages")]
pub mod built_languages;
pub mod capabilities;
pub mod compiling;
pub mod containment;
pub mod examples;
pub mod folder;
pub mod guests;
pub mod hostile;
pub mod http_bodies;
pub mod languages;
pub mod limits;
pub mod query;
pub mod review;
pub mod routes;
pub mod starvation;
pub mod state;
pub mod transfers;
pub mod trust;
pub mod usage;
