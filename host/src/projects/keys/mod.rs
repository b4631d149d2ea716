//! API keys of projects.
//!
//! `api_keys` defines their format and the owner's operations on them. Each request of the public surface looks up its
//! key in `cache`, and `usage` counts the requests. `routes` contains the handlers, and `queries` the fixed SQL. Only
//! the SHA-256 of a key is stored, and its first 12 characters, by which the owner recognizes it.

mod api_keys;
mod cache;
mod queries;
pub(super) mod routes;
mod usage;

pub(super) use api_keys::{check_name, generate_key, new_key};
pub(super) use queries::{insert_key, notify_project_changed};

pub use cache::KeyCache;
pub use queries::remove_expired_or_revoked_keys;
