use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::db::DatabaseName;

/// What plugins may do with the catalogue of backups; the backups' floor provides it.
#[async_trait]
pub trait BackupCatalogue: Send + Sync + 'static {
    /// Adds a backup whose dump and manifest are in storage; answers its id. The same one again changes nothing.
    async fn record(&self, backup: NewBackup, run: RunLease) -> Result<Uuid, CatalogueError>;

    /// Backups whose dump is in storage, newest first; of one database, or all.
    async fn list(&self, target: Option<&DatabaseName>) -> Result<Vec<CatalogueEntry>, CatalogueError>;

    /// One of them, also where its dump is gone.
    async fn find(&self, id: Uuid) -> Result<CatalogueEntry, CatalogueError>;

    /// Restores one into a scratch database, compares, and drops that; what differs is in the answer, and where nothing
    /// does the entry says that it was verified.
    async fn verify(&self, id: Uuid, run: RunLease) -> Result<BackupVerification, CatalogueError>;

    /// Removes dump, manifest and entry.
    async fn remove(&self, id: Uuid) -> Result<(), CatalogueError>;
}

/// A run, and its proof that it may still write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunLease {
    pub run_id: Uuid,
    pub lease: Uuid,
}

/// A backup to add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBackup {
    pub target: DatabaseName,
    /// Keys in the platform's own bucket.
    pub object_key: String,
    pub manifest_key: String,
    pub size_bytes: u64,
    /// Hexadecimal, in lower case.
    pub sha256: String,
    pub created_at: DateTime<Utc>,
}

/// A backup of the catalogue.
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

/// What restoring a backup showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupVerification {
    pub tables: usize,
    pub rows: u64,
    /// By schema and name.
    pub differences: Vec<TableDifference>,
    /// Of the dump.
    pub size_bytes: u64,
    pub duration: Duration,
}

/// A table that is not as the manifest says. `None` is no such table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDifference {
    pub schema: String,
    pub table: String,
    /// Rows.
    pub expected: Option<u64>,
    pub found: Option<u64>,
}

/// Why the catalogue did not do it.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    #[error("there is no such backup")]
    NotFound,
    /// What was to be added is not what is in storage.
    #[error("{0}")]
    Invalid(String),
    /// The dump is not the one that was made, or can't be restored.
    #[error("{0}")]
    Unverified(String),
    /// Another scheduler has the run by now, or it was cancelled.
    #[error("the run doesn't hold its lease any more")]
    LeaseLost,
    #[error("{what} can't be reached")]
    Unavailable {
        what: &'static str,
        #[source]
        cause: anyhow::Error,
    },
}
