//! Logical buckets: made, changed and removed by the owner.

use api_types::{Bucket, CreateBucket, DeleteBucket, Page, PageQuery, UpdateBucket};

use super::{StorageState, path::BucketName, queries};
use crate::{
    error::{ApiError, ApiResult, Code},
    projects::ProjectRef,
};

/// S3's largest object.
const MAX_OBJECT_BYTES: i64 = 5 << 40;
const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

/// Buckets by name. A page's cursor is its last bucket's name.
pub(super) async fn list_buckets(
    state: &StorageState,
    project: &ProjectRef,
    query: PageQuery,
) -> ApiResult<Page<Bucket>> {
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(ApiError::invalid(format!("`limit` must be from 1 to {MAX_LIMIT}.")));
    }
    let after = query.cursor.unwrap_or_default();
    if !after.is_empty() && BucketName::parse(&after).is_err() {
        return Err(ApiError::new(Code::InvalidCursor, "The cursor is not one of this list."));
    }
    let mut items = queries::list_buckets(&state.platform, &project.id, &after, i64::from(limit) + 1).await?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next_cursor = items.last().filter(|_| more).map(|bucket| bucket.name.clone());
    Ok(Page { items, next_cursor })
}

pub(super) async fn get_bucket(state: &StorageState, project: &ProjectRef, name: &str) -> ApiResult<Bucket> {
    queries::bucket(&state.platform, &project.id, name).await?.ok_or_else(|| ApiError::not_found("bucket"))
}

pub(super) async fn create_bucket(
    state: &StorageState,
    project: &ProjectRef,
    request: CreateBucket,
) -> ApiResult<Bucket> {
    let name = BucketName::parse(&request.name)?;
    let max_object_bytes = check_limit(request.max_object_bytes)?.unwrap_or(state.default_max_object_bytes);
    if !queries::insert_bucket(&state.platform, &project.id, name.as_str(), max_object_bytes).await? {
        return Err(ApiError::new(Code::Conflict, format!("The bucket `{name}` exists."))
            .with_hint("Choose another name, or change the bucket that is there."));
    }
    state.settings.forget(&project.id);
    get_bucket(state, project, name.as_str()).await
}

pub(super) async fn update_bucket(
    state: &StorageState,
    project: &ProjectRef,
    name: &str,
    request: UpdateBucket,
) -> ApiResult<Bucket> {
    let max_object_bytes = check_limit(request.max_object_bytes)?;
    let known = queries::update_bucket(
        &state.platform,
        &project.id,
        name,
        max_object_bytes,
        request.publishable,
        request.signed_in,
    )
    .await?;
    state.settings.forget(&project.id);
    if !known {
        return Err(ApiError::not_found("bucket"));
    }
    get_bucket(state, project, name).await
}

/// Removes the bucket's objects from the store, then the bucket. Where it is interrupted, asking again goes on.
pub(super) async fn delete_bucket(
    state: &StorageState,
    project: &ProjectRef,
    name: &str,
    request: DeleteBucket,
) -> ApiResult<()> {
    // Also keeps the prefix below from naming anything else.
    let name = BucketName::parse(name).map_err(|_| ApiError::not_found("bucket"))?;
    get_bucket(state, project, name.as_str()).await?;
    if request.confirm != name.as_str() {
        return Err(ApiError::new(
            Code::ConfirmationRequired,
            "Deleting a bucket deletes its objects, and `confirm` is not its name.",
        )
        .with_hint(format!("Send {{\"confirm\": \"{name}\"}}.")));
    }
    let prefix = format!("{name}/");
    let mut objects = state.store.delete_prefix(&project.bucket(), &prefix).await?;
    queries::delete_bucket(&state.platform, &project.id, name.as_str()).await?;
    state.settings.forget(&project.id);
    // What was uploaded between the two, with a URL that was signed before.
    objects += state.store.delete_prefix(&project.bucket(), &prefix).await?;
    tracing::info!(project = project.id, bucket = name.as_str(), objects, "a bucket was deleted");
    Ok(())
}

fn check_limit(bytes: Option<i64>) -> ApiResult<Option<i64>> {
    match bytes {
        Some(bytes) if !(1..=MAX_OBJECT_BYTES).contains(&bytes) => {
            Err(ApiError::invalid("`maxObjectBytes` must be from 1 to 5497558138880 (5 TiB)."))
        }
        bytes => Ok(bytes),
    }
}
