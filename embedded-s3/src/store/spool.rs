//! Temporary files for bytes that arrive before it is known what they become.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::sync::Arc;

use bytes::Bytes;
use futures::stream;
use parking_lot::Mutex;
use s3s::dto::StreamingBlob;

use super::blob::TemporaryFile;
use super::error::StoreError;
use super::state::Store;

/// Bytes read from disk at once.
const CHUNK_BYTES: u64 = 256 * 1024;

/// A temporary file. It is removed when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Spool {
    shared: Arc<Shared>,
}

struct Shared {
    file: File,
    /// The first error of a write.
    failure: Mutex<Option<io::Error>>,
    /// The last field, so that the file is closed before it is removed.
    _temporary: TemporaryFile,
}

impl Spool {
    pub(crate) async fn create(store: &Store) -> Result<Self, StoreError> {
        store
            .run_blocking(|shared| {
                let temporary = TemporaryFile { path: shared.disk.temporary_path()? };
                let file = OpenOptions::new().read(true).write(true).create_new(true).open(&temporary.path)?;
                let shared = Shared { file, failure: Mutex::new(None), _temporary: temporary };
                Ok(Self { shared: Arc::new(shared) })
            })
            .await
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// The error is only a note for the caller, which must stop. [`Spool::take_failure`] returns the cause.
    pub(crate) async fn write(&self, bytes: Bytes) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let written = tokio::task::spawn_blocking(move || (&shared.file).write_all(&bytes)).await;
        if let Err(error) = written.map_err(io::Error::other).flatten() {
            self.shared.failure.lock().get_or_insert(error);
            return Err(io::Error::other("the bytes could not be written"));
        }
        Ok(())
    }

    /// Returns the error of the write that failed, if one did.
    pub(crate) fn take_failure(&self) -> Option<StoreError> {
        self.shared.failure.lock().take().map(StoreError::Io)
    }

    /// Streams the bytes from the start. Writing must have ended. One stream at a time can be read.
    pub(crate) fn read(&self) -> StreamingBlob {
        let cursor = (Arc::clone(&self.shared), false);
        StreamingBlob::wrap(stream::try_unfold(cursor, |(shared, is_started)| async move {
            let read = move || -> io::Result<_> {
                let chunk = read_chunk(&shared.file, is_started)?;
                Ok((!chunk.is_empty()).then(|| (Bytes::from(chunk), (shared, true))))
            };
            tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
        }))
    }
}

fn read_chunk(mut file: &File, is_started: bool) -> io::Result<Vec<u8>> {
    if !is_started {
        file.rewind()?;
    }
    let mut chunk = Vec::new();
    file.take(CHUNK_BYTES).read_to_end(&mut chunk)?;
    Ok(chunk)
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;

    use super::*;

    #[tokio::test]
    async fn spool_returns_its_bytes_and_removes_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let count = || std::fs::read_dir(folder.path().join("tmp")).unwrap().count();
        let spool = Spool::create(&store).await.unwrap();
        spool.write(Bytes::from(vec![1; 300_000])).await.unwrap();
        spool.write(Bytes::from_static(b"end")).await.unwrap();
        assert_eq!(count(), 1);
        let chunks: Vec<Bytes> = spool.read().try_collect().await.unwrap();
        let read = chunks.concat();
        assert_eq!((read.len(), &read[300_000..]), (300_003, &b"end"[..]));
        assert!(spool.take_failure().is_none());
        drop(spool);
        assert_eq!(count(), 0);
    }
}
