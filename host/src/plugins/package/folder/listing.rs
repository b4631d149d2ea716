//! The plugin folder: its path, and the list of the files in it.

use std::{
    collections::BTreeMap,
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Maximum number of plugins listed. Further files are ignored.
const MAX_PLUGINS: usize = 200;
const COMPONENT_SUFFIX: &str = ".wasm";
const SIGNATURE_SUFFIX: &str = ".wasm.minisig";

/// The folder that plugins are loaded from. A missing folder counts as empty.
#[derive(Debug, Clone)]
pub struct PluginFolder {
    path: PathBuf,
    max_file_bytes: u64,
}

/// Identifies a file's state without reading its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// The files of one plugin in the folder. Either may be missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FolderEntry {
    pub component: Option<FileStamp>,
    pub signature: Option<FileStamp>,
}

impl PluginFolder {
    /// Creates a handle to the folder at `path`. `max_file_bytes` is the maximum size of a component.
    pub fn new(path: impl Into<PathBuf>, max_file_bytes: usize) -> Self {
        Self { path: path.into(), max_file_bytes: max_file_bytes as u64 }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn max_file_bytes(&self) -> u64 {
        self.max_file_bytes
    }

    pub(in crate::plugins) fn component_path(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}{COMPONENT_SUFFIX}"))
    }

    pub(super) fn signature_path(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}{SIGNATURE_SUFFIX}"))
    }

    /// Returns the folder of the `*.pub` files that propose keys.
    pub(super) fn keys_path(&self) -> PathBuf {
        self.path.join("trusted-keys")
    }

    /// Lists the components and signatures by plugin name. Ignores hidden files, which programs create while they copy,
    /// and files whose names contain deceptive characters (see [`plugin_manifest::is_deceptive`]).
    ///
    /// # Errors
    /// Returns an error if the folder exists but can't be read.
    pub fn list(&self) -> io::Result<BTreeMap<String, FolderEntry>> {
        let mut plugins = BTreeMap::<String, FolderEntry>::new();
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(plugins),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let Ok(file) = entry.file_name().into_string() else { continue };
            let is_signature = file.ends_with(SIGNATURE_SUFFIX);
            let name = file.strip_suffix(SIGNATURE_SUFFIX).or_else(|| file.strip_suffix(COMPONENT_SUFFIX));
            let Some(name) = name.filter(|name| !name.is_empty() && !name.starts_with('.')) else { continue };
            if name.chars().any(plugin_manifest::is_deceptive) {
                tracing::debug!(file = %file.escape_debug(), "ignored a plugin file with a deceptive name");
                continue;
            }
            if plugins.len() >= MAX_PLUGINS && !plugins.contains_key(name) {
                continue;
            }
            // Fails if the file was removed since the folder was read.
            let Ok(metadata) = entry.metadata() else { continue };
            let plugin = plugins.entry(name.to_owned()).or_default();
            let stamp = Some(FileStamp::of(&metadata));
            if is_signature {
                plugin.signature = stamp;
            } else {
                plugin.component = stamp;
            }
        }
        Ok(plugins)
    }

    /// Returns device and inode of the folder, or `None` if it does not exist.
    pub(super) fn identity(&self) -> Option<(u64, u64)> {
        fs::metadata(&self.path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
    }
}

impl FileStamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_and_signatures_are_paired_by_name() {
        let root = tempfile::tempdir().unwrap();
        let folder = PluginFolder::new(root.path(), 1 << 20);
        for file in ["a.wasm", "a.wasm.minisig", "b.wasm", "c.wasm.minisig", ".d.wasm", ".wasm", "notes.txt"] {
            fs::write(root.path().join(file), file).unwrap();
        }
        let plugins = folder.list().unwrap();
        let files: Vec<_> = plugins
            .iter()
            .map(|(name, entry)| (name.as_str(), entry.component.is_some(), entry.signature.is_some()))
            .collect();
        assert_eq!(files, [("a", true, true), ("b", true, false), ("c", false, true)]);
        fs::write(root.path().join("a.wasm"), "changed").unwrap();
        assert_ne!(folder.list().unwrap()["a"], plugins["a"]);
        assert_eq!(PluginFolder::new("/nonexistent/plugins", 1 << 20).list().unwrap(), BTreeMap::new());
    }
}
