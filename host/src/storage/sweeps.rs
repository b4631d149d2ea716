//! The clean-up in bounded pieces, as the plugins' `maintenance` asks for it.

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

/// One piece of a sweep. Safe at any time and on several nodes at once.
pub async fn sweep(state: &StorageState, what: StorageSweep) -> ApiResult<SweepReport> {
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
    let mut report = SweepReport::default();
    let mut moved = false;
    let outcomes: Vec<Outcome> = stream::iter(files)
        .map(|file| cleanup::compare(state, file))
        .buffer_unordered(PARALLEL)
        .try_collect()
        .await?;
    for outcome in outcomes {
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
    // Rows that can't be looked at would come again and again.
    report.more = full && moved;
    if what == StorageSweep::ExpiredUploads && !report.more {
        report.removed += cleanup::abort_stale_uploads(state).await?;
        let begun_before = cleanup::multipart_limit();
        match state.store.abort_uploads(PLATFORM_BUCKET, Some(begun_before)).await {
            Ok(aborted) => report.removed += aborted,
            Err(StoreError::NotSupported { .. } | StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(report)
}
