use std::{collections::BTreeMap, fs, io};

use chrono::{DateTime, Utc};

use super::{PluginFolder, read::read_regular};
use crate::plugins::trust::PluginKey;

const MAX_KEYS: usize = 100;
const MAX_KEY_BYTES: u64 = 4 << 10;

/// A key that a file in `trusted-keys/` proposes. Trusts nothing until the owner does.
#[derive(Debug, Clone)]
pub struct ProposedKey {
    /// The file's name without `.pub`.
    pub name: String,
    pub key: PluginKey,
    /// When the file was written.
    pub at: DateTime<Utc>,
}

/// Keys in `trusted-keys/*.pub` by id. What is no key is left out, with a word in the log.
pub fn proposed_keys(folder: &PluginFolder) -> io::Result<BTreeMap<String, ProposedKey>> {
    let mut keys = BTreeMap::new();
    let entries = match fs::read_dir(folder.keys()) {
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
        let text =
            read_regular(&entry.path(), MAX_KEY_BYTES).ok().flatten().and_then(|text| String::from_utf8(text).ok());
        let Some(key) = text.and_then(|text| PluginKey::parse(&text).ok()) else {
            tracing::debug!(file, "a file in trusted-keys is no minisign public key");
            continue;
        };
        let at = entry.metadata().and_then(|metadata| metadata.modified()).map_or_else(|_| Utc::now(), Into::into);
        let name: String = name.chars().take(120).collect();
        keys.entry(key.id().to_owned()).or_insert(ProposedKey { name, key, at });
    }
    Ok(keys)
}
