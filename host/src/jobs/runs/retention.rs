//! Deletes old runs and their logs. Each call of a public method does a bounded amount of work.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::queries::{self, DeletedRun};
use crate::{error::ApiResult, jobs::Runs, object_store::PLATFORM_BUCKET};

/// Maximum number of runs that one statement deletes.
const BATCH_SIZE: i64 = 500;
/// Number of keys per page of the object store.
const PAGE_KEYS: i32 = 1000;
/// Time limit of one call that finds nothing to remove.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(30);
/// Minimum age of a log that is removed as orphaned. A younger log may belong to a run whose row is not visible yet.
const MIN_ORPHAN_AGE: TimeDelta = TimeDelta::hours(1);

/// Result of one call of a method that removes runs or logs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetentionReport {
    /// Number of removed runs or orphaned logs.
    pub removed: u64,
    /// Bytes freed in the object store.
    pub freed_bytes: u64,
    /// Whether more remains. If so, call again.
    pub more: bool,
}

impl Runs {
    /// Removes runs that ended more than `days` days ago, with their logs. Keeps the newest run of each job, and the
    /// newest that was not skipped.
    ///
    /// # Errors
    /// Returns 503 if Postgres can't be reached.
    pub async fn remove_old_runs(&self, days: u32) -> ApiResult<RetentionReport> {
        let days = i32::try_from(days).unwrap_or(i32::MAX).min(365_000);
        let deleted = queries::delete_old_runs(&self.platform, days, BATCH_SIZE).await?;
        Ok(remove_logs(self, &deleted).await)
    }

    /// Removes the oldest ended runs of jobs that have more than `keep` of them, with their logs. Keeps one even if
    /// `keep` is 0. Skipped runs are counted separately.
    ///
    /// # Errors
    /// Returns 503 if Postgres can't be reached.
    pub async fn remove_surplus_runs(&self, keep: u32) -> ApiResult<RetentionReport> {
        let deleted = queries::delete_surplus_runs(&self.platform, i64::from(keep.max(1)), BATCH_SIZE).await?;
        Ok(remove_logs(self, &deleted).await)
    }

    /// Removes logs whose run no longer exists, from the first page of the object store that contains any. Keeps logs
    /// that were written in the last hour. Each call continues where the previous one stopped, or starts from the
    /// beginning after the last page or an error.
    ///
    /// # Errors
    /// Returns 503 if Postgres or the object store can't be reached.
    pub async fn remove_orphan_logs(&self) -> ApiResult<RetentionReport> {
        let mut cursor = self.orphan_cursor.lock().await;
        self.remove_orphan_logs_below("logs/", Utc::now() - MIN_ORPHAN_AGE, PAGE_KEYS, &mut cursor).await
    }

    /// Like [`remove_orphan_logs`](Self::remove_orphan_logs), for keys that start with `prefix` and were written before
    /// `before`. `cursor` is the position in the object store.
    ///
    /// # Errors
    /// Fails like [`remove_orphan_logs`](Self::remove_orphan_logs).
    pub async fn remove_orphan_logs_below(
        &self,
        prefix: &str,
        before: DateTime<Utc>,
        page_keys: i32,
        cursor: &mut Option<String>,
    ) -> ApiResult<RetentionReport> {
        let started_at = Instant::now();
        loop {
            // After an error, the next call starts from the beginning: the store may no longer accept the position.
            let position = cursor.take();
            let page = match self.store.list_page(PLATFORM_BUCKET, prefix, page_keys, position.as_deref()).await {
                Err(error) if error.is_not_found() => return Ok(RetentionReport::default()),
                page => page?,
            };
            let logs: Vec<(Uuid, &str, i64)> = page
                .objects
                .iter()
                .filter(|object| object.last_modified.is_none_or(|at| at < before))
                .filter_map(|object| Some((run_of_key(&object.key)?, object.key.as_str(), object.size)))
                .collect();
            let report = RetentionReport { more: page.next.is_some(), ..remove_orphans(self, &logs).await? };
            *cursor = page.next;
            // Callers stop at a report without removals, so continue while there are more pages.
            if report.removed > 0 || !report.more || started_at.elapsed() >= SEARCH_TIMEOUT {
                return Ok(report);
            }
        }
    }
}

/// Applies the configured retention until nothing remains to be removed.
pub(in crate::jobs) async fn apply_retention(runs: &Runs) -> ApiResult<()> {
    let mut removed = 0;
    loop {
        let old = runs.remove_old_runs(runs.config.run_retention_days).await?;
        let surplus = runs.remove_surplus_runs(runs.config.run_retention_per_job).await?;
        removed += old.removed + surplus.removed;
        if !old.more && !surplus.more {
            break;
        }
    }
    if removed > 0 {
        tracing::info!(removed, "removed old runs");
    }
    Ok(())
}

/// Removes the logs (run, key, size) whose run does not exist.
async fn remove_orphans(runs: &Runs, logs: &[(Uuid, &str, i64)]) -> ApiResult<RetentionReport> {
    let ids: Vec<Uuid> = logs.iter().map(|(id, ..)| *id).collect();
    let existing = queries::existing_runs(&runs.platform, &ids).await?;
    let mut report = RetentionReport::default();
    for (_, key, size) in logs.iter().filter(|(id, ..)| !existing.contains(id)) {
        runs.store.delete(PLATFORM_BUCKET, key).await?;
        report.removed += 1;
        report.freed_bytes += size.unsigned_abs();
    }
    Ok(report)
}

/// Removes the logs of deleted runs. The sweep of orphaned logs later removes logs that can't be removed now.
async fn remove_logs(runs: &Runs, deleted: &[DeletedRun]) -> RetentionReport {
    let mut report =
        RetentionReport { removed: deleted.len() as u64, freed_bytes: 0, more: deleted.len() as i64 == BATCH_SIZE };
    for run in deleted {
        let Some(key) = &run.log_object_key else { continue };
        match runs.store.delete(PLATFORM_BUCKET, key).await {
            Ok(()) => report.freed_bytes += run.log_bytes.unsigned_abs(),
            Err(error) => tracing::warn!(key, %error, "failed to remove the log of an old run; a sweep will retry"),
        }
    }
    report
}

/// Returns the run of a key `logs/<job>/<run>.ndjson`.
fn run_of_key(key: &str) -> Option<Uuid> {
    key.strip_suffix(".ndjson")?.rsplit('/').next()?.parse().ok()
}
