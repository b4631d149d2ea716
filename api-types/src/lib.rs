//! Request and response types of AtlasHub's HTTP API.
//!
//! The host and its clients share this crate. Field names in JSON are camelCase, times are RFC 3339 in UTC, sizes are
//! in bytes, and names of durations end in their unit. Exceptions: `expiresIn` is a number of seconds, and `expiresAt`
//! of an end user's session is in seconds since 1970. In responses, a field without a value is null; fields that are
//! absent instead are documented as such.
//!
//! The doc comments become the descriptions of the OpenAPI document.
//!
//! The feature `openapi` implements `ToSchema` for the OpenAPI document. The feature `sqlx` lets enums be used as
//! values in queries. Both are for the host; clients leave them out.
#![warn(missing_docs)]

/// The version of AtlasHub that these types belong to. The server sends its own in the header `x-atlashub-version`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

pub mod access;
pub mod audit;
pub mod auth;
pub mod auth_settings;
pub mod backups;
pub mod changes;
pub mod error;
pub mod events;
pub mod exports;
pub mod imports;
pub mod job_checks;
pub mod jobs;
pub mod keys;
pub mod notifications;
mod nullable;
mod numbers;
pub mod objects;
pub mod overview;
pub mod page;
pub mod plugins;
pub mod projects;
pub mod restores;
pub mod runs;
pub mod saved_queries;
pub mod schema;
mod second_factor;
pub mod sql;
pub mod sql_parse;
pub mod storage;
pub mod system;
pub mod table_detail;
pub mod tables;
mod text_enum;
pub mod user_detail;
pub mod utc_time;

pub use access::*;
pub use audit::*;
pub use auth::*;
pub use auth_settings::*;
pub use backups::*;
pub use changes::*;
pub use error::*;
pub use events::*;
pub use exports::*;
pub use imports::*;
pub use job_checks::*;
pub use jobs::*;
pub use keys::*;
pub use notifications::*;
pub use objects::*;
pub use overview::*;
pub use page::*;
pub use plugins::*;
pub use projects::*;
pub use restores::*;
pub use runs::*;
pub use saved_queries::*;
pub use schema::*;
pub use second_factor::*;
pub use sql::*;
pub use sql_parse::*;
pub use storage::*;
pub use system::*;
pub use table_detail::*;
pub use tables::*;
pub use text_enum::UnknownVariant;
pub use user_detail::*;
