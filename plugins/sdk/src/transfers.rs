//! Exports and imports that the owner started. The host reads and writes the databases; the plugin moves the files.
//!
//! Requires the capability [`Transfers`](crate::plugin::Capability::Transfers). Its scope lists the databases whose
//! exports and imports the plugin may use. The files are objects in the stores `exports` and `imports`, see
//! [`objects`](crate::objects).

pub use crate::bindings::atlashub::plugin::transfers::{
    ExportFile, ExportInfo, ImportFile, ImportResult, LoadMethod, StoredExport, TransferProgress,
};
use crate::{
    Result, backend,
    stream::{ByteStream, Outcome},
};

/// An export in progress. Dropping it stops the export.
///
/// Consume the content first, then await the outcome. Keep what you stored only if the outcome is a success.
pub struct Export {
    /// The file to store.
    pub file: ExportFile,
    /// Content of the file.
    pub content: ByteStream,
    /// Whether the content is complete, and its properties.
    pub outcome: Outcome<ExportInfo>,
}

/// Opens an export.
///
/// # Errors
/// Returns `Denied` if the grant does not cover the database, `NotFound` if there is no such export or its table no
/// longer exists, `Conflict` if the export is already ready or the run no longer holds its lease, `Failed` if Postgres
/// rejects the export, `TooLarge` if the run already has the maximum number of open transfers, and `Unavailable` if
/// Postgres cannot be reached.
pub async fn open_export(id: &str) -> Result<Export> {
    backend::transfers::open_export(id).await
}

/// Marks an export as ready. Its file must already be in the store `exports`.
///
/// # Errors
/// Returns `Denied` if the grant does not cover the database, `Failed` if the file is not in the store or does not have
/// the given size, `NotFound` if the export does not exist, has expired or belongs to another run, `Conflict` if the
/// run no longer holds its lease, and `Unavailable` if Postgres or the store cannot be reached.
pub async fn record_export(id: &str, stored: StoredExport) -> Result<()> {
    backend::transfers::record_export(id, stored).await
}

/// Returns the file of an import that the owner started.
///
/// # Errors
/// Returns `Denied` if the grant does not cover the database, `NotFound` if there is no such import, `Conflict` if the
/// file has already been imported or the run no longer holds its lease, and `Unavailable` if Postgres cannot be
/// reached.
pub async fn open_import(id: &str) -> Result<ImportFile> {
    backend::transfers::open_import(id).await
}

/// Loads the file into its table in one transaction, and commits the transaction unless the import is a dry run.
///
/// `body` is the content of the file. Returns `None` if the method [`LoadMethod::Direct`] failed and nothing was
/// changed. In that case, call this function again with [`LoadMethod::Staged`] and the content from its beginning.
///
/// # Errors
/// Returns `Denied` if the grant does not cover the database, `Failed` if a row can't be imported and may not be
/// skipped, `NotFound` if the import or its table no longer exists, `TooLarge` if the run already has the maximum
/// number of open transfers, `Conflict` if the run no longer holds its lease, and `Unavailable` if Postgres cannot be
/// reached or the content was cut short. After an error, nothing was imported.
pub async fn load_import(id: &str, body: ByteStream, method: LoadMethod) -> Result<Option<ImportResult>> {
    backend::transfers::load_import(id, body, method).await
}

/// Returns the progress of this run's export or import.
pub fn progress() -> TransferProgress {
    backend::transfers::progress()
}
