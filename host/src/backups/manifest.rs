use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::db::DatabaseName;

/// All backups are below this in the platform's own bucket.
pub(super) const PREFIX: &str = "backups/";
const DUMP: &str = ".dump";
const MANIFEST: &str = ".json";

/// What stands beside a dump, as JSON: enough to know what it is, and what restoring it needs, without a platform
/// database. What a later version adds is passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupManifest {
    /// `platform` or `project:<id>`.
    pub target: String,
    /// The project's name at that time.
    #[serde(default)]
    pub title: Option<String>,
    pub created_at: DateTime<Utc>,
    /// Bytes of the dump.
    pub size_bytes: u64,
    /// Of the dump; hexadecimal.
    pub sha256: String,
    /// Of Postgres, for example `15.14`.
    pub server_version: String,
    /// Of `pg_dump`.
    #[serde(default)]
    pub dump_version: Option<String>,
    #[serde(default)]
    pub atlashub_version: Option<String>,
    /// Names the master key that opens what is sealed in a dump of the platform.
    #[serde(default)]
    pub master_key_id: Option<String>,
    #[serde(default)]
    pub run_id: Option<String>,
    /// Rows of every table, from the snapshot that was dumped.
    #[serde(default)]
    pub tables: Vec<ManifestTable>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestTable {
    pub schema: String,
    pub table: String,
    pub rows: u64,
}

impl BackupManifest {
    /// What is wrong with what was read, in words; else the database that it is of.
    pub fn check(&self) -> Result<DatabaseName, String> {
        let target = self.target.parse::<DatabaseName>().map_err(|error| error.to_string())?;
        if !is_sha256(&self.sha256) {
            return Err("`sha256` is not 64 hexadecimal digits".to_owned());
        }
        if i64::try_from(self.size_bytes).is_err() {
            return Err("`sizeBytes` is out of range".to_owned());
        }
        Ok(target)
    }
}

/// The id of the backup with this object key: the same wherever the catalogue is made.
pub fn backup_id(object_key: &str) -> Uuid {
    let digest: [u8; 32] = Sha256::digest(object_key.as_bytes()).into();
    let mut bytes = [0_u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The key of the dump that a manifest stands beside; none where the key is no manifest's.
pub(super) fn object_key_of(manifest_key: &str) -> Option<String> {
    let stem = manifest_key.strip_prefix(PREFIX).and(manifest_key.strip_suffix(MANIFEST))?;
    Some(format!("{stem}{DUMP}"))
}

/// Whether these are keys of a dump and of the manifest beside it.
pub(super) fn are_beside(object_key: &str, manifest_key: &str) -> bool {
    object_key_of(manifest_key).as_deref() == Some(object_key)
}

/// What browsers save a dump as: `backups/project/x/T-run.dump` → `project-x-T-run.dump`.
pub(super) fn file_name(object_key: &str) -> String {
    let name = object_key.strip_prefix(PREFIX).unwrap_or(object_key);
    name.chars()
        .map(|character| if character.is_ascii_alphanumeric() || ".-_".contains(character) { character } else { '-' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_stands_beside_its_dump() {
        assert_eq!(object_key_of("backups/platform/a.json").as_deref(), Some("backups/platform/a.dump"));
        assert!(are_beside("backups/platform/a.dump", "backups/platform/a.json"));
        for (object, manifest) in [
            ("backups/platform/a.dump", "backups/platform/b.json"),
            ("logs/a.dump", "logs/a.json"),
            ("backups/platform/a.json", "backups/platform/a.json"),
        ] {
            assert!(!are_beside(object, manifest), "{object} {manifest}");
        }
        assert_eq!(file_name("backups/project/abcdefgh/x.dump"), "project-abcdefgh-x.dump");
    }

    #[test]
    fn ids_depend_on_the_key_alone() {
        assert_eq!(backup_id("backups/a.dump"), backup_id("backups/a.dump"));
        assert_ne!(backup_id("backups/a.dump"), backup_id("backups/b.dump"));
    }
}
