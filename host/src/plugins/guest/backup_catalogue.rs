//! The catalogue of backups as plugins use it: a trait and its types.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::db::DatabaseName;

/// The operations on the catalogue of backups for plugins. Implemented by `backups`, which is on a higher floor.
///
/// # Errors
/// Methods return `Unavailable` if a database or the object store can't be reached. Methods that take an id return
/// `NotFound` for an unknown backup. Methods that take a lease return `LeaseLost` if the run no longer holds it.
/// [`CatalogueError`] documents the other errors.
#[async_trait]
pub trait BackupCatalogue: Send + Sync + 'static {
    /// Adds a backup whose dump and manifest are in storage, and returns its id. Idempotent.
    async fn record(&self, backup: NewBackup, run: RunLease) -> Result<Uuid, CatalogueError>;

    /// Copies the objects of a project for the backup whose manifest will have the key `manifest_key`. Stores the list
    /// of the objects beside the manifest.
    async fn copy_objects(
        &self,
        project: &str,
        manifest_key: &str,
        on_object: OnObject,
    ) -> Result<CopiedObjects, CatalogueError>;

    /// Returns the backups whose dump is in storage, newest first. With a target, returns those of this database,
    /// except those whose last verification failed. Without a target, returns those of all databases.
    async fn list(&self, target: Option<&DatabaseName>) -> Result<Vec<CatalogueEntry>, CatalogueError>;

    /// Returns one backup, even if its dump is missing.
    async fn find(&self, id: Uuid) -> Result<CatalogueEntry, CatalogueError>;

    /// Restores a backup into a scratch database, compares the row counts with the manifest and drops the database.
    /// Also checks that the copies of the backup's objects exist. Marks the backup as verified or as failed, unless it
    /// could not be checked.
    async fn verify(&self, id: Uuid, run: RunLease) -> Result<BackupVerification, CatalogueError>;

    /// Removes a backup: the dump, the manifest, the list of the backup's objects and the catalogue entry. A sweep
    /// later removes the copies of objects that no other backup needs.
    async fn remove(&self, id: Uuid) -> Result<(), CatalogueError>;
}

/// A function that receives the number of objects in the backup so far.
pub type OnObject = Arc<dyn Fn(u64) + Send + Sync>;

/// The objects of a project in a backup: their numbers and sizes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopiedObjects {
    pub count: u64,
    /// Size of all objects, in bytes.
    pub bytes: u64,
    /// Number of objects that were copied, because no copy of an earlier backup could be used.
    pub copied: u64,
    /// Size of the copied objects, in bytes.
    pub copied_bytes: u64,
    /// Number of objects that are not in the backup, because they are never served.
    pub skipped: u64,
    /// Number of objects that were deleted during the backup.
    pub gone: u64,
    /// SHA-256 of the stored list, in hexadecimal.
    pub list_sha256: String,
}

/// A run and its lease. A write is refused if the run no longer holds the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunLease {
    pub run_id: Uuid,
    pub lease: Uuid,
}

/// A backup to add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBackup {
    pub target: DatabaseName,
    /// Key in the platform's own bucket, like `manifest_key`.
    pub object_key: String,
    pub manifest_key: String,
    pub size_bytes: u64,
    /// Hexadecimal, in lower case.
    pub sha256: String,
    pub created_at: DateTime<Utc>,
}

/// A backup in the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueEntry {
    pub id: Uuid,
    pub target: DatabaseName,
    pub object_key: String,
    pub manifest_key: String,
    pub size_bytes: u64,
    pub sha256: String,
    pub created_at: DateTime<Utc>,
}

/// Result of verifying a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupVerification {
    /// Number of the owner's tables, without those of end-user login.
    pub tables: usize,
    /// Number of rows in these tables.
    pub rows: u64,
    /// Differences in all tables, including those of end-user login. Ordered by schema and table name.
    pub differences: Vec<TableDifference>,
    /// Size of the dump, in bytes.
    pub size_bytes: u64,
    pub duration: Duration,
}

/// A table whose row count differs from the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDifference {
    pub schema: String,
    pub table: String,
    /// Number of rows in the manifest. `None` if the manifest does not list the table.
    pub expected: Option<u64>,
    /// Number of rows in the restored database. `None` if the database does not contain the table.
    pub found: Option<u64>,
}

/// The reason why an operation on the catalogue failed.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    #[error("backup not found")]
    NotFound,
    /// The new backup does not match the objects in storage.
    #[error("{0}")]
    Invalid(String),
    /// The stored dump or a copy of an object is missing, or the dump was changed or can't be restored.
    #[error("{0}")]
    Unverified(String),
    /// The server lacks a requirement for restoring dumps, so the dump was not checked.
    #[error("{0}")]
    NotChecked(String),
    /// The objects of a project could not be copied.
    #[error("{0}")]
    NotCopied(String),
    /// The run has ended, for example because its lease expired.
    #[error("the run no longer holds its lease")]
    LeaseLost,
    #[error("{what} can't be reached")]
    Unavailable {
        what: &'static str,
        #[source]
        cause: anyhow::Error,
    },
}
