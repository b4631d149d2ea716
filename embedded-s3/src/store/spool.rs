//! Temporary files for the files of browser forms, which arrive before `s3s` has finished its checks of the form.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures::stream;
use parking_lot::Mutex;
use s3s::dto::StreamingBlob;

use super::blob::TemporaryFile;
use super::disk::Disk;
use super::error::StoreError;
use super::state::Store;

/// Bytes read from disk at once.
const CHUNK_BYTES: u64 = 256 * 1024;

/// A temporary file. The first write creates it. It is removed when the last clone and the last stream of it are
/// dropped.
#[derive(Clone)]
pub(crate) struct Spool {
    shared: Arc<Shared>,
}

struct Shared {
    disk: Arc<Disk>,
    created: OnceLock<Created>,
    /// The first error of a write.
    failure: Mutex<Option<io::Error>>,
}

struct Created {
    file: File,
    /// The last field, so that the file is closed before it is removed.
    _temporary: TemporaryFile,
}

impl Shared {
    /// Appends bytes. Blocks.
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let created = match self.created.get() {
            Some(created) => created,
            None => {
                let temporary = TemporaryFile { path: self.disk.temporary_path()? };
                let file = OpenOptions::new().read(true).write(true).create_new(true).open(&temporary.path)?;
                self.created.get_or_init(|| Created { file, _temporary: temporary })
            }
        };
        (&created.file).write_all(bytes)
    }
}

impl Spool {
    pub(crate) fn new(store: &Store) -> Self {
        let disk = Arc::clone(&store.shared.disk);
        Self { shared: Arc::new(Shared { disk, created: OnceLock::new(), failure: Mutex::new(None) }) }
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// Fails if the bytes can't be written. The caller must then stop. The error does not contain the cause:
    /// [`Spool::take_failure`] returns it.
    pub(crate) async fn write(&self, bytes: Bytes) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let written = tokio::task::spawn_blocking(move || shared.append(&bytes)).await;
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
                let Some(created) = shared.created.get() else { return Ok(None) };
                let chunk = read_chunk(&created.file, is_started)?;
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
        let spool = Spool::new(&store);
        assert_eq!(count(), 0);
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

    #[tokio::test]
    async fn spool_without_bytes_is_empty_and_has_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let chunks: Vec<Bytes> = Spool::new(&store).read().try_collect().await.unwrap();
        assert!(chunks.is_empty());
        assert_eq!(std::fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
    }
}
