//! Halves of backups, which are in no list: a dump whose run died before its manifest, and a manifest whose dump is gone.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    manifest::{PREFIX, object_key_of},
    queries,
};
use crate::{
    error::ApiResult,
    object_store::{ObjectStore, PLATFORM_BUCKET},
};

const PAGE: i32 = 1000;
/// A younger half may be one of a backup that is being made.
const YOUNG: TimeDelta = TimeDelta::days(1);
/// A run's id as text.
const RUN_ID: usize = 36;

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IncompleteReport {
    pub removed: u64,
    pub freed_bytes: u64,
}

/// Removes the halves that were written more than a day ago. Safe at any time and on several nodes at once.
pub async fn remove_incomplete(platform: &PgPool, store: &ObjectStore) -> ApiResult<IncompleteReport> {
    remove_incomplete_below(platform, store, PREFIX, Utc::now() - YOUNG).await
}

/// The same for those whose keys begin so, and that were written before a moment by the object's own time. What the
/// catalogue names stays, and so does what a run has made that still goes on: a store may count a large object's age
/// from when its upload began.
pub async fn remove_incomplete_below(
    platform: &PgPool,
    store: &ObjectStore,
    prefix: &str,
    before: DateTime<Utc>,
) -> ApiResult<IncompleteReport> {
    let halves = halves(store, prefix, before).await?;
    let mut report = IncompleteReport::default();
    if halves.is_empty() {
        return Ok(report);
    }
    // After the listing, so that what was completed meanwhile is known.
    let catalogued = queries::keys(platform).await?;
    let catalogued: HashSet<&str> = catalogued.iter().map(|(_, object_key, ..)| object_key.as_str()).collect();
    let running: Vec<Uuid> =
        sqlx::query_scalar("SELECT id FROM cron_job_runs WHERE status = 'running'").fetch_all(platform).await?;
    for (key, size) in halves {
        if catalogued.contains(key.as_str()) || run_of(&key).is_some_and(|run| running.contains(&run)) {
            continue;
        }
        store.delete(PLATFORM_BUCKET, &key).await?;
        tracing::info!(key, bytes = size, "half of a backup that was never finished was removed");
        report.removed += 1;
        report.freed_bytes += size.unsigned_abs();
    }
    Ok(report)
}

/// Keys and sizes of dumps without a manifest and of manifests without a dump.
async fn halves(store: &ObjectStore, prefix: &str, before: DateTime<Utc>) -> ApiResult<Vec<(String, i64)>> {
    // Whether each is old enough, under the key of its dump.
    let (mut dumps, mut manifests) = (BTreeMap::new(), BTreeMap::new());
    let mut token: Option<String> = None;
    loop {
        let page = match store.list_page(PLATFORM_BUCKET, prefix, PAGE, token.as_deref()).await {
            Err(error) if error.is_not_found() => return Ok(Vec::new()),
            page => page?,
        };
        for object in page.objects {
            let old = object.last_modified.is_some_and(|at| at < before);
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
    // Other endings are nobody's dump.
    let dump_alone =
        dumps.iter().filter(|(dump, _)| is_dump(dump) && !manifests.contains_key(*dump)).map(|(_, half)| half);
    let manifest_alone = manifests.iter().filter(|(dump, _)| !dumps.contains_key(*dump)).map(|(_, half)| half);
    let old = dump_alone.chain(manifest_alone).filter(|(_, _, old)| *old);
    Ok(old.map(|(key, size, _)| (key.clone(), *size)).collect())
}

fn is_dump(key: &str) -> bool {
    key.ends_with(".dump")
}

/// `…-<run id>.dump`, as the plugin `backup` names them.
fn run_of(key: &str) -> Option<Uuid> {
    let (stem, _) = key.rsplit_once('.')?;
    stem.get(stem.len().checked_sub(RUN_ID)?..)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_its_run() {
        let run = Uuid::now_v7();
        assert_eq!(run_of(&format!("backups/platform/20260102T030405Z-{run}.dump")), Some(run));
        assert_eq!(run_of(&format!("backups/platform/20260102T030405Z-{run}.json")), Some(run));
        for other in ["backups/platform/by-hand.dump", "x.dump", "", "backups/ü.dump"] {
            assert_eq!(run_of(other), None, "{other}");
        }
    }
}
