//! Blobs: immutable files of bytes, and who may still need them.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::disk::{self, Disk};

/// Random name of a blob.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct BlobId(#[serde(with = "hex::serde")] [u8; 16]);

impl BlobId {
    pub(crate) fn random() -> io::Result<Self> {
        disk::random_bytes().map(Self)
    }

    /// Reads a file name; `None` if it is not one of ours.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(name, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// A blob on disk, held by the index and by everyone who is reading it.
///
/// The file goes when the last holder lets go of a blob that was never kept or was condemned,
/// so an overwrite never pulls the file from under a reader.
#[derive(Debug)]
pub(crate) struct Blob {
    disk: Arc<Disk>,
    pub id: BlobId,
    pub size: u64,
    kept: AtomicBool,
}

impl Blob {
    /// A blob that committed metadata refers to.
    pub(crate) fn committed(disk: Arc<Disk>, id: BlobId, size: u64) -> Arc<Self> {
        Arc::new(Self { disk, id, size, kept: AtomicBool::new(true) })
    }

    fn uncommitted(disk: Arc<Disk>, id: BlobId, size: u64) -> Arc<Self> {
        Arc::new(Self { disk, id, size, kept: AtomicBool::new(false) })
    }

    /// Metadata on disk refers to it now.
    pub(crate) fn keep(&self) {
        self.kept.store(true, Ordering::Release);
    }

    /// No metadata on disk refers to it any more, and that will last.
    pub(crate) fn condemn(&self) {
        self.kept.store(false, Ordering::Release);
    }

    pub(crate) fn open(&self) -> io::Result<File> {
        File::open(self.disk.blob_path(self.id))
    }

    /// A second blob with the same bytes: a hard link where the file system has them. Blocking.
    pub(crate) fn duplicate(&self) -> io::Result<Arc<Self>> {
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
        if !*self.kept.get_mut() {
            self.disk.discard_blob(self.id);
        }
    }
}

/// Removes its file when dropped; a file that was renamed away is no longer there to remove.
struct TemporaryFile {
    path: PathBuf,
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        // Best effort: the next open empties the folder anyway.
        let _ = fs::remove_file(&self.path);
    }
}

/// A blob being written. Dropped before [`BlobWriter::finish`], it leaves nothing. Blocking.
pub(crate) struct BlobWriter {
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

    /// Flushes the bytes and gives them their name. The blob vanishes again unless it is kept.
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

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), disk::sync_dir)
}
