//! The catalogue of backups: records, lists, verifies and removes backups, and copies the objects of projects for them.
//!
//! Requires the capability [`Backups`](crate::plugin::Capability::Backups). Its scope lists the databases whose backups
//! the plugin may use.

pub use crate::bindings::atlashub::plugin::backups::{
    Backup, CopiedObjects, Facts, NewBackup, TableDifference, Verification,
};
use crate::{Result, backend};

/// Returns the properties of the platform that belong in a backup's manifest.
pub fn describe() -> Facts {
    backend::backups::describe()
}

/// Adds a finished backup to the catalogue and returns its id.
///
/// The dump and its manifest must already be in the store `backups`. Adding the same backup again changes nothing.
///
/// # Errors
/// Returns `Denied` if the grant does not cover the target, `Invalid` if a field of `backup` is malformed, if the dump
/// or the manifest is missing, if the dump does not have the given size or if the manifest has more than 16 MiB,
/// `Conflict` if the run no longer holds its lease, and `Unavailable` if Postgres or the store cannot be reached.
pub async fn record(backup: NewBackup) -> Result<String> {
    backend::backups::record(backup).await
}

/// Copies the objects of a project for a backup, except contents that an earlier backup copied, and stores the list of
/// the objects beside the backup's manifest.
///
/// Call this function after the dump was committed, with the key that the manifest will have.
///
/// # Errors
/// Returns `Denied` if the grant does not cover the target, `Invalid` if the target is not a project, `Failed` if an
/// object cannot be copied, `TooLarge` if the run already has the maximum number of open transfers, `Conflict` if the
/// run no longer holds its lease, and `Unavailable` if Postgres or the store cannot be reached.
pub async fn copy_objects(target: &str, manifest_key: &str) -> Result<CopiedObjects> {
    backend::backups::copy_objects(target, manifest_key).await
}

/// Lists the backups whose dumps exist, newest first. For one target, leaves out backups whose last verification
/// failed. Without a target, lists the backups of every target in the grant's scope, including those that failed.
///
/// # Errors
/// Returns `Denied` if the grant does not cover the target, `Invalid` if the target is malformed, and `Unavailable` if
/// Postgres or the store cannot be reached.
pub async fn list(target: Option<&str>) -> Result<Vec<Backup>> {
    backend::backups::list(target).await
}

/// Restores a backup into a temporary database, compares the row count of every table with the manifest, and drops the
/// database. Also checks that the copies of the backup's objects exist.
///
/// Differences are part of a successful result: check [`Verification::differences`].
///
/// # Errors
/// Returns `Denied` if the grant does not cover the target, `NotFound` if there is no such backup, `Failed` if the dump
/// or a copy of an object is missing, or if the dump does not match its recorded hash or cannot be restored or
/// checked, `TooLarge` if the run already has the maximum number of open transfers, `Conflict` if the run no longer
/// holds its lease, and `Unavailable` if Postgres or the store cannot be reached.
pub async fn verify(id: &str) -> Result<Verification> {
    backend::backups::verify(id).await
}

/// Removes a backup: the dump, the manifest, the list of the backup's objects and the catalogue entry. Copies of
/// objects are removed later, unless another backup refers to them.
///
/// # Errors
/// Returns `Denied` if the grant does not cover the target, `NotFound` if there is no such backup, `Conflict` if the
/// run no longer holds its lease, and `Unavailable` if Postgres or the store cannot be reached.
pub async fn remove(id: &str) -> Result<()> {
    backend::backups::remove(id).await
}
