//! The storage folder: its layout, its lock, and the atomic changes that the store makes to it.
//!
//! ```text
//! lock, format          one owner at a time; layout version
//! tmp/                  unfinished files; emptied on open
//! blobs/xx/<id>         immutable bytes, named by a random ID
//! buckets/<bucket>/     bucket.json, xx/<sha256(key)>.json
//! uploads/<id>/         upload.json, part-00001.json …
//! quarantine/           metadata that could not be read, to be inspected by the operator
//! ```

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use serde::{Deserialize, Serialize};

use super::error::{CommitError, OpenError};
use super::files::{
    create_dir_if_missing, create_shards, create_synced, overwrite_synced, private_dir_builder, random_bytes,
    random_name, remove_file_if_exists, sync_dir,
};

/// Layout version and content of the file `format`.
const FORMAT: &str = "1\n";

/// Random name of a blob.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct BlobId(#[serde(with = "hex::serde")] [u8; 16]);

impl BlobId {
    pub(super) fn random() -> io::Result<Self> {
        random_bytes().map(Self)
    }

    /// Parses a file name. Returns `None` if it is not the name of a blob.
    pub(super) fn parse(name: &str) -> Option<Self> {
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

/// An opened and locked storage folder.
#[derive(Debug)]
pub(super) struct Disk {
    root: PathBuf,
    /// Sends the IDs of blobs to the thread that deletes the blobs.
    discarded: mpsc::Sender<BlobId>,
    /// Kept open for its lock, which the operating system releases when the process dies.
    lock: File,
}

impl Drop for Disk {
    /// Unlocks explicitly. Closing the file is not enough if this process is starting another program at the same time:
    /// until its `exec`, the new process shares the open file and the lock.
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

impl Disk {
    /// Creates missing files and folders in the storage folder, and locks it. Blocks.
    pub(super) fn open(root: &Path) -> Result<Self, OpenError> {
        let at_root = |source| OpenError::Io { path: root.to_owned(), source };
        private_dir_builder().recursive(true).create(root).map_err(at_root)?;
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).open(root.join("lock")).map_err(at_root)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse { path: root.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(at_root(source)),
        }
        check_format(root)?;
        for folder in ["tmp", "blobs", "buckets", "uploads", "quarantine"] {
            create_dir_if_missing(&root.join(folder)).map_err(at_root)?;
        }
        create_shards(&root.join("blobs")).map_err(at_root)?;
        sync_dir(root).map_err(at_root)?;
        let discarded = start_blob_remover(root).map_err(at_root)?;
        Ok(Self { root: root.to_owned(), discarded, lock })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn blob_path(&self, id: BlobId) -> PathBuf {
        blob_path(&self.root, id)
    }

    pub(super) fn blobs_dir(&self) -> PathBuf {
        self.root.join("blobs")
    }

    pub(super) fn buckets_dir(&self) -> PathBuf {
        self.root.join("buckets")
    }

    pub(super) fn bucket_dir(&self, bucket: &str) -> PathBuf {
        self.buckets_dir().join(bucket)
    }

    pub(super) fn uploads_dir(&self) -> PathBuf {
        self.root.join("uploads")
    }

    pub(super) fn upload_dir(&self, upload_id: &str) -> PathBuf {
        self.uploads_dir().join(upload_id)
    }

    pub(super) fn tmp_dir(&self) -> PathBuf {
        self.root.join("tmp")
    }

    pub(super) fn quarantine_dir(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    /// Returns an unused path in `tmp/`.
    pub(super) fn temporary_path(&self) -> io::Result<PathBuf> {
        Ok(self.tmp_dir().join(random_name()?))
    }

    /// Removes a blob in the background, because unlinking gigabytes takes a while.
    pub(super) fn discard_blob(&self, id: BlobId) {
        if self.discarded.send(id).is_err() {
            tracing::warn!(blob = %id, "the blob remover has stopped; the blob is removed at the next start");
        }
    }

    /// Creates or replaces `dir/name` atomically and durably. Blocks.
    pub(super) fn commit_file(&self, dir: &Path, name: &str, content: &[u8]) -> Result<(), CommitError> {
        let temporary = self.temporary_path().map_err(CommitError::NotCommitted)?;
        let written = create_synced(&temporary, content).and_then(|()| fs::rename(&temporary, dir.join(name)));
        if let Err(error) = written {
            // An error is ignored, because `tmp/` is emptied on the next open.
            let _ = fs::remove_file(&temporary);
            return Err(CommitError::NotCommitted(error));
        }
        sync_dir(dir).map_err(CommitError::NotDurable)
    }

    /// Removes the folder `parent/name` atomically and durably, then deletes its files. Blocks.
    pub(super) fn remove_dir(&self, parent: &Path, name: &str) -> Result<(), CommitError> {
        let temporary = self.temporary_path().map_err(CommitError::NotCommitted)?;
        fs::rename(parent.join(name), &temporary).map_err(CommitError::NotCommitted)?;
        sync_dir(parent).map_err(CommitError::NotDurable)?;
        if let Err(error) = fs::remove_dir_all(&temporary) {
            let path = temporary.display();
            tracing::warn!(%error, %path, "could not delete a folder; it is deleted at the next start");
        }
        Ok(())
    }
}

/// Starts the thread that deletes discarded blobs. It ends when the sender is dropped.
fn start_blob_remover(root: &Path) -> io::Result<mpsc::Sender<BlobId>> {
    let (sender, discarded) = mpsc::channel();
    let root = root.to_owned();
    std::thread::Builder::new().name("s3-blob-remover".to_owned()).spawn(move || {
        while let Ok(id) = discarded.recv() {
            if let Err(error) = remove_file_if_exists(&blob_path(&root, id)) {
                tracing::warn!(%error, blob = %id, "could not remove a blob; it is removed at the next start");
            }
        }
    })?;
    Ok(sender)
}

fn blob_path(root: &Path, id: BlobId) -> PathBuf {
    let name = id.to_string();
    let mut path = root.join("blobs");
    path.push(name.get(..2).unwrap_or_default());
    path.push(name);
    path
}

/// Checks the layout version, or writes it if the folder is new.
fn check_format(root: &Path) -> Result<(), OpenError> {
    let path = root.join("format");
    let at_path = |source| OpenError::Io { path: path.clone(), source };
    match fs::read_to_string(&path) {
        Ok(content) if content == FORMAT => Ok(()),
        // The file is empty if the first start was interrupted.
        Ok(content) if content.is_empty() => overwrite_synced(&path, FORMAT.as_bytes()).map_err(at_path),
        Ok(content) => Err(OpenError::Format { path, version: content.trim().to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            overwrite_synced(&path, FORMAT.as_bytes()).map_err(at_path)
        }
        Err(error) => Err(at_path(error)),
    }
}
