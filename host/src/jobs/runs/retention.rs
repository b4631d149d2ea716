//! What is kept of runs that ended, and for how long. Each call does a bounded piece of work.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::error::ApiResult;
use crate::jobs::{
    JobsState, PLATFORM_BUCKET,
    queries::{self, RemovedRun},
};

const BATCH: i64 = 500;
/// Keys of one page of the object store.
const PAGE: i32 = 1000;
/// What one call may take that finds nothing to remove.
const LONGEST_SEARCH: Duration = Duration::from_secs(30);
/// A log this young may belong to a run that is being written.
const YOUNG: TimeDelta = TimeDelta::hours(1);

/// What one call removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetentionReport {
    pub removed: u64,
    /// In the object store.
    pub freed_bytes: u64,
    /// Call again: there is more.
    pub more: bool,
}

impl JobsState {
    /// Removes runs that ended so many days ago, with their logs; the newest of each job stays, and the newest that was
    /// not skipped.
    pub async fn remove_old_runs(&self, days: u32) -> ApiResult<RetentionReport> {
        let days = i32::try_from(days).unwrap_or(i32::MAX).min(365_000);
        let removed = queries::remove_old_runs(&self.platform, days, BATCH).await?;
        Ok(self.remove_logs(&removed).await)
    }

    /// Removes the oldest runs of jobs that have more than `keep` of them, with their logs; skipped ones count apart.
    pub async fn remove_surplus_runs(&self, keep: u32) -> ApiResult<RetentionReport> {
        let removed = queries::remove_surplus_runs(&self.platform, i64::from(keep.max(1)), BATCH).await?;
        Ok(self.remove_logs(&removed).await)
    }

    /// Removes logs whose run is gone: of the first page of what the store has that holds any, going on from where the
    /// last call stopped.
    pub async fn remove_orphan_logs(&self) -> ApiResult<RetentionReport> {
        let mut cursor = self.orphan_cursor.lock().await;
        self.remove_orphan_logs_below("logs/", Utc::now() - YOUNG, PAGE, &mut cursor).await
    }

    /// The same for logs whose keys begin so, and that were written before a moment, in pages of so many. `cursor` says
    /// where to go on.
    pub async fn remove_orphan_logs_below(
        &self,
        prefix: &str,
        before: DateTime<Utc>,
        page_keys: i32,
        cursor: &mut Option<String>,
    ) -> ApiResult<RetentionReport> {
        let begun = Instant::now();
        loop {
            let report = self.remove_orphan_logs_of_page(prefix, before, page_keys, cursor).await?;
            // Whoever calls takes a call that removed nothing for the end.
            if report.removed > 0 || !report.more || begun.elapsed() >= LONGEST_SEARCH {
                return Ok(report);
            }
        }
    }

    async fn remove_orphan_logs_of_page(
        &self,
        prefix: &str,
        before: DateTime<Utc>,
        page_keys: i32,
        cursor: &mut Option<String>,
    ) -> ApiResult<RetentionReport> {
        let page = match self.store.list_page(PLATFORM_BUCKET, prefix, page_keys, cursor.as_deref()).await {
            Err(error) if error.is_not_found() => return Ok(RetentionReport::default()),
            page => page?,
        };
        let logs: Vec<(Uuid, &str, i64)> = page
            .objects
            .iter()
            .filter(|object| object.last_modified.is_none_or(|at| at < before))
            .filter_map(|object| Some((run_of(&object.key)?, object.key.as_str(), object.size)))
            .collect();
        let ids: Vec<Uuid> = logs.iter().map(|(id, ..)| *id).collect();
        let existing = queries::existing_runs(&self.platform, &ids).await?;
        let mut report = RetentionReport { more: page.next.is_some(), ..RetentionReport::default() };
        for (_, key, size) in logs.iter().filter(|(id, ..)| !existing.contains(id)) {
            self.store.delete(PLATFORM_BUCKET, key).await?;
            report.removed += 1;
            report.freed_bytes += size.unsigned_abs();
        }
        *cursor = page.next;
        Ok(report)
    }

    /// What the configuration says is kept, applied to the end.
    pub(in crate::jobs) async fn apply_retention(&self) -> ApiResult<()> {
        let mut removed = 0;
        loop {
            let old = self.remove_old_runs(self.config.run_retention_days).await?;
            let surplus = self.remove_surplus_runs(self.config.run_retention_per_job).await?;
            removed += old.removed + surplus.removed;
            if !old.more && !surplus.more {
                break;
            }
        }
        if removed > 0 {
            tracing::info!(removed, "old runs were removed");
        }
        Ok(())
    }

    /// Logs that can't be removed now are orphans, which their own sweep finds.
    async fn remove_logs(&self, removed: &[RemovedRun]) -> RetentionReport {
        let mut report =
            RetentionReport { removed: removed.len() as u64, freed_bytes: 0, more: removed.len() as i64 == BATCH };
        for run in removed {
            let Some(key) = &run.log_object_key else { continue };
            match self.store.delete(PLATFORM_BUCKET, key).await {
                Ok(()) => report.freed_bytes += run.log_bytes.unsigned_abs(),
                Err(error) => tracing::warn!(key, %error, "the log of an old run could not be removed yet"),
            }
        }
        report
    }
}

/// `logs/<job>/<run>.ndjson`.
fn run_of(key: &str) -> Option<Uuid> {
    key.strip_suffix(".ndjson")?.rsplit('/').next()?.parse().ok()
}
