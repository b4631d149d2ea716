//! The clean-up in bounded pieces, as the plugins' `maintenance` asks for it.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{
    StorageState,
    cleanup::{self, Outcome, PARALLEL},
    settle::UPLOAD_GRACE,
    sweep_queries,
};
use crate::{
    error::ApiResult,
    object_store::{PLATFORM_BUCKET, StoreError},
};

/// Rows compared in one piece.
const PIECE: i64 = 200;
/// Objects that nobody asks for are looked at so seldom, since each costs a question to the store.
const UNCHECKED_DAYS: i32 = 30;

/// A call that only looks, and finds nothing to remove, ends by then.
const LONGEST: Duration = Duration::from_secs(20);

/// What to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageSweep {
    /// Signed uploads that were never used, and parts of abandoned ones.
    ExpiredUploads,
    /// Objects larger than their URL allowed.
    OversizeUploads,
    /// Metadata without an object.
    OrphanMetadata,
}

/// What one piece did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Things removed.
    pub removed: u64,
    /// Bytes freed in storage, where known.
    pub freed_bytes: u64,
    /// There is more to do.
    pub more: bool,
}

/// One call: pieces until something was removed, there is no more, or it took long. `more` means that something was
/// removed and there may be more; what could only be looked at waits for the next sweep. Safe at any time and on several
/// nodes at once.
pub async fn sweep(state: &StorageState, what: StorageSweep) -> ApiResult<SweepReport> {
    let begun = Instant::now();
    let mut report = SweepReport::default();
    loop {
        let full = piece(state, what, &mut report).await?;
        if !full {
            break;
        }
        if report.removed > 0 {
            report.more = true;
            return Ok(report);
        }
        if begun.elapsed() > LONGEST {
            return Ok(report);
        }
    }
    if what == StorageSweep::ExpiredUploads {
        report.removed += cleanup::abort_stale_uploads(state).await?;
        match state.store.abort_uploads(PLATFORM_BUCKET, Some(cleanup::multipart_limit())).await {
            Ok(aborted) => report.removed += aborted,
            Err(StoreError::NotSupported { .. } | StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(report)
}

/// Compares some records with the store; false where these were the last.
async fn piece(state: &StorageState, what: StorageSweep, report: &mut SweepReport) -> ApiResult<bool> {
    let files = match what {
        StorageSweep::ExpiredUploads => {
            sweep_queries::expired_uploads(&state.platform, UPLOAD_GRACE.num_seconds(), PIECE).await?
        }
        StorageSweep::OversizeUploads => sweep_queries::replaceable_objects(&state.platform, PIECE).await?,
        StorageSweep::OrphanMetadata => {
            sweep_queries::unchecked_objects(&state.platform, UNCHECKED_DAYS, PIECE).await?
        }
    };
    let full = files.len() as i64 == PIECE;
    let mut moved = false;
    let mut outcomes = stream::iter(files).map(|file| cleanup::compare(state, file)).buffer_unordered(PARALLEL);
    while let Some(outcome) = outcomes.try_next().await? {
        moved |= outcome != Outcome::Impossible;
        match outcome {
            Outcome::OversizeRemoved { bytes } => {
                report.removed += 1;
                report.freed_bytes += bytes;
            }
            Outcome::RecordRemoved => report.removed += 1,
            Outcome::Unchanged | Outcome::Confirmed | Outcome::Impossible => {}
        }
    }
    // Records that can't be looked at would come again and again.
    Ok(full && moved)
}
