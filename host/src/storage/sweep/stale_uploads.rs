use chrono::{DateTime, Duration, Utc};

use super::{
    super::{state::StorageState, upload::MULTIPART_LIFETIME},
    compare::store_bucket,
    queries,
};
use crate::{
    error::ApiResult,
    object_store::{PLATFORM_BUCKET, StoreError},
};

/// Aborts multipart uploads in every project's bucket whose URLs have expired. Returns their number.
pub(super) async fn abort_stale_project_uploads(state: &StorageState) -> ApiResult<u64> {
    let mut aborted = 0;
    for project_id in queries::ready_project_ids(&state.platform).await? {
        aborted += abort_stale_uploads(state, &store_bucket(&project_id)).await?;
    }
    Ok(aborted)
}

/// Aborts abandoned multipart uploads in the platform's own bucket. Returns their number.
pub(super) async fn abort_stale_platform_uploads(state: &StorageState) -> ApiResult<u64> {
    abort_stale_uploads(state, PLATFORM_BUCKET).await
}

async fn abort_stale_uploads(state: &StorageState, bucket: &str) -> ApiResult<u64> {
    match state.store.abort_uploads(bucket, Some(stale_before())).await {
        Ok(aborted) => Ok(aborted),
        Err(StoreError::NotSupported { .. } | StoreError::NotFound { .. }) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// Uploads that were created before this time are abandoned.
fn stale_before() -> DateTime<Utc> {
    Utc::now() - Duration::seconds(MULTIPART_LIFETIME.as_secs() as i64) - Duration::hours(1)
}
