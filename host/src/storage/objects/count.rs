//! Counts the objects under a prefix.

use std::time::{Duration, Instant};

use api_types::{CountObjects, ObjectCount};

use super::super::{
    access::StorageAccess,
    open_uploads,
    path::{self, BucketName},
};
use crate::error::{ApiError, ApiResult};

/// Objects per list request to the store.
const PAGE_SIZE: i32 = 1000;
/// Time after which no further page is counted. This is shorter than the time limit of the admin surface.
const MAX_TIME: Duration = Duration::from_secs(8);

/// Counts the objects of the bucket in the request's path whose paths start with a prefix.
///
/// # Errors
/// Returns 400 for an invalid bucket name or prefix, and 404 if the bucket does not exist.
pub(crate) async fn count_objects(access: &StorageAccess, request: CountObjects) -> ApiResult<ObjectCount> {
    let started = Instant::now();
    let bucket = access.resolve_bucket(None)?.ok_or_else(|| ApiError::not_found("bucket"))?;
    let bucket = BucketName::parse(bucket)?;
    let path_prefix = request.prefix.unwrap_or_default();
    let prefix = path::list_prefix(&bucket, &path_prefix)?;
    access.require_bucket(bucket.as_str()).await?;
    let (state, store_bucket) = (&access.state, access.store_bucket());
    let is_settled = open_uploads::settle_bucket(state, &access.project.id, bucket.as_str(), &path_prefix).await?;
    let mut count = ObjectCount { prefix: path_prefix, object_count: 0, object_bytes: 0, complete: is_settled };
    let mut token = None;
    loop {
        let page = state.store.list_page(&store_bucket, &prefix, PAGE_SIZE, token.as_deref()).await?;
        count.object_count += page.objects.len() as i64;
        count.object_bytes += page.objects.iter().map(|object| object.size).sum::<i64>();
        token = page.next;
        if token.is_none() {
            return Ok(count);
        }
        if started.elapsed() > MAX_TIME {
            count.complete = false;
            return Ok(count);
        }
    }
}
