//! The manifest that is stored next to each dump. It describes the dump even if the platform database is lost.

use atlashub_plugin_sdk::{
    backups::{CopiedObjects, Facts},
    databases::{DumpInfo, TableRows},
    date::DateTime,
    objects::ObjectMeta,
    prelude::*,
};

/// Format of the manifest. The number increases when readers of the previous format would misread the new one.
pub(crate) const FORMAT: &str = "atlashub-backup/1";

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BackupManifest {
    format: &'static str,
    /// `platform` or `project:<id>`.
    target: String,
    /// The project's name at the time of the backup. Null for the platform.
    title: Option<String>,
    /// When the dump started, in RFC 3339.
    created_at: String,
    run_id: String,
    atlashub_version: String,
    /// Id of the master key that decrypts the encrypted values in a dump of the platform.
    master_key_id: String,
    server_version: String,
    /// Version of `pg_dump`. `pg_restore` of this version or later can read the archive.
    dump_version: String,
    object_key: String,
    /// Whether the dump is in the age format.
    encrypted: bool,
    size_bytes: u64,
    /// SHA-256 of the dump as it is stored, hexadecimal.
    sha256: String,
    /// Row counts from the same snapshot as the dump.
    tables: Vec<Table>,
    /// The objects of the project. Omitted if they are not part of the backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    objects: Option<Objects>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Objects {
    count: u64,
    size_bytes: u64,
    /// SHA-256 of the list of the objects as it is stored, hexadecimal.
    sha256: String,
}

#[derive(Debug, Serialize)]
struct Table {
    schema: String,
    table: String,
    rows: u64,
}

/// The origin of a dump: the database, the time and the run; and the hash of the dump.
pub(crate) struct Source<'a> {
    pub(crate) target: &'a str,
    pub(crate) title: Option<&'a str>,
    pub(crate) created_at: u64,
    pub(crate) run_id: &'a str,
    pub(crate) sha256: &'a str,
}

impl BackupManifest {
    pub(crate) fn new(
        source: &Source<'_>,
        facts: Facts,
        info: DumpInfo,
        object: &ObjectMeta,
        copied: Option<&CopiedObjects>,
    ) -> Self {
        let table = |TableRows { schema, table, rows }| Table { schema, table, rows };
        Self {
            format: FORMAT,
            target: source.target.to_owned(),
            title: source.title.map(str::to_owned),
            created_at: DateTime::from_millis(source.created_at).to_string(),
            run_id: source.run_id.to_owned(),
            atlashub_version: facts.atlashub_version,
            master_key_id: facts.master_key_id,
            server_version: info.server_version,
            dump_version: info.dump_version,
            object_key: object.key.clone(),
            encrypted: info.encrypted,
            size_bytes: object.size_bytes,
            sha256: source.sha256.to_owned(),
            tables: info.tables.into_iter().map(table).collect(),
            objects: copied.map(|copied| Objects {
                count: copied.count,
                size_bytes: copied.size_bytes,
                sha256: copied.list_sha256.clone(),
            }),
        }
    }
}
