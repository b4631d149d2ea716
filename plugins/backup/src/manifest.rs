//! What lies beside a dump, so that it can be understood and restored when nothing else is left.

use atlashub_plugin_sdk::{
    backups::Facts,
    databases::{DumpInfo, TableRows},
    objects::ObjectMeta,
    prelude::*,
};

use crate::time;

/// Grows a number when a reader of the old form would misread the new one.
pub(crate) const FORMAT: &str = "atlashub-backup/1";

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BackupManifest {
    format: &'static str,
    /// `platform` or `project:<id>`.
    target: String,
    /// The project's name at that time.
    title: Option<String>,
    /// RFC 3339, of the dump's beginning.
    created_at: String,
    run_id: String,
    atlashub_version: String,
    /// Opens what is sealed in a dump of the platform.
    master_key_id: String,
    server_version: String,
    /// Of `pg_dump`; a `pg_restore` of this version or a later one reads the archive.
    dump_version: String,
    object_key: String,
    size_bytes: u64,
    /// Hexadecimal.
    sha256: String,
    /// From the snapshot that was dumped.
    tables: Vec<Table>,
}

#[derive(Debug, Serialize)]
struct Table {
    schema: String,
    table: String,
    rows: u64,
}

/// What a manifest is made of beside what the platform and the dump tell.
pub(crate) struct Subject<'a> {
    pub(crate) target: &'a str,
    pub(crate) title: Option<&'a str>,
    pub(crate) created_at: u64,
    pub(crate) run_id: &'a str,
    pub(crate) sha256: &'a str,
}

impl BackupManifest {
    pub(crate) fn new(subject: &Subject<'_>, facts: Facts, info: DumpInfo, object: &ObjectMeta) -> Self {
        let table = |TableRows { schema, table, rows }| Table { schema, table, rows };
        Self {
            format: FORMAT,
            target: subject.target.to_owned(),
            title: subject.title.map(str::to_owned),
            created_at: time::rfc3339(subject.created_at),
            run_id: subject.run_id.to_owned(),
            atlashub_version: facts.atlashub_version,
            master_key_id: facts.master_key_id,
            server_version: info.server_version,
            dump_version: info.dump_version,
            object_key: object.key.clone(),
            size_bytes: object.size_bytes,
            sha256: subject.sha256.to_owned(),
            tables: info.tables.into_iter().map(table).collect(),
        }
    }
}
