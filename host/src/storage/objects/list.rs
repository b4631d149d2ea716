//! Lists the objects of a bucket, page by page.

use api_types::{ListObjects, ObjectPage, StoredObject};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use sha2::{Digest as _, Sha256};

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
/// If so many uploads without the secret key have arrived that moving them to their paths takes long, the first page is
/// empty, and its cursor begins the list again.
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
    let scope = cursor_scope(&access.project.id, &prefix, delimiter);
    let token = request.cursor.as_deref().map(|cursor| decode_cursor(&scope, cursor)).transpose()?;
    let token = token.filter(|token| !token.is_empty());
    access.require_bucket(bucket.as_str()).await?;
    let state = &access.state;
    let path_prefix = request.prefix.as_deref().unwrap_or_default();
    let is_settled = open_uploads::settle_bucket(state, &access.project.id, bucket.as_str(), path_prefix).await?;
    if !is_settled && token.is_none() {
        let next_cursor = Some(encode_cursor(&scope, ""));
        return Ok(ObjectPage { items: Vec::new(), prefixes: Vec::new(), next_cursor });
    }
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
    let mut listed = records::listed_records(&state.platform, &access.project.id, bucket.as_str(), &paths).await?;
    let prefixes = page.prefixes.iter().filter_map(|prefix| prefix.get(path_start..).map(str::to_owned)).collect();
    let items = page
        .objects
        .into_iter()
        .zip(paths)
        .filter_map(|(object, path)| {
            let record = listed.remove(&path);
            let is_late = record.as_ref().is_some_and(|record| record.is_late);
            (!is_late).then(|| StoredObject {
                content_type: record.map(|record| record.content_type),
                object_key: object.key,
                path,
                size: object.size,
                etag: object.etag,
                last_modified: object.last_modified,
            })
        })
        .collect();
    Ok(ObjectPage { items, prefixes, next_cursor: page.next.map(|token| encode_cursor(&scope, &token)) })
}

/// Returns a short hash that identifies a list. `prefix` includes the bucket.
fn cursor_scope(project_id: &str, prefix: &str, delimiter: Option<&str>) -> String {
    // Prefixes contain no NUL, so it separates them.
    let hash = Sha256::digest(format!("{project_id}\0{prefix}\0{}", delimiter.unwrap_or_default()));
    hex::encode(&hash[..8])
}

/// Returns a cursor: the scope and the store's continuation token, in URL-safe base64. An empty token stands for the
/// beginning of the list.
fn encode_cursor(scope: &str, token: &str) -> String {
    BASE64.encode(format!("{scope}{token}"))
}

/// Returns the token of a cursor.
///
/// # Errors
/// Returns `invalid_cursor` if it is not a cursor of this list.
fn decode_cursor(scope: &str, cursor: &str) -> ApiResult<String> {
    let decoded = BASE64.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let token = decoded.as_deref().and_then(|text| text.strip_prefix(scope)).map(str::to_owned);
    token.ok_or_else(invalid_cursor)
}

fn invalid_cursor() -> ApiError {
    ApiError::new(Code::InvalidCursor, "The cursor does not belong to this list.")
        .with_hint("Send `nextCursor` of the previous page unchanged, with the same bucket, prefix and delimiter.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_belongs_to_one_list() {
        let scope = cursor_scope("a", "uploads/notes/", None);
        let cursor = encode_cursor(&scope, "token");
        assert_eq!(decode_cursor(&scope, &cursor).ok().as_deref(), Some("token"));
        for (project, prefix, delimiter) in [
            ("b", "uploads/notes/", None),
            ("a", "uploads/note", None),
            ("a", "private/notes/", None),
            ("a", "uploads/notes/", Some("/")),
        ] {
            let other = cursor_scope(project, prefix, delimiter);
            let error = decode_cursor(&other, &cursor).unwrap_err();
            assert_eq!(error.code(), Code::InvalidCursor, "{project} {prefix} {delimiter:?}");
        }
    }
}
