//! The folder on disk: layout, lock, and the few ways in which it is ever changed.
//!
//! ```text
//! lock, format          one owner at a time; layout version
//! tmp/                  everything unfinished; emptied on open
//! blobs/xx/<id>         immutable bytes, named by a random id
//! buckets/<bucket>/     bucket.json, xx/<sha256(key)>.json
//! uploads/<id>/         upload.json, part-00001.json …
//! quarantine/           metadata that could not be read, for a human
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use super::OpenError;
use super::blob::BlobId;

const FORMAT: &str = "1\n";

/// An opened and locked folder.
#[derive(Debug)]
pub(crate) struct Disk {
    root: PathBuf,
    reaper: mpsc::Sender<BlobId>,
    /// Held for its lock, which the system releases when the process dies.
    lock: File,
}

/// Why a commit failed, and whether it may have happened all the same.
#[derive(Debug)]
pub(crate) enum CommitError {
    /// Nothing changed.
    NotDone(io::Error),
    /// The change is visible but may not survive a power cut.
    Unsure(io::Error),
}

impl Drop for Disk {
    /// Closing the file would do, were it not for programs that are just being started: until its `exec`, a new process
    /// has the open file too, and the lock with it.
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

impl Disk {
    /// Creates what is missing and takes the lock. Blocking.
    pub(crate) fn open(root: &Path) -> Result<Self, OpenError> {
        let at = |source| OpenError::Io { path: root.to_owned(), source };
        private_dir_builder().recursive(true).create(root).map_err(at)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(root.join("lock")).map_err(at)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::InUse { path: root.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(at(source)),
        }
        check_format(root)?;
        for folder in ["tmp", "blobs", "buckets", "uploads", "quarantine"] {
            create_dir_if_missing(&root.join(folder)).map_err(at)?;
        }
        create_shards(&root.join("blobs")).map_err(at)?;
        sync_dir(root).map_err(at)?;
        let reaper = start_reaper(root).map_err(at)?;
        Ok(Self { root: root.to_owned(), reaper, lock })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn blob_path(&self, id: BlobId) -> PathBuf {
        blob_path(&self.root, id)
    }

    pub(crate) fn blobs_dir(&self) -> PathBuf {
        self.root.join("blobs")
    }

    pub(crate) fn buckets_dir(&self) -> PathBuf {
        self.root.join("buckets")
    }

    pub(crate) fn bucket_dir(&self, bucket: &str) -> PathBuf {
        self.buckets_dir().join(bucket)
    }

    pub(crate) fn uploads_dir(&self) -> PathBuf {
        self.root.join("uploads")
    }

    pub(crate) fn upload_dir(&self, upload_id: &str) -> PathBuf {
        self.uploads_dir().join(upload_id)
    }

    pub(crate) fn tmp_dir(&self) -> PathBuf {
        self.root.join("tmp")
    }

    pub(crate) fn quarantine_dir(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    /// A path that nobody else uses.
    pub(crate) fn temporary_path(&self) -> io::Result<PathBuf> {
        Ok(self.tmp_dir().join(random_name()?))
    }

    /// Removes a blob soon, on a thread of its own: unlinking gigabytes takes a while.
    pub(crate) fn discard_blob(&self, id: BlobId) {
        if self.reaper.send(id).is_err() {
            tracing::warn!(blob = %id, "blob stays until the store is opened again: the reaper is gone");
        }
    }

    /// Replaces `dir/name` in one step that survives a crash. Blocking.
    pub(crate) fn commit_file(&self, dir: &Path, name: &str, content: &[u8]) -> Result<(), CommitError> {
        let temporary = self.temporary_path().map_err(CommitError::NotDone)?;
        let written = write_synced(&temporary, content).and_then(|()| fs::rename(&temporary, dir.join(name)));
        if let Err(error) = written {
            // Best effort: the next open empties the folder anyway.
            let _ = fs::remove_file(&temporary);
            return Err(CommitError::NotDone(error));
        }
        sync_dir(dir).map_err(CommitError::Unsure)
    }

    /// Takes a whole folder out of `parent` in one step, then deletes it at leisure. Blocking.
    pub(crate) fn remove_dir(&self, parent: &Path, name: &str) -> Result<(), CommitError> {
        let temporary = self.temporary_path().map_err(CommitError::NotDone)?;
        fs::rename(parent.join(name), &temporary).map_err(CommitError::NotDone)?;
        sync_dir(parent).map_err(CommitError::Unsure)?;
        if let Err(error) = fs::remove_dir_all(&temporary) {
            tracing::warn!(%error, path = %temporary.display(), "removed folder stays until the next start");
        }
        Ok(())
    }
}

fn start_reaper(root: &Path) -> io::Result<mpsc::Sender<BlobId>> {
    let (sender, doomed) = mpsc::channel();
    let root = root.to_owned();
    std::thread::Builder::new().name("s3-reaper".to_owned()).spawn(move || {
        while let Ok(id) = doomed.recv() {
            if let Err(error) = remove_file_if_exists(&blob_path(&root, id)) {
                tracing::warn!(%error, blob = %id, "blob stays until the next start");
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

fn check_format(root: &Path) -> Result<(), OpenError> {
    let path = root.join("format");
    let at = |source| OpenError::Io { path: path.clone(), source };
    match fs::read_to_string(&path) {
        Ok(found) if found == FORMAT => Ok(()),
        // An empty file is a first start that was cut short.
        Ok(found) if found.is_empty() => write_synced_over(&path, FORMAT.as_bytes()).map_err(at),
        Ok(found) => Err(OpenError::Format { path, found: found.trim().to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            write_synced_over(&path, FORMAT.as_bytes()).map_err(at)
        }
        Err(error) => Err(at(error)),
    }
}

/// Makes the 256 folders `00` to `ff` below `dir`, and makes them last.
pub(crate) fn create_shards(dir: &Path) -> io::Result<()> {
    let mut created = false;
    for shard in 0..=u8::MAX {
        created |= create_dir_if_missing(&dir.join(hex::encode([shard])))?;
    }
    if created { sync_dir(dir) } else { Ok(()) }
}

/// Says whether the folder was made by this call.
fn create_dir_if_missing(path: &Path) -> io::Result<bool> {
    match private_dir_builder().create(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

pub(crate) fn private_dir_builder() -> DirBuilder {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// Creates a file that must not exist yet and flushes it.
pub(crate) fn write_synced(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn write_synced_over(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Makes renames, creations and removals in `dir` last.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    // Elsewhere a folder can't be opened like a file, and the file system orders these itself.
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

pub(crate) fn remove_file_if_exists(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// 128 random bits.
pub(crate) fn random_bytes() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

/// 128 random bits as 32 hex digits.
pub(crate) fn random_name() -> io::Result<String> {
    Ok(hex::encode(random_bytes()?))
}
