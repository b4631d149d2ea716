//! Lists and applies the migrations of the platform database that this version of AtlasHub contains.
//!
//! Requires the capability [`Migrations`](crate::plugin::Capability::Migrations), which has no scope.

pub use crate::bindings::atlashub::plugin::migrations::Migration;
use crate::{Result, backend};

/// Lists all migrations in order.
///
/// # Errors
/// Returns `Denied` in native tests whose manifest does not request the capability, and `Unavailable` if Postgres
/// cannot be reached.
pub async fn status() -> Result<Vec<Migration>> {
    backend::migrations::status().await
}

/// Applies the pending migrations in order and returns them. Holds the same lock as `atlashub migrate`.
///
/// # Errors
/// Returns `Denied` in native tests whose manifest does not request the capability, `Conflict` if the run no longer
/// holds its lease, `Unavailable` if Postgres cannot be reached, and `Failed` if a migration fails or if one was
/// applied with different SQL or never completed.
pub async fn apply() -> Result<Vec<Migration>> {
    backend::migrations::apply().await
}
