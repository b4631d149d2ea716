//! The full sweep of all ready projects: moves uploads that have arrived to their paths, compares the records that
//! [`queries::files_to_check`] returns with the store, and aborts abandoned multipart uploads. A background task calls
//! it.

use chrono::Utc;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{
    super::state::StorageState,
    compare::{MAX_CONCURRENT, Outcome, compare_file},
    queries::{self, FileCursor},
    settle::settle_all_projects,
    stale_uploads::abort_stale_uploads,
};
use crate::error::ApiResult;

/// Records per query.
const BATCH_SIZE: i64 = 500;

/// Result of a full sweep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FullSweepReport {
    /// Records compared with the store.
    pub checked: u64,
    /// Uploads newly confirmed, because their object exists.
    pub confirmed: u64,
    /// Objects removed because they were larger than their upload was signed for.
    pub oversize_removed: u64,
    /// Records removed because their object does not exist and can no longer arrive.
    pub records_removed: u64,
    /// Multipart uploads aborted because they were abandoned.
    pub uploads_aborted: u64,
    /// Objects uploaded without the secret key that were moved to their path.
    pub uploads_moved: u64,
}

/// Runs a full sweep of all ready projects. May run at any time and on several nodes at once.
///
/// # Errors
/// Fails if the store or the platform database is unavailable, and then stops. The next sweep compares the remaining
/// records.
pub async fn sweep_all_projects(state: &StorageState) -> ApiResult<FullSweepReport> {
    let settled = settle_all_projects(state).await?;
    let mut report = FullSweepReport {
        uploads_moved: settled.moved,
        oversize_removed: settled.oversize,
        ..FullSweepReport::default()
    };
    let mut after = FileCursor::default();
    loop {
        let batch = queries::files_to_check(&state.platform, &after, BATCH_SIZE).await?;
        let Some(last) = batch.last() else { break };
        after =
            FileCursor { project_id: last.project_id.clone(), bucket: last.bucket.clone(), path: last.path.clone() };
        let outcomes: Vec<Outcome> = stream::iter(batch)
            .map(|file| compare_file(state, file))
            .buffer_unordered(MAX_CONCURRENT)
            .try_collect()
            .await?;
        for outcome in outcomes {
            report.checked += 1;
            match outcome {
                Outcome::Unchanged | Outcome::InvalidRecord => {}
                Outcome::Confirmed => report.confirmed += 1,
                Outcome::OversizeRemoved { .. } => report.oversize_removed += 1,
                Outcome::RecordRemoved => report.records_removed += 1,
            }
        }
    }
    report.uploads_aborted = abort_stale_uploads(state, Utc::now()).await?;
    if report != (FullSweepReport { checked: report.checked, ..FullSweepReport::default() }) {
        tracing::info!(?report, "swept the storage of all projects");
    }
    Ok(report)
}
