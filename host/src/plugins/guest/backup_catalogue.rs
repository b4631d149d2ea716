use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::db::DatabaseName;

/// The catalogue of backups, as plugins use it. Implemented by `backups`, which is on a higher floor.
#[async_trait]
pub trait BackupCatalogue: Send + Sync + 'static {
    /// Adds a backup whose dump and manifest are in storage, and returns its id. Idempotent.
    async fn record(&self, backup: NewBackup, run: RunLease) -> Result<Uuid, CatalogueError>;

    /// Copies the objects of a project for the backup whose manifest will have this key. Stores the list of the objects
    /// beside it.
    async fn copy_objects(
        &self,
        project: &str,
        manifest_key: &str,
        on_object: OnObject,
    ) -> Result<CopiedObjects, CatalogueError>;

    /// Lists the backups whose dump is in storage, newest first. `None` lists those of all databases.
    async fn list(&self, target: Option<&DatabaseName>) -> Result<Vec<CatalogueEntry>, CatalogueError>;

    /// Returns one backup, even if its dump is missing.
    async fn find(&self, id: Uuid) -> Result<CatalogueEntry, CatalogueError>;

    /// Restores a backup into a scratch database, compares it with the manifest and drops the database. Marks the
    /// backup as verified if nothing differs.
    async fn verify(&self, id: Uuid, run: RunLease) -> Result<BackupVerification, CatalogueError>;

    /// Removes the dump, the manifest and the catalogue entry.
    async fn remove(&self, id: Uuid) -> Result<(), CatalogueError>;
}

/// Receives the number of objects that were copied so far.
pub type OnObject = Arc<dyn Fn(u64) + Send + Sync>;

/// The objects of a project in a backup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopiedObjects {
    pub count: u64,
    /// Size of all objects.
    pub bytes: u64,
    /// Objects whose content no earlier backup had.
    pub copied: u64,
    pub copied_bytes: u64,
    /// Objects that are not in the backup, because they are never served.
    pub skipped: u64,
    /// Objects that were deleted during the backup.
    pub gone: u64,
    /// SHA-256 of the stored list, in hexadecimal.
    pub list_sha256: String,
}

/// A run and the lease that proves that it may still write.
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
    pub tables: usize,
    pub rows: u64,
    /// Ordered by schema and table name.
    pub differences: Vec<TableDifference>,
    /// Size of the dump.
    pub size_bytes: u64,
    pub duration: Duration,
}

/// A table that differs from the manifest. `None` means that the table does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDifference {
    pub schema: String,
    pub table: String,
    /// Number of rows in the manifest.
    pub expected: Option<u64>,
    /// Number of rows in the restored database.
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
    /// The dump was changed or can't be restored.
    #[error("{0}")]
    Unverified(String),
    /// The server lacks a requirement for restoring dumps, so the dump was not checked.
    #[error("{0}")]
    NotChecked(String),
    /// The objects of a project could not be copied.
    #[error("{0}")]
    NotCopied(String),
    /// Another scheduler took over the run, or the run was cancelled.
    #[error("the run no longer holds its lease")]
    LeaseLost,
    #[error("{what} can't be reached")]
    Unavailable {
        what: &'static str,
        #[source]
        cause: anyhow::Error,
    },
}
