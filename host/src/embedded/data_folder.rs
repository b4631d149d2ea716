//! The data folder: created at the first start, locked by one process at a time.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::EmbeddedError;

const REMEDY: &str =
    "start as the owner of the folder, or set ATLASHUB_DATA_DIR to a folder that this user can write to";

/// The absolute path of `ATLASHUB_DATA_DIR`. Contents: `lock`, `secrets/`, `postgres/`, `postgres.log`,
/// `postgres.log.1`, `postgres.lock`, `postgres-port`, `postgres-programs/` (downloaded), `objects/`, `store-address`,
/// and by default `plugins/`.
#[derive(Debug, Clone)]
pub struct DataFolder {
    path: PathBuf,
}

/// A lock on the data folder. Released on drop and when the process ends.
#[derive(Debug)]
pub struct DataFolderLock {
    file: File,
}

impl Drop for DataFolderLock {
    /// Unlocks explicitly. Closing the file is not enough: a child process that has not reached its `exec` still has
    /// the file open, and would keep the lock.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

impl DataFolder {
    /// Creates the folder if it is missing. If the umask allows it, every user may traverse a new folder, because
    /// Postgres may have to run as another user. The secrets and the data in it are private.
    ///
    /// # Errors
    /// Fails if the folder can't be created or its absolute path can't be determined.
    pub fn create(path: &Path) -> Result<Self, EmbeddedError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(path)
            .and_then(|()| fs::canonicalize(path))
            .map(|path| Self { path })
            .map_err(EmbeddedError::path(path, REMEDY))
    }

    /// Returns the absolute path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of a file or folder in the data folder.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Locks the folder. The kernel releases the lock when the process ends, even after a crash.
    ///
    /// # Errors
    /// Fails if another process has locked the folder; the message contains its process id, if that is known. Also
    /// fails if the lock file can't be opened or locked.
    pub fn lock(&self) -> Result<DataFolderLock, EmbeddedError> {
        let path = self.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(EmbeddedError::path(&path, REMEDY))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(EmbeddedError::InUse { folder: self.path.clone(), pid: self.lock_holder() });
            }
            Err(TryLockError::Error(cause)) => {
                return Err(EmbeddedError::Path {
                    path,
                    cause,
                    remedy: "set ATLASHUB_DATA_DIR to a folder on a local disk",
                });
            }
        }
        // The process id is only for the error above; the lock works without it.
        let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        if let Err(error) = written {
            tracing::warn!(%error, "could not write the process id into the lock file");
        }
        Ok(DataFolderLock { file })
    }

    fn lock_holder(&self) -> Option<u32> {
        fs::read_to_string(self.join("lock")).ok()?.trim().parse().ok()
    }

    /// Creates a folder in the data folder if it is missing, and lets only its owner access it.
    ///
    /// # Errors
    /// Fails if the folder can't be created or its mode can't be set.
    pub fn private_folder(&self, name: &str) -> Result<PathBuf, EmbeddedError> {
        let path = self.join(name);
        let created = DirBuilder::new().recursive(true).mode(0o700).create(&path).and_then(|()| {
            // `DirBuilder` leaves the mode of an existing folder unchanged.
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700))
        });
        created.map_err(EmbeddedError::path(&path, REMEDY))?;
        Ok(path)
    }
}

/// Writes a file of mode 0600 atomically: after a crash, the file has either the old or the new content, never a part.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<(), EmbeddedError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        sync_parent(path)
    };
    write().map_err(EmbeddedError::path(path, REMEDY))
}

/// Flushes a rename to disk, so that it survives a power failure.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_lock_fails_and_names_folder_and_process() {
        let root = tempfile::tempdir().unwrap();
        let folder = DataFolder::create(&root.path().join("data")).unwrap();
        let held = folder.lock().unwrap();
        let refused = folder.lock().unwrap_err().to_string();
        assert!(refused.contains(folder.path().to_str().unwrap()), "{refused}");
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        let inherited = held.file.try_clone().unwrap();
        drop(held);
        folder.lock().expect("a child process does not keep the lock");
        drop(inherited);
    }

    #[test]
    fn private_files_have_mode_0600_and_are_replaced_without_leftovers() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("secret");
        write_private(&path, b"one").unwrap();
        write_private(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }
}
