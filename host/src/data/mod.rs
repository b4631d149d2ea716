//! Public CRUD: `/v1/db`.
//!
//! A request runs through stages, each with one input and one output and each able to say no:
//! [`request`] knows HTTP's query syntax and JSON, [`plan`] knows the [`schema`], [`render`] makes the one statement,
//! [`execute`] alone holds a connection, [`respond`] passes Postgres's JSON on. No row becomes a Rust value, no
//! identifier reaches SQL but as a quoted name found in the schema, no value but as a parameter.
//!
//! Not here: keys, roles' grants and rate limits (in front of it), DDL (impossible from here), schemas but `public`.

pub mod request;
pub mod schema;

pub mod plan;
pub mod render;

mod execute;
mod respond;

mod array_literal;
mod cursor;
mod diagnose;
mod errors;
mod json_rows;

mod admin_routes;
mod routes;

#[cfg(test)]
mod tests;

pub use admin_routes::admin_router;
pub use execute::{DataService, Identity};
pub use respond::JsonAnswer;
pub use routes::router;

use crate::config::LimitsConfig;

/// Numbers that the configuration may set.
#[derive(Debug, Clone, Copy)]
pub struct DataLimits {
    /// Rows of a page when the request does not say.
    pub default_limit: u64,
    /// Most rows of a page, and of an embedded array.
    pub max_limit: u64,
    /// Most rows of one insert.
    pub max_insert_rows: usize,
}

impl Default for DataLimits {
    fn default() -> Self {
        Self { default_limit: 100, max_limit: 1000, max_insert_rows: 10_000 }
    }
}

impl From<&LimitsConfig> for DataLimits {
    fn from(config: &LimitsConfig) -> Self {
        Self { default_limit: config.rows_default.into(), max_limit: config.rows_max.into(), ..Self::default() }
    }
}
