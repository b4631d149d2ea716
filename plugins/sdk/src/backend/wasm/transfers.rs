//! Calls the host's interface `transfers`.

use super::{from_wit, host, stream::Reader};
use crate::{
    Result,
    stream::{ByteStream, Outcome},
    transfers::{Export, ImportFile, ImportResult, LoadMethod, StoredExport, TransferProgress},
};

pub(crate) async fn open_export(id: &str) -> Result<Export> {
    let (file, content, outcome) = host::transfers::open_export(id.to_owned()).await.map_err(from_wit)?;
    Ok(Export {
        file,
        content: ByteStream { reader: Reader::new(content) },
        outcome: Outcome::new(async move { outcome.await.map_err(from_wit) }),
    })
}

pub(crate) async fn record_export(id: &str, stored: StoredExport) -> Result<()> {
    host::transfers::record_export(id.to_owned(), stored).await.map_err(from_wit)
}

pub(crate) async fn open_import(id: &str) -> Result<ImportFile> {
    host::transfers::open_import(id.to_owned()).await.map_err(from_wit)
}

pub(crate) async fn load_import(id: &str, body: ByteStream, method: LoadMethod) -> Result<Option<ImportResult>> {
    host::transfers::load_import(id.to_owned(), body.reader.into_stream(), method).await.map_err(from_wit)
}

pub(crate) fn progress() -> TransferProgress {
    host::transfers::progress()
}
