//! Measures the free and the total space of file systems.

use std::path::Path;

/// Space of a file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpace {
    /// Identifies the file system.
    pub id: u64,
    /// Space that is free for processes without special rights.
    pub free: u64,
    pub total: u64,
}

impl DiskSpace {
    pub fn free_percent(&self) -> f64 {
        if self.total == 0 { 100.0 } else { self.free as f64 / self.total as f64 * 100.0 }
    }
}

/// Returns the space of a folder's file system. If the folder does not exist, measures its nearest existing ancestor.
///
/// Blocks on a file system that does not respond.
///
/// # Errors
/// Fails if the system does not report the space.
pub fn space_of(folder: &Path) -> anyhow::Result<DiskSpace> {
    let absolute = std::path::absolute(folder)?;
    let existing = absolute.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let stat = nix::sys::statvfs::statvfs(existing)?;
    let unit = stat.fragment_size();
    Ok(DiskSpace { id: stat.filesystem_id(), free: stat.blocks_available() * unit, total: stat.blocks() * unit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_folder_uses_its_ancestors_disk() {
        let folder = tempfile::tempdir().unwrap();
        let space = space_of(&folder.path().join("not/yet")).unwrap();
        assert_eq!(space.id, space_of(folder.path()).unwrap().id);
        assert!(space.total > 0 && space.free <= space.total);
    }
}
