//! Exports and imports as plugins use them: a trait and its types.

use std::any::Any;

use async_trait::async_trait;
use uuid::Uuid;

use super::{RunLease, streams::ByteStream};
use crate::db::{DatabaseName, dump::DumpError};

/// The operations on exports and imports for plugins. Implemented by `transfers`, which is on a higher floor.
///
/// # Errors
/// Methods that return a `Result` return `NotFound` for an unknown export or import, and `Unavailable` if a database or
/// the object store can't be reached. Methods that take a lease return `LeaseLost` if the run no longer holds it.
/// [`TransferError`] documents the other errors.
#[async_trait]
pub trait TransferService: Send + Sync + 'static {
    /// Returns the database of an export.
    async fn export_database(&self, id: Uuid) -> Result<DatabaseName, TransferError>;

    /// Assigns an export to a run and starts to read the database. Dropping the result stops the export. `permit` is
    /// dropped when the export has ended.
    async fn open_export(
        &self,
        id: Uuid,
        run: RunLease,
        permit: Box<dyn Any + Send>,
    ) -> Result<OpenExport, TransferError>;

    /// Marks an export as ready if its file is in storage.
    ///
    /// # Errors
    /// Returns `Refused` if the file is missing or does not have the given size, and `NotFound` if the export expired
    /// or is not assigned to this run.
    async fn record_export(&self, id: Uuid, stored: StoredExport, run: RunLease) -> Result<(), TransferError>;

    /// Returns the database of an import.
    async fn import_database(&self, id: Uuid) -> Result<DatabaseName, TransferError>;

    /// Assigns an import to a run and returns the import's file.
    async fn open_import(&self, id: Uuid, run: RunLease) -> Result<ImportFile, TransferError>;

    /// Loads a file into its table in one transaction, and commits the transaction unless the import is a dry run.
    /// Returns `None`, without a change, if the direct method failed or can't be used. Dropping the future rolls the
    /// transaction back, unless it is being committed.
    async fn load_import(
        &self,
        id: Uuid,
        body: ByteStream,
        method: LoadMethod,
        run: RunLease,
    ) -> Result<Option<LoadedImport>, TransferError>;

    /// Returns the progress of a run's export or import.
    fn progress(&self, run: Uuid) -> TransferProgress;
}

/// An export in progress.
pub struct OpenExport {
    /// Key in the platform's own bucket.
    pub object_key: String,
    pub content_type: &'static str,
    /// The content of the file. The end of the stream does not mean that the content is complete.
    pub content: ByteStream,
    /// The number of rows, or the reason why the content is not complete.
    pub outcome: ExportOutcome,
}

/// A future that completes when the content of an export was read completely, or its stream was dropped.
pub type ExportOutcome = futures_util::future::BoxFuture<'static, Result<u64, TransferError>>;

/// The stored file of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredExport {
    pub size_bytes: u64,
    /// Hexadecimal, in lower case.
    pub sha256: String,
    pub row_count: u64,
}

/// The file of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportFile {
    /// Key in the platform's own bucket.
    pub object_key: String,
    pub size_bytes: u64,
    /// Whether to try the direct method first.
    pub direct: bool,
}

/// The method of loading rows into a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadMethod {
    /// Into the table itself. Fast, but a row that Postgres refuses is not reported.
    Direct,
    /// Through a temporary table.
    Staged,
}

/// The result of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadedImport {
    /// Whether everything was undone, because the import is a dry run.
    pub dry_run: bool,
    pub rows_read: u64,
    pub rows_inserted: u64,
    pub rows_updated: u64,
    pub rows_skipped: u64,
    pub error_count: u64,
}

/// The progress of a run's export or import, in rows or bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TransferProgress {
    pub done: u64,
    /// The value of `done` at the end. `None` if it is not known.
    pub total: Option<u64>,
}

/// The reason why an operation on an export or import failed.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The named resource does not exist, for example `export`.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// The operation can't be carried out, for example because Postgres rejected a value. Repeating it fails again.
    #[error("{0}")]
    Refused(String),
    /// The operation is not possible in the current state of the export or import.
    #[error("{0}")]
    Conflict(String),
    /// The run has ended, for example because its lease expired.
    #[error("the run no longer holds its lease")]
    LeaseLost,
    #[error(transparent)]
    Dump(#[from] DumpError),
    #[error("{what} can't be reached")]
    Unavailable {
        what: &'static str,
        #[source]
        cause: anyhow::Error,
    },
}
