//! Sweeps records of objects in batches, for the plugin `cleanup`.

use std::time::{Duration, Instant};

use chrono::Utc;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{
    super::state::StorageState,
    compare::{MAX_CONCURRENT, Outcome, compare_file},
    queries,
    settle::settle_all_projects,
    stale_uploads::abort_stale_uploads,
};
use crate::error::ApiResult;

/// Records per batch.
const BATCH_SIZE: i64 = 200;
/// Days after which the record of an object is compared with the store again. The interval is long, because each
/// comparison costs a request to the store.
const UNCHECKED_DAYS: i32 = 30;
/// Time after which a call that has found nothing to remove starts no further batch.
const MAX_SEARCH_TIME: Duration = Duration::from_secs(20);

/// The kind of data that a call of [`sweep`] removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageSweep {
    /// Signed uploads that were never used, and abandoned multipart uploads.
    ExpiredUploads,
    /// Objects larger than their URL allowed.
    OversizeUploads,
    /// Records without an object.
    OrphanMetadata,
}

/// Result of one call of [`sweep`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Objects, records and uploads removed.
    pub removed: u64,
    /// Bytes freed in storage, if known.
    pub freed_bytes: u64,
    /// Whether something was removed and there may be more to remove.
    pub more: bool,
}

/// Whether [`sweep_batch`] should be called again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Done,
    MoreRecords,
}

/// Sweeps batches until something was removed, no records are left, or [`MAX_SEARCH_TIME`] is over. Before that, moves
/// or deletes staged objects, except for [`StorageSweep::OrphanMetadata`]. If no records are left,
/// [`StorageSweep::ExpiredUploads`] also aborts abandoned multipart uploads. May run at any time and on several nodes
/// at once.
///
/// # Errors
/// Fails if the store or the platform database is unavailable.
pub async fn sweep(state: &StorageState, kind: StorageSweep) -> ApiResult<SweepReport> {
    let started = Instant::now();
    let mut report = SweepReport::default();
    if kind != StorageSweep::OrphanMetadata {
        let settled = settle_all_projects(state).await?;
        // A staged object that was moved to its path is deleted, but nothing is lost.
        report.removed += settled.deleted.saturating_sub(settled.moved);
    }
    while sweep_batch(state, kind, &mut report).await? == Progress::MoreRecords {
        if report.removed > 0 {
            report.more = true;
            return Ok(report);
        }
        if started.elapsed() > MAX_SEARCH_TIME {
            return Ok(report);
        }
    }
    if kind == StorageSweep::ExpiredUploads {
        report.removed += abort_stale_uploads(state, Utc::now()).await?;
    }
    Ok(report)
}

/// Compares one batch of records with the store.
async fn sweep_batch(state: &StorageState, kind: StorageSweep, report: &mut SweepReport) -> ApiResult<Progress> {
    let platform = &state.platform;
    let files = match kind {
        StorageSweep::ExpiredUploads => queries::expired_uploads(platform, BATCH_SIZE).await?,
        StorageSweep::OversizeUploads => queries::replaceable_objects(platform, BATCH_SIZE).await?,
        StorageSweep::OrphanMetadata => queries::unchecked_objects(platform, UNCHECKED_DAYS, BATCH_SIZE).await?,
    };
    let is_full = files.len() as i64 == BATCH_SIZE;
    let mut any_valid = false;
    let mut outcomes = stream::iter(files).map(|file| compare_file(state, file)).buffer_unordered(MAX_CONCURRENT);
    while let Some(outcome) = outcomes.try_next().await? {
        any_valid |= outcome != Outcome::InvalidRecord;
        match outcome {
            Outcome::OversizeRemoved { size } => {
                report.removed += 1;
                report.freed_bytes += size;
            }
            Outcome::RecordRemoved => report.removed += 1,
            Outcome::Unchanged | Outcome::Confirmed | Outcome::InvalidRecord => {}
        }
    }
    // Invalid records are not marked as checked. If a batch contains only such records, the next batch would contain
    // the same records.
    Ok(if is_full && any_valid { Progress::MoreRecords } else { Progress::Done })
}
