//! Wire types of every AtlasHub endpoint: what goes over HTTP, and nothing else.
//!
//! The host and the dashboard share this crate, so a field renamed here is renamed on both sides.
//! JSON is camelCase; times are RFC 3339 in UTC; sizes are bytes; durations name their unit.
//! The feature `openapi` adds `ToSchema` for the host's OpenAPI document, and `sqlx` lets enums be
//! values in its queries; the browser leaves both out.

pub mod audit;
pub mod backups;
pub mod error;
pub mod jobs;
pub mod keys;
pub mod notifications;
pub mod page;
pub mod plugins;
pub mod projects;
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
pub use sql::*;
pub use storage::*;
pub use system::*;
pub use tables::*;
pub use text_enum::UnknownVariant;
