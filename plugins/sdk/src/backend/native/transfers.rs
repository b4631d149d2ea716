//! Exports and imports of the simulated host.

use super::{host_state::call, stream::Reader};
use crate::{
    Error, Result,
    plugin::Capability,
    stream::{ByteStream, Outcome},
    transfers::{Export, ExportFile, ExportInfo, ImportFile, ImportResult, LoadMethod, StoredExport, TransferProgress},
};

/// An export of the simulated host.
#[derive(Clone)]
pub(crate) struct SimulatedExport {
    pub(crate) file: ExportFile,
    pub(crate) content: Vec<u8>,
    pub(crate) info: ExportInfo,
}

pub(crate) async fn open_export(id: &str) -> Result<Export> {
    call(Capability::Transfers, "transfers.open-export", id, |state| {
        let export = state.exports.get(id).cloned();
        let export = export.ok_or_else(|| Error::not_found(format!("export `{id}` not found")))?;
        let outcome = state.take_failure("transfers.export.outcome", id).map_or(Ok(export.info), Err);
        Ok(Export {
            file: export.file,
            content: ByteStream { reader: Reader::of_bytes(export.content) },
            outcome: Outcome::new(async move { outcome }),
        })
    })
}

pub(crate) async fn record_export(id: &str, stored: StoredExport) -> Result<()> {
    call(Capability::Transfers, "transfers.record-export", id, |state| {
        state.stored_exports.push((id.to_owned(), stored));
        Ok(())
    })
}

/// An import of the simulated host. Its rows are the lines of its file.
#[derive(Clone)]
pub(crate) struct SimulatedImport {
    pub(crate) file: ImportFile,
    /// Whether the method `direct` succeeds.
    pub(crate) loads_directly: bool,
}

pub(crate) async fn open_import(id: &str) -> Result<ImportFile> {
    call(Capability::Transfers, "transfers.open-import", id, |state| {
        let import = state.imports.get(id).cloned();
        Ok(import.ok_or_else(|| Error::not_found(format!("import `{id}` not found")))?.file)
    })
}

pub(crate) async fn load_import(id: &str, body: ByteStream, method: LoadMethod) -> Result<Option<ImportResult>> {
    let content = body.collect(usize::MAX).await?;
    call(Capability::Transfers, "transfers.load-import", id, |state| {
        state.loads.push((id.to_owned(), method));
        let loads_directly = state.imports.get(id).is_some_and(|import| import.loads_directly);
        if method == LoadMethod::Direct && !loads_directly {
            return Ok(None);
        }
        let rows = content.split_inclusive(|byte| *byte == b'\n').count() as u64;
        Ok(Some(ImportResult {
            dry_run: false,
            rows_read: rows,
            rows_inserted: rows,
            rows_updated: 0,
            rows_skipped: 0,
            error_count: 0,
        }))
    })
}

/// Returns no progress, because the simulated host finishes each call immediately.
pub(crate) fn progress() -> TransferProgress {
    TransferProgress { done: 0, total: None }
}
