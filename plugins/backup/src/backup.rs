//! The backup of one database.

use atlashub_plugin_sdk::{
    backups::{self, NewBackup},
    clock,
    databases::{self, DumpOptions},
    objects,
    prelude::*,
};

use crate::{
    layout::{self, Keys},
    manifest::{BackupManifest, Subject},
};

/// A backup that is in the catalogue.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Backup {
    id: String,
    pub(crate) target: String,
    object_key: String,
    pub(crate) size_bytes: u64,
    sha256: String,
    duration_ms: u64,
    tables: usize,
    rows: u64,
}

/// Dumps a database, stores it with its manifest, and records it. Where a step fails, nothing of it stays.
pub(crate) async fn back_up(run: &Run, target: &str, title: Option<&str>, compression: Option<u8>) -> Result<Backup> {
    let (created_at, begun) = (clock::now(), clock::monotonic());
    let keys = layout::keys(target, created_at, &run.id);
    let dump = databases::dump(target, DumpOptions { compression }).await?;
    let upload = objects::put(layout::STORE, &keys.dump, layout::DUMP_TYPE, dump.archive).await?;
    // The stream's end alone doesn't say that the dump was whole.
    let info = dump.outcome.wait().await?;
    let object = upload.commit().await?;
    let finished = async {
        let sha256 =
            object.sha256.clone().ok_or_else(|| Error::failed("the store told no digest of what it stored"))?;
        let (tables, rows) = (info.tables.len(), info.tables.iter().map(|table| table.rows).sum());
        let subject = Subject { target, title, created_at, run_id: &run.id, sha256: &sha256 };
        let manifest = BackupManifest::new(&subject, backups::describe(), info, &object);
        let manifest = serde_json::to_vec_pretty(&manifest)?;
        objects::put_bytes(layout::STORE, &keys.manifest, layout::MANIFEST_TYPE, manifest).await?;
        let new = NewBackup {
            target: target.to_owned(),
            object_key: keys.dump.clone(),
            manifest_key: keys.manifest.clone(),
            size_bytes: object.size_bytes,
            sha256: sha256.clone(),
            created_at,
        };
        let id = backups::record(new).await?;
        let duration_ms = u64::try_from(clock::monotonic().saturating_sub(begun).as_millis())?;
        Ok(Backup {
            id,
            target: target.to_owned(),
            object_key: keys.dump.clone(),
            size_bytes: object.size_bytes,
            sha256,
            duration_ms,
            tables,
            rows,
        })
    };
    match finished.await {
        Ok(backup) => {
            info!("Backed up {target}"; bytes = backup.size_bytes, tables = backup.tables, rows = backup.rows, duration_ms = backup.duration_ms);
            Ok(backup)
        }
        Err(error) => {
            remove_remains(&keys).await;
            Err(error)
        }
    }
}

/// What is in the store and in no catalogue would stay there for ever. The manifest goes first: a dump without one is not taken for
/// a backup.
async fn remove_remains(keys: &Keys) {
    for key in [&keys.manifest, &keys.dump] {
        if let Err(error) = objects::delete(layout::STORE, key).await {
            warn!("{key} could not be removed: {error}");
        }
    }
}
