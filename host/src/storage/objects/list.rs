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
use crate::error::{ApiError, ApiResult, Code};

const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 1000;
const DELIMITER: &str = "/";

/// Returns a page of the store's listing, in the byte order of the keys. Content types come from the records, because
/// stores don't list them. Leaves out objects that were uploaded with a URL of a deleted bucket of the same name.
/// Updates the records of uploads that have arrived.
///
/// Uploads without the secret key are first moved to their paths. If that takes long, the first page is empty, and its
/// cursor begins the list again. The list that begins again does not wait for all uploads.
///
/// # Errors
/// Returns 400 for an invalid bucket name, prefix, delimiter, limit or cursor, and if the prefix begins with the name
/// of another bucket and no folder has that name. Returns 404 if the bucket does not exist.
pub(crate) async fn list_objects(access: &StorageAccess, request: ListObjects) -> ApiResult<ObjectPage> {
    let bucket = access
        .resolve_bucket(request.bucket.as_deref())?
        .ok_or_else(|| ApiError::invalid("The parameter `bucket` is missing."))?;
    let bucket = BucketName::parse(bucket)?;
    let prefix = path::list_prefix(&bucket, request.prefix.as_deref().unwrap_or_default())?;
    let limit = match request.limit {
        Some(0) => return Err(ApiError::invalid(format!("`limit` must be from 1 to {MAX_LIMIT}."))),
        limit => limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT),
    };
    let delimiter = request.delimiter.as_deref();
    if delimiter.is_some_and(|delimiter| delimiter != DELIMITER) {
        return Err(ApiError::invalid("`delimiter` must be `/`.").with_hint("Omit it to list every object."));
    }
    let scope = cursor_scope(&access.project.id, &prefix, delimiter);
    let position = match request.cursor.as_deref() {
        Some(cursor) => decode_cursor(&scope, cursor)?,
        None => Position::First,
    };
    access.require_bucket(bucket.as_str()).await?;
    let state = &access.state;
    let path_prefix = request.prefix.as_deref().unwrap_or_default();
    let is_settled = open_uploads::settle_bucket(state, &access.project.id, bucket.as_str(), path_prefix).await?;
    if !is_settled && position == Position::First {
        let next_cursor = Some(encode_cursor(&scope, &Position::Again));
        return Ok(ObjectPage { items: Vec::new(), prefixes: Vec::new(), next_cursor });
    }
    let store_bucket = access.store_bucket();
    let token = position.token();
    let begun_at = records::current_time(&state.platform).await?;
    let listed = state.store.list_grouped(&store_bucket, &prefix, delimiter, limit as i32, token).await;
    let page = match listed {
        Err(error) if token.is_some() && error.may_refuse_token() => return Err(invalid_cursor()),
        page => page?,
    };
    let path_start = bucket.as_str().len() + 1;
    let paths: Vec<String> =
        page.objects.iter().filter_map(|object| object.key.get(path_start..).map(str::to_owned)).collect();
    let (project_id, name) = (access.project.id.as_str(), bucket.as_str());
    records::record_listed(&state.platform, project_id, name, &paths, &page.objects, begun_at).await?;
    let mut listed = records::listed_records(&state.platform, project_id, name, &paths).await?;
    let prefixes: Vec<_> =
        page.prefixes.iter().filter_map(|prefix| prefix.get(path_start..).map(str::to_owned)).collect();
    let items: Vec<_> = page
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
    let next_cursor = page.next.map(|token| encode_cursor(&scope, &Position::After(token)));
    if items.is_empty() && prefixes.is_empty() && next_cursor.is_none() && token.is_none() {
        access.check_empty_prefix(bucket.as_str(), path_prefix).await?;
    }
    Ok(ObjectPage { items, prefixes, next_cursor })
}

/// Returns a short hash that identifies a list. `prefix` includes the bucket.
fn cursor_scope(project_id: &str, prefix: &str, delimiter: Option<&str>) -> String {
    // Prefixes contain no NUL, so a NUL separates them.
    let hash = Sha256::digest(format!("{project_id}\0{prefix}\0{}", delimiter.unwrap_or_default()));
    hex::encode(&hash[..8])
}

/// The position in a list at which a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Position {
    /// The beginning, in a request without a cursor.
    First,
    /// The beginning, after an empty page that was returned because uploads had to be moved first.
    Again,
    /// After the page with this continuation token of the store.
    After(String),
}

impl Position {
    /// Returns the store's continuation token.
    fn token(&self) -> Option<&str> {
        match self {
            Self::First | Self::Again => None,
            Self::After(token) => Some(token),
        }
    }
}

/// Returns a cursor: the scope and the store's continuation token, in URL-safe base64. An empty token stands for the
/// beginning of the list.
fn encode_cursor(scope: &str, position: &Position) -> String {
    BASE64.encode(format!("{scope}{}", position.token().unwrap_or_default()))
}

/// Returns the position of a cursor.
///
/// # Errors
/// Returns `invalid_cursor` if it is not a cursor of this list.
fn decode_cursor(scope: &str, cursor: &str) -> ApiResult<Position> {
    let decoded = BASE64.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    match decoded.as_deref().and_then(|text| text.strip_prefix(scope)) {
        Some("") => Ok(Position::Again),
        Some(token) => Ok(Position::After(token.to_owned())),
        None => Err(invalid_cursor()),
    }
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
        let position = Position::After("token".to_owned());
        let cursor = encode_cursor(&scope, &position);
        assert_eq!(decode_cursor(&scope, &cursor).ok(), Some(position));
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

    /// If the cursor did not differ from no cursor, a list could return the same cursor for ever.
    #[test]
    fn cursor_of_an_empty_page_begins_the_list_and_differs_from_no_cursor() {
        let scope = cursor_scope("a", "uploads/", None);
        let position = decode_cursor(&scope, &encode_cursor(&scope, &Position::Again)).unwrap();
        assert_eq!((&position, position.token()), (&Position::Again, None));
        assert_ne!(position, Position::First);
    }
}
