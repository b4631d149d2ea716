//! The manifest of a backup, and the keys of a backup's objects.

use chrono::{DateTime, Datelike as _, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::objects::ManifestObjects;
use crate::db::DatabaseName;

/// Prefix of all backups in the platform's bucket.
pub(super) const PREFIX: &str = "backups/";
pub(super) const DUMP_EXTENSION: &str = ".dump";
pub(super) const MANIFEST_EXTENSION: &str = ".json";
/// The schema of end-user login in a project's database.
const AUTH_SCHEMA: &str = "auth";

/// The description of a dump, stored next to the dump as JSON. It is sufficient to restore the dump without the
/// platform database. Unknown fields are ignored, so that later versions can add fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupManifest {
    /// `platform` or `project:<id>`.
    pub target: String,
    /// The project's name when the backup was created.
    #[serde(default)]
    pub title: Option<String>,
    pub created_at: DateTime<Utc>,
    /// Size of the stored dump, in bytes.
    pub size_bytes: u64,
    /// Whether the dump is in the age format.
    #[serde(default)]
    pub encrypted: bool,
    /// SHA-256 of the dump as it is stored, in hexadecimal.
    pub sha256: String,
    /// Version of the Postgres server that was dumped, for example `15.14`.
    pub server_version: String,
    /// Version of `pg_dump`.
    #[serde(default)]
    pub dump_version: Option<String>,
    #[serde(default)]
    pub atlashub_version: Option<String>,
    /// Id of the master key that decrypts the sealed values in a dump of the platform.
    #[serde(default)]
    pub master_key_id: Option<String>,
    #[serde(default)]
    pub run_id: Option<String>,
    /// Number of rows of every table in the dumped snapshot.
    #[serde(default)]
    pub tables: Vec<ManifestTable>,
    /// The objects of the project. `None` if the backup does not include objects.
    #[serde(default)]
    pub objects: Option<ManifestObjects>,
}

/// A table of the dump, and its number of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestTable {
    pub schema: String,
    pub table: String,
    pub rows: u64,
}

impl BackupManifest {
    /// Returns the number of rows of the owner's tables, without those of end-user login.
    pub(super) fn row_count(&self) -> i64 {
        let own = self.tables.iter().filter(|table| is_own_schema(&table.schema));
        let sum = own.fold(0_u64, |sum, table| sum.saturating_add(table.rows));
        i64::try_from(sum).unwrap_or(i64::MAX)
    }

    /// Checks the manifest and returns the database of the backup.
    ///
    /// # Errors
    /// Returns a message that describes the invalid field.
    pub fn check(&self) -> Result<DatabaseName, String> {
        let target = self.target.parse::<DatabaseName>().map_err(|error| error.to_string())?;
        if !is_sha256(&self.sha256) {
            return Err("`sha256` is not 64 lowercase hexadecimal digits".to_owned());
        }
        if self.objects.as_ref().is_some_and(|objects| !is_sha256(&objects.sha256)) {
            return Err("`objects.sha256` is not 64 lowercase hexadecimal digits".to_owned());
        }
        if i64::try_from(self.size_bytes).is_err() {
            return Err("`sizeBytes` is out of range".to_owned());
        }
        // The catalogue can't store such a title or time.
        if self.title.as_ref().is_some_and(|title| title.contains('\0')) {
            return Err("`title` contains the character U+0000".to_owned());
        }
        if !(0..=9999).contains(&self.created_at.year()) {
            return Err("`createdAt` is out of range".to_owned());
        }
        Ok(target)
    }
}

/// Returns whether tables of this schema are the owner's. The others are those of end-user login, which are not
/// counted.
pub(super) fn is_own_schema(schema: &str) -> bool {
    schema != AUTH_SCHEMA
}

/// Returns the id of the backup whose dump has this object key. The id depends only on the key, so a rebuilt catalogue
/// contains the same ids.
pub fn backup_id(object_key: &str) -> Uuid {
    let digest: [u8; 32] = Sha256::digest(object_key.as_bytes()).into();
    let mut bytes = [0_u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Returns the key of the dump that belongs to a manifest, or `None` if the key is not that of a manifest.
pub(super) fn object_key_of(manifest_key: &str) -> Option<String> {
    let stem = manifest_key.strip_prefix(PREFIX).and(manifest_key.strip_suffix(MANIFEST_EXTENSION))?;
    Some(format!("{stem}{DUMP_EXTENSION}"))
}

/// Returns the key of the manifest that belongs to a dump, or `None` if the key is not that of a dump.
pub(super) fn manifest_key_of(object_key: &str) -> Option<String> {
    let stem = object_key.strip_prefix(PREFIX).and(object_key.strip_suffix(DUMP_EXTENSION))?;
    Some(format!("{stem}{MANIFEST_EXTENSION}"))
}

/// Returns whether these are the keys of a dump and of its manifest.
pub(super) fn belong_together(object_key: &str, manifest_key: &str) -> bool {
    object_key_of(manifest_key).as_deref() == Some(object_key)
}

/// Returns the file name for a download, for example `project-x-T-run.dump` for `backups/project/x/T-run.dump`.
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
    fn manifest_and_dump_keys_differ_only_in_their_extension() {
        assert_eq!(object_key_of("backups/platform/a.json").as_deref(), Some("backups/platform/a.dump"));
        assert!(belong_together("backups/platform/a.dump", "backups/platform/a.json"));
        for (object, manifest) in [
            ("backups/platform/a.dump", "backups/platform/b.json"),
            ("logs/a.dump", "logs/a.json"),
            ("backups/platform/a.json", "backups/platform/a.json"),
        ] {
            assert!(!belong_together(object, manifest), "{object} {manifest}");
        }
        assert_eq!(file_name("backups/project/abcdefgh/x.dump"), "project-abcdefgh-x.dump");
    }

    #[test]
    fn rows_of_end_user_login_are_not_counted() {
        let table = |schema, rows| serde_json::json!({ "schema": schema, "table": "users", "rows": rows });
        let manifest: BackupManifest = serde_json::from_value(serde_json::json!({
            "target": "project:abcdefgh", "createdAt": "2026-03-01T10:00:00Z", "sizeBytes": 1, "sha256": "",
            "serverVersion": "15.14", "tables": [table("auth", 4), table("public", 2), table("app", 1)],
        }))
        .unwrap();
        assert_eq!(manifest.row_count(), 3);
    }

    #[test]
    fn backup_id_depends_only_on_the_key() {
        assert_eq!(backup_id("backups/a.dump"), backup_id("backups/a.dump"));
        assert_ne!(backup_id("backups/a.dump"), backup_id("backups/b.dump"));
    }
}
