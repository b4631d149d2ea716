//! Durable file operations. Everything here blocks.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

/// Creates a file that must not exist yet, and flushes it to disk.
pub(super) fn create_synced(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Creates or overwrites a file, and flushes it to disk.
pub(super) fn overwrite_synced(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Makes renames, creations and removals in `dir` durable.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    // On Windows a folder cannot be opened as a file, and the file system orders these changes itself.
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

/// Makes renames, creations and removals in the folder of `path` durable.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), sync_dir)
}

pub(super) fn remove_file_if_exists(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Creates a folder and returns whether it was missing.
pub(super) fn create_dir_if_missing(path: &Path) -> io::Result<bool> {
    match private_dir_builder().create(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Creates the 256 subfolders `00` to `ff` of `dir` where they are missing, durably.
pub(super) fn create_shards(dir: &Path) -> io::Result<()> {
    let mut is_changed = false;
    for shard in 0..=u8::MAX {
        is_changed |= create_dir_if_missing(&dir.join(hex::encode([shard])))?;
    }
    if is_changed { sync_dir(dir) } else { Ok(()) }
}

/// Returns a builder for folders that only their owner can read.
pub(super) fn private_dir_builder() -> DirBuilder {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// Returns 128 random bits.
pub(super) fn random_bytes() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

/// Returns 128 random bits as 32 hex digits.
pub(super) fn random_name() -> io::Result<String> {
    Ok(hex::encode(random_bytes()?))
}
