//! Request and response types of AtlasHub's HTTP API.
//!
//! The host and its clients share this crate. Field names in JSON are camelCase, times are RFC 3339 in UTC, sizes are
//! in bytes, and names of durations end in their unit. In responses, a field without a value is null; fields that are
//! absent instead are documented as such.
//!
//! The doc comments become the descriptions of the OpenAPI document.
//!
//! The feature `openapi` implements `ToSchema` for the OpenAPI document. The feature `sqlx` lets enums be used as
//! values in queries. Both are for the host; clients leave them out.
#![warn(missing_docs)]

pub mod audit;
pub mod backups;
pub mod error;
pub mod jobs;
pub mod keys;
pub mod notifications;
pub mod page;
pub mod plugins;
pub mod projects;
pub mod runs;
pub mod sql;
pub mod storage;
pub mod system;
pub mod tables;
mod text_enum;

pub use audit::*;
pub use backups::*;
pub use error::*;
pub use jobs::*;
pub use keys::*;
pub use notifications::*;
pub use page::*;
pub use plugins::*;
pub use projects::*;
pub use runs::*;
pub use sql::*;
pub use storage::*;
pub use system::*;
pub use tables::*;
pub use text_enum::UnknownVariant;
