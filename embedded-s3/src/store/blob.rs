//! Blobs: immutable files of bytes, removed once nothing refers to them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::disk::{BlobId, Disk};
use super::files::sync_parent;

/// A blob on disk, shared by the index and all readers.
///
/// When the last reference is dropped, the file is removed unless the blob is committed. Therefore, an overwrite never
/// removes the file while it is being read.
#[derive(Debug)]
pub(crate) struct Blob {
    disk: Arc<Disk>,
    pub(super) id: BlobId,
    pub size: u64,
    /// Whether metadata on disk refers to the blob.
    is_committed: AtomicBool,
}

impl Blob {
    /// Returns a blob to which metadata on disk refers.
    pub(super) fn committed(disk: Arc<Disk>, id: BlobId, size: u64) -> Arc<Self> {
        Arc::new(Self { disk, id, size, is_committed: AtomicBool::new(true) })
    }

    fn uncommitted(disk: Arc<Disk>, id: BlobId, size: u64) -> Arc<Self> {
        Arc::new(Self { disk, id, size, is_committed: AtomicBool::new(false) })
    }

    /// Records that metadata on disk now refers to the blob.
    pub(super) fn mark_committed(&self) {
        self.is_committed.store(true, Ordering::Release);
    }

    /// Records that the metadata on disk no longer refers to the blob, and that this is durable.
    pub(super) fn mark_unreferenced(&self) {
        self.is_committed.store(false, Ordering::Release);
    }

    pub(super) fn open(&self) -> io::Result<File> {
        File::open(self.disk.blob_path(self.id))
    }

    /// Creates a second blob with the same bytes, as a hard link if the file system supports it. Blocks.
    pub(super) fn duplicate(&self) -> io::Result<Arc<Self>> {
        let id = BlobId::random()?;
        let source = self.disk.blob_path(self.id);
        let target = self.disk.blob_path(id);
        if fs::hard_link(&source, &target).is_err() {
            let temporary = TemporaryFile { path: self.disk.temporary_path()? };
            fs::copy(&source, &temporary.path)?;
            File::open(&temporary.path)?.sync_all()?;
            fs::rename(&temporary.path, &target)?;
        }
        let copy = Self::uncommitted(Arc::clone(&self.disk), id, self.size);
        sync_parent(&target)?;
        Ok(copy)
    }
}

impl Drop for Blob {
    fn drop(&mut self) {
        if !*self.is_committed.get_mut() {
            self.disk.discard_blob(self.id);
        }
    }
}

/// A file that is removed when this value is dropped, unless it was renamed before.
pub(super) struct TemporaryFile {
    pub(super) path: PathBuf,
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        // An error is ignored, because `tmp/` is emptied on the next open.
        let _ = fs::remove_file(&self.path);
    }
}

/// A blob that is being written. If it is dropped before [`BlobWriter::finish`], its file is removed. Its methods
/// block.
pub(super) struct BlobWriter {
    disk: Arc<Disk>,
    temporary: TemporaryFile,
    file: File,
    size: u64,
}

impl BlobWriter {
    pub(super) fn create(disk: Arc<Disk>) -> io::Result<Self> {
        let path = disk.temporary_path()?;
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok(Self { disk, temporary: TemporaryFile { path }, file, size: 0 })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Flushes the bytes and moves the file to its final path. The blob is still uncommitted.
    pub(super) fn finish(self) -> io::Result<Arc<Blob>> {
        self.file.sync_all()?;
        let id = BlobId::random()?;
        let path = self.disk.blob_path(id);
        fs::rename(&self.temporary.path, &path)?;
        let blob = Blob::uncommitted(Arc::clone(&self.disk), id, self.size);
        sync_parent(&path)?;
        Ok(blob)
    }
}
