//! Lists the objects of a bucket, page by page.

use api_types::{ListObjects, ObjectPage, StoredObject};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};

use super::super::{
    access::StorageAccess,
    open_uploads,
    path::{self, BucketName},
    records,
};
use crate::{
    error::{ApiError, ApiResult, Code},
    object_store::StoreError,
};

const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 1000;
const DELIMITER: &str = "/";

/// Returns a page of the store's listing, in the byte order of the keys. Content types come from the records, because
/// stores don't list them. Updates the records of uploads that have arrived.
///
/// # Errors
/// Returns 400 for an invalid bucket name, prefix, delimiter, limit or cursor, and 404 if the bucket does not exist.
pub(crate) async fn list_objects(access: &StorageAccess, request: ListObjects) -> ApiResult<ObjectPage> {
    let bucket = access
        .resolve_bucket(request.bucket.as_deref())?
        .ok_or_else(|| ApiError::invalid("The parameter `bucket` is missing."))?;
    let bucket = BucketName::parse(bucket)?;
    let prefix = path::list_prefix(&bucket, request.prefix.as_deref().unwrap_or_default())?;
    let limit = request.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(ApiError::invalid(format!("`limit` must be from 1 to {MAX_LIMIT}.")));
    }
    let delimiter = request.delimiter.as_deref();
    if delimiter.is_some_and(|delimiter| delimiter != DELIMITER) {
        return Err(ApiError::invalid("`delimiter` must be `/`.").with_hint("Omit it to list every object."));
    }
    let token = request.cursor.as_deref().map(decode_cursor).transpose()?;
    access.require_bucket(bucket.as_str()).await?;
    let state = &access.state;
    let path_prefix = request.prefix.as_deref().unwrap_or_default();
    open_uploads::settle_bucket(state, &access.project.id, bucket.as_str(), path_prefix).await?;
    let store_bucket = access.store_bucket();
    let listed = state.store.list_grouped(&store_bucket, &prefix, delimiter, limit as i32, token.as_deref()).await;
    let page = match listed {
        Err(StoreError::Refused { .. } | StoreError::NotFound { .. }) if token.is_some() => {
            return Err(invalid_cursor());
        }
        page => page?,
    };
    let path_start = bucket.as_str().len() + 1;
    let paths: Vec<String> =
        page.objects.iter().filter_map(|object| object.key.get(path_start..).map(str::to_owned)).collect();
    records::record_listed(&state.platform, &access.project.id, bucket.as_str(), &paths, &page.objects).await?;
    let mut content_types =
        records::content_types(&state.platform, &access.project.id, bucket.as_str(), &paths).await?;
    let prefixes = page.prefixes.iter().filter_map(|prefix| prefix.get(path_start..).map(str::to_owned)).collect();
    let items = page
        .objects
        .into_iter()
        .zip(paths)
        .map(|(object, path)| StoredObject {
            content_type: content_types.remove(&path),
            object_key: object.key,
            path,
            size: object.size,
            etag: object.etag,
            last_modified: object.last_modified,
        })
        .collect();
    Ok(ObjectPage { items, prefixes, next_cursor: page.next.map(|token| BASE64.encode(token)) })
}

/// Decodes a cursor. It is the store's continuation token in URL-safe base64.
fn decode_cursor(cursor: &str) -> ApiResult<String> {
    BASE64.decode(cursor).ok().and_then(|token| String::from_utf8(token).ok()).ok_or_else(invalid_cursor)
}

fn invalid_cursor() -> ApiError {
    ApiError::new(Code::InvalidCursor, "The cursor does not belong to this list.")
        .with_hint("Send `nextCursor` of the previous page unchanged, with the same bucket and prefix.")
}
