//! Removes the files of incomplete backups that are not in the catalogue:
//! - dumps without a manifest, and unfinished uploads, which killed runs left behind;
//! - manifests without a dump;
//! - lists of objects, and names of their copies, without a manifest.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    manifest::{PREFIX, object_key_of},
    objects::dump_key_of_extra,
    queries,
};
use crate::{
    error::ApiResult,
    object_store::{ObjectStore, PLATFORM_BUCKET, StoreError, UnfinishedUpload},
};

const PAGE_SIZE: i32 = 1000;
/// Minimum age of a file that is removed. Younger files may belong to a backup that is being created.
const MIN_AGE: TimeDelta = TimeDelta::days(1);
/// Length of a run id as text.
const RUN_ID_LENGTH: usize = 36;

/// Number and total size of the removed files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IncompleteReport {
    pub removed: u64,
    pub freed_bytes: u64,
}

/// Removes incomplete backups older than a day. Safe to call at any time, and on several nodes at once.
///
/// # Errors
/// Fails if the store or the platform database is unavailable.
pub async fn remove_incomplete(platform: &PgPool, store: &ObjectStore) -> ApiResult<IncompleteReport> {
    remove_incomplete_below(platform, store, PREFIX, Utc::now() - MIN_AGE).await
}

/// Removes incomplete backups below `prefix` that were last modified before `before`.
///
/// Keeps the files of active runs, because some stores count the age of a large object from the start of its upload.
/// Also keeps the files of backups in the catalogue, because a missing dump or manifest may return. Only the owner
/// deletes such a backup.
///
/// # Errors
/// Fails if the store or the platform database is unavailable.
pub async fn remove_incomplete_below(
    platform: &PgPool,
    store: &ObjectStore,
    prefix: &str,
    before: DateTime<Utc>,
) -> ApiResult<IncompleteReport> {
    abort_uploads(platform, store, prefix, before).await?;
    let incomplete = list_incomplete(store, prefix, before).await?;
    let mut report = IncompleteReport::default();
    if incomplete.is_empty() {
        return Ok(report);
    }
    // Read after the bucket was listed, so that backups completed in between are included.
    let catalogued = queries::catalogue_keys(platform).await?;
    let catalogued: HashSet<&str> = catalogued.iter().map(|row| row.object_key.as_str()).collect();
    let running = running(platform).await?;
    for (key, size) in incomplete {
        let dump = dump_key_of_extra(&key).or_else(|| object_key_of(&key));
        if catalogued.contains(dump.as_deref().unwrap_or(&key))
            || run_of(&key).is_some_and(|run| running.contains(&run))
        {
            continue;
        }
        store.delete(PLATFORM_BUCKET, &key).await?;
        tracing::info!(key, bytes = size, "removed a file of an incomplete backup");
        report.removed += 1;
        report.freed_bytes += size.unsigned_abs();
    }
    Ok(report)
}

async fn running(platform: &PgPool) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar("SELECT id FROM cron_job_runs WHERE status = 'running'").fetch_all(platform).await
}

/// Aborts unfinished uploads below `prefix` that began before `before`, except those of active runs.
async fn abort_uploads(platform: &PgPool, store: &ObjectStore, prefix: &str, before: DateTime<Utc>) -> ApiResult<()> {
    let mut position = None;
    loop {
        let page = match store.list_uploads(PLATFORM_BUCKET, position).await {
            Err(StoreError::NotSupported { .. } | StoreError::NotFound { .. }) => return Ok(()),
            page => page?,
        };
        let is_old = |upload: &UnfinishedUpload| {
            upload.key.starts_with(prefix) && upload.created_at.is_some_and(|created_at| created_at < before)
        };
        let old: Vec<UnfinishedUpload> = page.uploads.into_iter().filter(is_old).collect();
        let running = if old.is_empty() { Vec::new() } else { running(platform).await? };
        for upload in old {
            if run_of(&upload.key).is_none_or(|run| !running.contains(&run)) {
                store.abort_multipart(PLATFORM_BUCKET, &upload.key, &upload.upload_id).await?;
                tracing::info!(key = upload.key, "aborted the unfinished upload of a backup");
            }
        }
        position = page.next;
        if position.is_none() {
            return Ok(());
        }
    }
}

/// Returns the keys and the sizes in bytes of files of incomplete backups that were last modified before `before`.
async fn list_incomplete(store: &ObjectStore, prefix: &str, before: DateTime<Utc>) -> ApiResult<Vec<(String, i64)>> {
    // Key, size and whether the object is old enough, by the key of the dump.
    let (mut dumps, mut manifests) = (BTreeMap::new(), BTreeMap::new());
    // Lists of objects and names of their copies, each with the key of the dump.
    let mut extra: Vec<(String, (String, i64, bool))> = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let page = match store.list_page(PLATFORM_BUCKET, prefix, PAGE_SIZE, token.as_deref()).await {
            Err(error) if error.is_not_found() => return Ok(Vec::new()),
            page => page?,
        };
        for object in page.objects {
            let old = object.last_modified.is_some_and(|at| at < before);
            if let Some(dump) = dump_key_of_extra(&object.key) {
                extra.push((dump, (object.key, object.size, old)));
                continue;
            }
            match object_key_of(&object.key) {
                Some(dump) => manifests.insert(dump, (object.key, object.size, old)),
                None => dumps.insert(object.key.clone(), (object.key, object.size, old)),
            };
        }
        token = page.next;
        if token.is_none() {
            break;
        }
    }
    // Files with other extensions are not dumps and stay.
    let lone_dumps =
        dumps.iter().filter(|(dump, _)| is_dump(dump) && !manifests.contains_key(*dump)).map(|(_, object)| object);
    let lone_manifests = manifests.iter().filter(|(dump, _)| !dumps.contains_key(*dump)).map(|(_, object)| object);
    let lone_extra = extra.iter().filter(|(dump, _)| !manifests.contains_key(dump)).map(|(_, object)| object);
    let old = lone_dumps.chain(lone_manifests).chain(lone_extra).filter(|(_, _, old)| *old);
    Ok(old.map(|(key, size, _)| (key.clone(), *size)).collect())
}

fn is_dump(key: &str) -> bool {
    key.ends_with(".dump")
}

/// Parses the run id of a key. The plugin `backup` names objects `…-<run id>.dump`.
fn run_of(key: &str) -> Option<Uuid> {
    let (stem, _) = key.rsplit_once('.')?;
    stem.get(stem.len().checked_sub(RUN_ID_LENGTH)?..)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_id_is_parsed_from_keys_of_the_backup_plugin() {
        let run = Uuid::now_v7();
        assert_eq!(run_of(&format!("backups/platform/20260102T030405Z-{run}.dump")), Some(run));
        assert_eq!(run_of(&format!("backups/platform/20260102T030405Z-{run}.json")), Some(run));
        for other in ["backups/platform/by-hand.dump", "x.dump", "", "backups/ü.dump"] {
            assert_eq!(run_of(other), None, "{other}");
        }
    }
}
