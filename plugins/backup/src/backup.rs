//! Backs up one database.

use atlashub_plugin_sdk::{
    backups::{self, NewBackup},
    clock,
    databases::{self, DumpOptions, TableRows},
    objects,
    prelude::*,
};

use crate::{
    layout::{self, Keys},
    manifest::{BackupManifest, Source},
};

/// The schema of end-user login. Its tables are not the owner's, so neither the catalogue nor the result counts them.
const AUTH_SCHEMA: &str = "auth";

/// A finished backup.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Backup {
    id: String,
    pub(crate) target: String,
    object_key: String,
    pub(crate) size_bytes: u64,
    sha256: String,
    duration_ms: u64,
    /// Number of the owner's tables.
    tables: usize,
    /// Number of rows in the owner's tables.
    rows: u64,
    /// The project's objects, if they are part of the backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    objects: Option<BackedUpObjects>,
}

/// The objects of a project that a backup contains.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BackedUpObjects {
    count: u64,
    size_bytes: u64,
    /// Objects whose content no earlier backup contained.
    copied: u64,
    copied_bytes: u64,
}

/// Whether a backup contains the project's objects in addition to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    DatabaseOnly,
    WithObjects,
}

/// Dumps a database, stores the dump with its manifest, and adds both to the catalogue. If a step fails, the stored
/// files of the backup are removed. Copies of the project's objects stay, and the next backup uses them.
///
/// A project's objects are copied after the dump: apps upload an object before they insert the row that refers to it,
/// so the backup contains the objects of all its rows, unless they were deleted in the meantime.
pub(crate) async fn back_up(
    run: &Run,
    target: &str,
    title: Option<&str>,
    compression: Option<u8>,
    content: Content,
) -> Result<Backup> {
    let (created_at, started) = (clock::now(), clock::monotonic());
    let keys = layout::keys(target, created_at, &run.id);
    let dump = databases::dump(target, DumpOptions { compression }).await?;
    let upload = objects::put(layout::STORE, &keys.dump, layout::DUMP_TYPE, dump.archive).await?;
    // The end of the stream alone does not mean that the dump is complete.
    let info = dump.outcome.wait().await?;
    let object = upload.commit().await?;
    let recorded = async {
        let sha256 = object.sha256.clone().ok_or_else(|| Error::failed("the store returned no hash of the dump"))?;
        let copied = match content {
            Content::WithObjects => Some(backups::copy_objects(target, &keys.manifest).await?),
            Content::DatabaseOnly => None,
        };
        if let Some(copied) = copied.as_ref().filter(|copied| copied.skipped + copied.gone > 0) {
            warn!(
                "Some objects of {target} are not in the backup";
                never_served = copied.skipped,
                deleted_meanwhile = copied.gone,
            );
        }
        let (tables, rows) = count_own(&info.tables);
        let source = Source { target, title, created_at, run_id: &run.id, sha256: &sha256 };
        let manifest = BackupManifest::new(&source, backups::describe(), info, &object, copied.as_ref());
        let manifest = serde_json::to_vec_pretty(&manifest)?;
        objects::put_bytes(layout::STORE, &keys.manifest, layout::MANIFEST_TYPE, manifest).await?;
        let new_backup = NewBackup {
            target: target.to_owned(),
            object_key: keys.dump.clone(),
            manifest_key: keys.manifest.clone(),
            size_bytes: object.size_bytes,
            sha256: sha256.clone(),
            created_at,
        };
        let id = backups::record(new_backup).await?;
        let duration_ms = u64::try_from(clock::monotonic().saturating_sub(started).as_millis())?;
        Ok(Backup {
            id,
            target: target.to_owned(),
            object_key: keys.dump.clone(),
            size_bytes: object.size_bytes,
            sha256,
            duration_ms,
            tables,
            rows,
            objects: copied.map(|copied| BackedUpObjects {
                count: copied.count,
                size_bytes: copied.size_bytes,
                copied: copied.copied,
                copied_bytes: copied.copied_bytes,
            }),
        })
    };
    match recorded.await {
        Ok(backup) => {
            info!(
                "Backed up {target}";
                bytes = backup.size_bytes,
                tables = backup.tables,
                rows = backup.rows,
                duration_ms = backup.duration_ms,
            );
            Ok(backup)
        }
        Err(error) => {
            remove_objects(&keys).await;
            Err(error)
        }
    }
}

/// Returns the numbers of the owner's tables and of their rows.
fn count_own(tables: &[TableRows]) -> (usize, u64) {
    let own = || tables.iter().filter(|table| table.schema != AUTH_SCHEMA);
    (own().count(), own().map(|table| table.rows).sum())
}

/// Removes the stored objects of a backup that could not be recorded. Otherwise, the host would later add a complete
/// backup to the catalogue, and would remove an incomplete backup only after a day.
///
/// The manifest is removed first, because a dump without a manifest does not count as a backup.
async fn remove_objects(keys: &Keys) {
    for key in [&keys.manifest, &keys.list, &keys.names, &keys.dump] {
        if let Err(error) = objects::delete(layout::STORE, key).await {
            warn!("Could not remove {key}: {error}");
        }
    }
}
