//! What is in a bucket, and its removal. For the secret key and the owner.

use api_types::{DeletedObject, ListObjects, ObjectRef, Page, StoredObject};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};

use super::{
    StorageState,
    download::object_not_found,
    path::{self, BucketName, ObjectPath},
    queries,
};
use crate::{
    error::{ApiError, ApiResult, Code},
    object_store::StoreError,
    projects::ProjectRef,
};

const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 1000;

/// A page of what the store has. Content types come from the records, since stores don't list them.
///
/// # Errors
/// 400 for a prefix, limit or cursor that can't be, 404 without the bucket.
pub(super) async fn list_objects(
    state: &StorageState,
    project: &ProjectRef,
    request: ListObjects,
) -> ApiResult<Page<StoredObject>> {
    let bucket =
        BucketName::parse(request.bucket.as_deref().ok_or_else(|| ApiError::invalid("`bucket` is missing."))?)?;
    let prefix = path::list_prefix(&bucket, request.prefix.as_deref().unwrap_or_default())?;
    let limit = request.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(ApiError::invalid(format!("`limit` must be from 1 to {MAX_LIMIT}.")));
    }
    let token = request.cursor.as_deref().map(decode_cursor).transpose()?;
    state.settings.bucket(&project.id, bucket.as_str()).await?.ok_or_else(|| ApiError::not_found("bucket"))?;
    let page = match state.store.list_page(&project.bucket(), &prefix, limit as i32, token.as_deref()).await {
        Err(StoreError::Refused { .. } | StoreError::NotFound { .. }) if token.is_some() => {
            return Err(invalid_cursor());
        }
        page => page?,
    };
    let start = bucket.as_str().len() + 1;
    let paths: Vec<String> =
        page.objects.iter().filter_map(|object| object.key.get(start..).map(str::to_owned)).collect();
    let mut types = queries::content_types(&state.platform, &project.id, bucket.as_str(), &paths).await?;
    let items = page
        .objects
        .into_iter()
        .zip(paths)
        .map(|(object, path)| StoredObject {
            content_type: types.remove(&path),
            object_key: object.key,
            path,
            size: object.size,
            etag: object.etag,
            last_modified: object.last_modified,
        })
        .collect();
    Ok(Page { items, next_cursor: page.next.map(|token| BASE64.encode(token)) })
}

/// Removes an object and its record.
///
/// # Errors
/// 400 for a path that can't be, 404 without the bucket or the object.
pub(super) async fn delete_object(
    state: &StorageState,
    project: &ProjectRef,
    request: ObjectRef,
) -> ApiResult<DeletedObject> {
    let path = ObjectPath::from_key(request.bucket.as_deref(), &request.object_key)?;
    state.settings.bucket(&project.id, path.bucket()).await?.ok_or_else(|| ApiError::not_found("bucket"))?;
    let store_bucket = project.bucket();
    let object = state.store.head(&store_bucket, path.key()).await?.ok_or_else(object_not_found)?;
    state.store.delete(&store_bucket, path.key()).await?;
    queries::delete_file(&state.platform, &project.id, &path).await?;
    tracing::info!(project = project.id, object_key = path.key(), size_bytes = object.size, "an object was deleted");
    Ok(DeletedObject { object_key: path.key().to_owned(), deleted: true })
}

/// The store's token, so that it passes through addresses unharmed.
fn decode_cursor(cursor: &str) -> ApiResult<String> {
    BASE64.decode(cursor).ok().and_then(|token| String::from_utf8(token).ok()).ok_or_else(invalid_cursor)
}

fn invalid_cursor() -> ApiError {
    ApiError::new(Code::InvalidCursor, "The cursor is not one of this list.")
        .with_hint("Send `nextCursor` of the page before as it is, with the same bucket and prefix.")
}
