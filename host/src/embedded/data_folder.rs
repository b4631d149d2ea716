//! The data folder: made at the first start, held by one process at a time.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::EmbeddedError;

const REMEDY: &str =
    "start as the user who owns the folder, or set ATLASHUB_DATA_DIR to a folder that this user may write to";

/// `ATLASHUB_DATA_DIR`, absolute. Layout: `lock`, `secrets/`, `postgres/`, `postgres.log`, `postgres-port`,
/// `postgres-programs/` (downloaded), `objects/`, `store-address`.
#[derive(Debug, Clone)]
pub struct DataFolder {
    path: PathBuf,
}

/// Held for as long as this process works on the folder.
#[derive(Debug)]
pub struct DataFolderLock {
    file: File,
}

impl Drop for DataFolderLock {
    /// Closing the file would do, were it not for programs that are just being started: until its `exec`, a new process
    /// has the open file too, and the lock with it.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

impl DataFolder {
    /// Makes the folder where it is missing. Anyone may pass through it (Postgres may have to run as another
    /// user); what is in it is closed one by one.
    pub fn create(path: &Path) -> Result<Self, EmbeddedError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(path)
            .and_then(|()| fs::canonicalize(path))
            .map(|path| Self { path })
            .map_err(EmbeddedError::path(path, REMEDY))
    }

    /// The folder as an earlier start left it, or none.
    pub fn existing(path: &Path) -> Option<Self> {
        fs::canonicalize(path).ok().filter(|path| path.join("lock").exists()).map(|path| Self { path })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Takes the folder for this process, or says which process has it. The kernel lets go of it when the
    /// process ends, however it ends.
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
                return Err(EmbeddedError::InUse { folder: self.path.clone(), pid: self.holder() });
            }
            Err(TryLockError::Error(cause)) => {
                return Err(EmbeddedError::Path {
                    path,
                    cause,
                    remedy: "set ATLASHUB_DATA_DIR to a folder on a local disk",
                });
            }
        }
        // Only for the message above: a lock without a number in it is a lock all the same.
        let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        if let Err(error) = written {
            tracing::warn!(%error, "the process number could not be written into the lock file");
        }
        Ok(DataFolderLock { file })
    }

    fn holder(&self) -> Option<u32> {
        fs::read_to_string(self.join("lock")).ok()?.trim().parse().ok()
    }

    /// Makes a folder in here that only its owner may look into.
    pub fn private_folder(&self, name: &str) -> Result<PathBuf, EmbeddedError> {
        let path = self.join(name);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path).and_then(|()| {
            // An existing folder keeps its mode otherwise.
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700))
        });
        made.map_err(EmbeddedError::path(&path, REMEDY))?;
        Ok(path)
    }
}

/// Writes a file of mode 0600 so that after a crash there is the old one, the new one, or none: never a part.
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

/// Makes a rename last over a power cut.
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
    fn the_second_lock_is_refused_and_names_folder_and_process() {
        let root = tempfile::tempdir().unwrap();
        let folder = DataFolder::create(&root.path().join("data")).unwrap();
        let held = folder.lock().unwrap();
        let refused = folder.lock().unwrap_err().to_string();
        assert!(refused.contains(folder.path().to_str().unwrap()), "{refused}");
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        let inherited = held.file.try_clone().unwrap();
        drop(held);
        folder.lock().expect("a process that is being started must not keep it");
        drop(inherited);
    }

    #[test]
    fn private_files_are_closed_and_replaced_whole() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("secret");
        write_private(&path, b"one").unwrap();
        write_private(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }
}
