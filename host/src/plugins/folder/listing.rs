use std::{
    collections::BTreeMap,
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// More files than anyone's plugins; the rest are left alone.
const MAX_PLUGINS: usize = 200;
const COMPONENT: &str = ".wasm";
const SIGNATURE: &str = ".wasm.minisig";

/// `ATLASHUB_PLUGIN_DIR`. May be missing: there are no plugins in it then.
#[derive(Debug, Clone)]
pub struct PluginFolder {
    path: PathBuf,
}

/// Tells one state of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// A component and its signature, as far as they are there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pair {
    pub component: Option<FileStamp>,
    pub signature: Option<FileStamp>,
}

impl PluginFolder {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn component(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}{COMPONENT}"))
    }

    pub(super) fn signature(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}{SIGNATURE}"))
    }

    /// Holds `*.pub`, which propose keys.
    pub(super) fn keys(&self) -> PathBuf {
        self.path.join("trusted-keys")
    }

    /// What is there, by plugin; empty where the folder is missing. Hidden files, as copying programs make them on
    /// the way, don't count.
    pub fn list(&self) -> io::Result<BTreeMap<String, Pair>> {
        let mut pairs = BTreeMap::<String, Pair>::new();
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(pairs),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let Ok(file) = entry.file_name().into_string() else { continue };
            let is_signature = file.ends_with(SIGNATURE);
            let name = file.strip_suffix(SIGNATURE).or_else(|| file.strip_suffix(COMPONENT));
            let Some(name) = name.filter(|name| !name.is_empty() && !name.starts_with('.')) else { continue };
            if pairs.len() >= MAX_PLUGINS && !pairs.contains_key(name) {
                continue;
            }
            // Gone again since the folder was read: as if it had never been there.
            let Ok(metadata) = entry.metadata() else { continue };
            let pair = pairs.entry(name.to_owned()).or_default();
            let stamp = Some(FileStamp::of(&metadata));
            if is_signature {
                pair.signature = stamp;
            } else {
                pair.component = stamp;
            }
        }
        Ok(pairs)
    }

    /// Which folder is behind the path now; None where there is none.
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
        let folder = PluginFolder::new(root.path());
        for file in ["a.wasm", "a.wasm.minisig", "b.wasm", "c.wasm.minisig", ".d.wasm", ".wasm", "notes.txt"] {
            fs::write(root.path().join(file), file).unwrap();
        }
        let pairs = folder.list().unwrap();
        let found: Vec<_> = pairs
            .iter()
            .map(|(name, pair)| (name.as_str(), pair.component.is_some(), pair.signature.is_some()))
            .collect();
        assert_eq!(found, [("a", true, true), ("b", true, false), ("c", false, true)]);
        fs::write(root.path().join("a.wasm"), "changed").unwrap();
        assert_ne!(folder.list().unwrap()["a"], pairs["a"]);
        assert_eq!(PluginFolder::new("/nonexistent/plugins").list().unwrap(), BTreeMap::new());
    }
}
