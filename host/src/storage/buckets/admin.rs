//! The owner's operations on buckets: list, get, create, update and delete.

use api_types::{Bucket, CreateBucket, DeleteBucket, Page, PageQuery, UpdateBucket};

use super::{
    super::{open_uploads, path::BucketName, state::StorageState},
    queries,
    settings::BucketChanges,
};
use crate::{
    error::{ApiError, ApiResult, Code},
    http::PageRequest,
    object_store::StoreError,
    projects::ProjectRef,
};

/// S3's maximum size of an object: 5 TiB.
const MAX_OBJECT_BYTES: i64 = 5 << 40;

/// Returns a page of buckets in the order of their names.
pub(crate) async fn list_buckets(
    state: &StorageState,
    project: &ProjectRef,
    query: PageQuery,
) -> ApiResult<Page<Bucket>> {
    let page = PageRequest::<String>::parse(&query)?;
    let after = page.after.as_deref().unwrap_or_default();
    let buckets = queries::list_buckets(&state.platform, &project.id, after, page.fetch()).await?;
    Ok(page.page(buckets, |bucket| bucket.name.clone()))
}

/// Returns at most `limit` buckets in the order of their names.
pub(crate) async fn first_buckets(state: &StorageState, project_id: &str, limit: u32) -> ApiResult<Vec<Bucket>> {
    Ok(queries::list_buckets(&state.platform, project_id, "", limit.into()).await?)
}

pub(crate) async fn get_bucket(state: &StorageState, project: &ProjectRef, name: &str) -> ApiResult<Bucket> {
    queries::find_bucket(&state.platform, &project.id, name).await?.ok_or_else(|| ApiError::not_found("bucket"))
}

pub(crate) async fn create_bucket(
    state: &StorageState,
    project: &ProjectRef,
    request: CreateBucket,
) -> ApiResult<Bucket> {
    let name = BucketName::parse(&request.name)?;
    check_max_object_bytes(request.max_object_bytes)?;
    let max_object_bytes = request.max_object_bytes.unwrap_or(state.default_max_object_bytes);
    if !queries::insert_bucket(&state.platform, &project.id, name.as_str(), max_object_bytes).await? {
        return Err(ApiError::new(Code::Conflict, format!("The bucket `{name}` already exists."))
            .with_hint("Choose another name, or update the existing bucket."));
    }
    state.bucket_settings.invalidate(&project.id);
    get_bucket(state, project, name.as_str()).await
}

pub(crate) async fn update_bucket(
    state: &StorageState,
    project: &ProjectRef,
    name: &str,
    request: UpdateBucket,
) -> ApiResult<Bucket> {
    check_max_object_bytes(request.max_object_bytes)?;
    let changes = BucketChanges {
        publishable: request.publishable,
        signed_in: request.signed_in,
        max_object_bytes: request.max_object_bytes,
    };
    let updated = queries::update_bucket(&state.platform, &project.id, name, changes).await?;
    state.bucket_settings.invalidate(&project.id);
    if !updated {
        return Err(ApiError::not_found("bucket"));
    }
    get_bucket(state, project, name).await
}

/// Removes the bucket's objects and multipart uploads from the store, then the bucket itself. Repeating an interrupted
/// deletion finishes it, even if the bucket itself is already removed and only objects are left that arrived meanwhile.
pub(crate) async fn delete_bucket(
    state: &StorageState,
    project: &ProjectRef,
    name: &str,
    request: DeleteBucket,
) -> ApiResult<()> {
    // Parsing also ensures that the prefixes below match keys of this bucket only.
    let name = BucketName::parse(name).map_err(|_| ApiError::not_found("bucket"))?;
    let prefixes = [format!("{name}/"), open_uploads::bucket_prefix(name.as_str())];
    let exists = queries::find_bucket(&state.platform, &project.id, name.as_str()).await?.is_some();
    if !exists && !has_objects(state, project, &prefixes).await? {
        return Err(ApiError::not_found("bucket"));
    }
    if request.confirm != name.as_str() {
        return Err(ApiError::new(
            Code::ConfirmationRequired,
            "Deleting a bucket deletes its objects. `confirm` must be the bucket's name.",
        )
        .with_hint(format!("Send {{\"confirm\": \"{name}\"}}.")));
    }
    abort_uploads(state, project, &name).await?;
    let mut objects = 0;
    for prefix in &prefixes {
        objects += state.store.delete_prefix(&project.bucket(), prefix).await?;
    }
    queries::delete_bucket(&state.platform, &project.id, name.as_str()).await?;
    state.bucket_settings.invalidate(&project.id);
    // Uploads may have begun or arrived before the bucket was deleted. The sweep removes objects that arrive later.
    abort_uploads(state, project, &name).await?;
    for prefix in &prefixes {
        objects += state.store.delete_prefix(&project.bucket(), prefix).await?;
    }
    tracing::info!(project = project.id, bucket = name.as_str(), objects, "deleted a bucket");
    Ok(())
}

/// Aborts the multipart uploads to a bucket, also those without a record. If they stayed, they could be completed after
/// a bucket of the same name is created.
async fn abort_uploads(state: &StorageState, project: &ProjectRef, name: &BucketName) -> ApiResult<()> {
    let store_bucket = project.bucket();
    match state.store.abort_uploads_below(&store_bucket, &format!("{name}/")).await {
        Ok(_) => return Ok(()),
        Err(error) if error.is_not_found() => return Ok(()),
        // The store does not list uploads, so only those on record can be aborted.
        Err(StoreError::NotSupported { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let uploads = open_uploads::list_multipart(&state.platform, &project.id, name.as_str(), None, i64::MAX).await?;
    for upload in uploads {
        let key = format!("{name}/{}", upload.path);
        state.store.abort_multipart(&store_bucket, &key, &upload.upload_id).await?;
    }
    Ok(())
}

/// Returns whether the store has objects with one of these prefixes in the project's bucket.
async fn has_objects(state: &StorageState, project: &ProjectRef, prefixes: &[String]) -> ApiResult<bool> {
    for prefix in prefixes {
        let page = match state.store.list_page(&project.bucket(), prefix, 1, None).await {
            Err(error) if error.is_not_found() => return Ok(false),
            page => page?,
        };
        if !page.objects.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn check_max_object_bytes(bytes: Option<i64>) -> ApiResult<()> {
    if bytes.is_some_and(|bytes| !(1..=MAX_OBJECT_BYTES).contains(&bytes)) {
        return Err(ApiError::invalid("`maxObjectBytes` must be from 1 to 5497558138880 (5 TiB).")
            .with_detail("field", "maxObjectBytes".into()));
    }
    Ok(())
}
