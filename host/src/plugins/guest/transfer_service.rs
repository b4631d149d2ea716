use std::any::Any;

use async_trait::async_trait;
use uuid::Uuid;

use super::{RunLease, streams::ByteStream};
use crate::db::{DatabaseName, dump::DumpError};

/// Exports and imports, as plugins use them. Implemented by `transfers`, which is on a higher floor.
#[async_trait]
pub trait TransferService: Send + Sync + 'static {
    /// Returns the database of an export.
    async fn export_database(&self, id: Uuid) -> Result<DatabaseName, TransferError>;

    /// Starts to read the database. From now on, the export belongs to this run. `permit` is dropped when the work has
    /// ended. Dropping the result stops it.
    async fn open_export(
        &self,
        id: Uuid,
        run: RunLease,
        permit: Box<dyn Any + Send>,
    ) -> Result<OpenExport, TransferError>;

    /// Marks an export as ready, if its file is in storage.
    async fn record_export(&self, id: Uuid, stored: StoredExport, run: RunLease) -> Result<(), TransferError>;

    /// Returns the database of an import.
    async fn import_database(&self, id: Uuid) -> Result<DatabaseName, TransferError>;

    /// Returns the file of an import. From now on, the import belongs to this run.
    async fn open_import(&self, id: Uuid, run: RunLease) -> Result<ImportFile, TransferError>;

    /// Loads a file into its table and commits it. Returns `None` if the direct method failed. Dropping the future
    /// undoes everything, unless it is being committed.
    async fn load_import(
        &self,
        id: Uuid,
        body: ByteStream,
        method: LoadMethod,
        run: RunLease,
    ) -> Result<Option<LoadedImport>, TransferError>;

    /// Returns what a run has done so far.
    fn progress(&self, run: Uuid) -> TransferProgress;
}

/// An export in progress.
pub struct OpenExport {
    /// Key in the platform's own bucket.
    pub object_key: String,
    pub content_type: &'static str,
    /// The content of the file. Its end does not mean that it is complete.
    pub content: ByteStream,
    /// The number of rows, or why the content is not complete.
    pub outcome: ExportOutcome,
}

/// Completes when the content was read to its end.
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
    /// Whether the direct method may work.
    pub direct: bool,
}

/// How rows get into the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadMethod {
    Direct,
    /// Through a temporary table.
    Staged,
}

/// What an import has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadedImport {
    /// Everything was undone.
    pub dry_run: bool,
    pub rows_read: u64,
    pub rows_inserted: u64,
    pub rows_updated: u64,
    pub rows_skipped: u64,
    pub error_count: u64,
}

/// What a run has done so far, in rows or bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TransferProgress {
    pub done: u64,
    /// `None` if it is not known.
    pub total: Option<u64>,
}

/// Why an export or import failed.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// Names what does not exist, for example `export`.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// It can't be carried out: something does not fit, or Postgres refused it. Repeating it would fail again.
    #[error("{0}")]
    Refused(String),
    /// It is in a state in which this is not possible.
    #[error("{0}")]
    Conflict(String),
    /// Another scheduler took over the run, or the run was cancelled.
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
