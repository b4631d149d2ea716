//! Reads the keys that files in `trusted-keys/` propose.

use std::{collections::BTreeMap, fs, io};

use chrono::{DateTime, Utc};

use super::{PluginFolder, read::read_regular};
use crate::plugins::package::PluginKey;

const MAX_KEYS: usize = 100;
const MAX_KEY_BYTES: u64 = 4 << 10;
const MAX_NAME_LENGTH: usize = 120;

/// A key that a file in `trusted-keys/` proposes. It is not trusted until the owner adds it.
#[derive(Debug, Clone)]
pub struct ProposedKey {
    /// The file's name without `.pub`.
    pub name: String,
    pub key: PluginKey,
    /// Modification time of the file.
    pub modified_at: DateTime<Utc>,
}

/// Reads the keys in `trusted-keys/*.pub`, by key id. Reads only the first 100 files of the folder, in the order of
/// their names. Logs and skips files that are not public keys. If several files have keys with the same id, the first
/// counts.
///
/// # Errors
/// Returns an error if the folder `trusted-keys` exists but can't be read.
pub fn read_proposed_keys(folder: &PluginFolder) -> io::Result<BTreeMap<String, ProposedKey>> {
    let mut keys = BTreeMap::new();
    let entries = match fs::read_dir(folder.keys_path()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(keys),
        Err(error) => return Err(error),
    };
    let mut files: Vec<_> = entries.flatten().collect();
    files.sort_by_key(fs::DirEntry::file_name);
    for entry in files.into_iter().take(MAX_KEYS) {
        let Ok(file) = entry.file_name().into_string() else { continue };
        let Some(name) = file.strip_suffix(".pub").filter(|name| !name.is_empty() && !name.starts_with('.')) else {
            continue;
        };
        let name = plugin_manifest::escape_deceptive(name);
        let text =
            read_regular(&entry.path(), MAX_KEY_BYTES).ok().flatten().and_then(|text| String::from_utf8(text).ok());
        let Some(key) = text.and_then(|text| PluginKey::parse(&text).ok()) else {
            tracing::debug!(file, "skipped a file in trusted-keys that is not a minisign public key");
            continue;
        };
        let modified_at =
            entry.metadata().and_then(|metadata| metadata.modified()).map_or_else(|_| Utc::now(), Into::into);
        let name: String = name.chars().take(MAX_NAME_LENGTH).collect();
        keys.entry(key.id().to_owned()).or_insert(ProposedKey { name, key, modified_at });
    }
    Ok(keys)
}
