//! Listing the objects of a bucket.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::Operations;
use super::attributes::{to_etag, to_i64, to_timestamp};
use crate::store::{self, Page, Position, group_of};

/// Entries of a page, at most.
pub(super) const MAX_PAGE: i32 = 1000;

pub(super) async fn list_objects_v2(
    operations: &Operations,
    request: S3Request<ListObjectsV2Input>,
) -> S3Result<S3Response<ListObjectsV2Output>> {
    let input = request.input;
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let delimiter = input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty());
    let max_keys = page_size(input.max_keys)?;
    let start = match (&input.continuation_token, &input.start_after) {
        (Some(token), _) => Some(decode_token(token)?),
        (None, Some(key)) => Some(position(key, prefix, delimiter)),
        (None, None) => None,
    };
    let page = list(operations, &input.bucket, prefix, delimiter, start.as_ref(), max_keys)?;
    let encoder = Encoder::new(input.encoding_type.as_ref())?;
    let Contents { objects, prefixes, next } = encoder.contents(page, input.fetch_owner == Some(true));
    Ok(S3Response::new(ListObjectsV2Output {
        key_count: i32::try_from(objects.len() + prefixes.len()).ok(),
        is_truncated: Some(next.is_some()),
        next_continuation_token: next.map(|next| encode_token(&next)),
        contents: (!objects.is_empty()).then_some(objects),
        common_prefixes: (!prefixes.is_empty()).then_some(prefixes),
        prefix: Some(encoder.encode(prefix)),
        delimiter: delimiter.map(|delimiter| encoder.encode(delimiter)),
        start_after: input.start_after.as_deref().map(|key| encoder.encode(key)),
        continuation_token: input.continuation_token,
        encoding_type: input.encoding_type,
        max_keys: Some(max_keys),
        name: Some(input.bucket),
        ..Default::default()
    }))
}

pub(super) async fn list_objects(
    operations: &Operations,
    request: S3Request<ListObjectsInput>,
) -> S3Result<S3Response<ListObjectsOutput>> {
    let input = request.input;
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let delimiter = input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty());
    let max_keys = page_size(input.max_keys)?;
    let marker = input.marker.as_deref().unwrap_or_default();
    let start = (!marker.is_empty()).then(|| position(marker, prefix, delimiter));
    let page = list(operations, &input.bucket, prefix, delimiter, start.as_ref(), max_keys)?;
    let encoder = Encoder::new(input.encoding_type.as_ref())?;
    let Contents { objects, prefixes, next } = encoder.contents(page, true);
    Ok(S3Response::new(ListObjectsOutput {
        is_truncated: Some(next.is_some()),
        next_marker: next.map(|(Position::AfterKey(text) | Position::AfterGroup(text))| encoder.encode(&text)),
        contents: (!objects.is_empty()).then_some(objects),
        common_prefixes: (!prefixes.is_empty()).then_some(prefixes),
        prefix: Some(encoder.encode(prefix)),
        delimiter: delimiter.map(|delimiter| encoder.encode(delimiter)),
        marker: Some(encoder.encode(marker)),
        encoding_type: input.encoding_type,
        max_keys: Some(max_keys),
        name: Some(input.bucket),
        ..Default::default()
    }))
}

pub(super) fn page_size(asked: Option<i32>) -> S3Result<i32> {
    match asked {
        None => Ok(MAX_PAGE),
        Some(number @ 0..) => Ok(number.min(MAX_PAGE)),
        Some(_) => Err(s3_error!(InvalidArgument, "the size of a page can't be negative")),
    }
}

/// A marker that names a common prefix stands behind all of it.
pub(super) fn position(marker: &str, prefix: &str, delimiter: Option<&str>) -> Position {
    let group = marker.starts_with(prefix).then(|| group_of(marker, prefix, delimiter)).flatten();
    if group == Some(marker) { Position::AfterGroup(marker.to_owned()) } else { Position::AfterKey(marker.to_owned()) }
}

fn list(
    operations: &Operations,
    bucket: &str,
    prefix: &str,
    delimiter: Option<&str>,
    start: Option<&Position>,
    max_keys: i32,
) -> S3Result<Page<Arc<store::Object>>> {
    let limit = usize::try_from(max_keys).unwrap_or_default();
    let bucket = operations.store.bucket(bucket)?;
    Ok(bucket.with_objects(|objects| store::page(objects, prefix, delimiter, start, limit)))
}

/// Opaque to clients, and safe in a URL and in XML whatever the key.
fn encode_token(position: &Position) -> String {
    let text = match position {
        Position::AfterKey(key) => format!("k{key}"),
        Position::AfterGroup(group) => format!("g{group}"),
    };
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

fn decode_token(token: &str) -> S3Result<Position> {
    let text = BASE64_URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let position = text.as_deref().and_then(|text| match text.split_at_checked(1)? {
        ("k", key) => Some(Position::AfterKey(key.to_owned())),
        ("g", group) => Some(Position::AfterGroup(group.to_owned())),
        _ => None,
    });
    position.ok_or_else(|| s3_error!(InvalidArgument, "the continuation token is not one of this server's"))
}

struct Contents {
    objects: Vec<Object>,
    prefixes: Vec<CommonPrefix>,
    next: Option<Position>,
}

/// Writes keys as they are or, where the client asked, percent-encoded.
pub(super) struct Encoder {
    url: bool,
}

impl Encoder {
    pub(super) fn new(encoding: Option<&EncodingType>) -> S3Result<Self> {
        match encoding.map(EncodingType::as_str) {
            None => Ok(Self { url: false }),
            Some(EncodingType::URL) => Ok(Self { url: true }),
            Some(_) => Err(s3_error!(InvalidArgument, "the encoding type is url or absent")),
        }
    }

    pub(super) fn encode(&self, text: &str) -> String {
        if self.url { urlencoding::encode(text).replace("%2F", "/") } else { text.to_owned() }
    }

    pub(super) fn prefixes(&self, groups: &[String]) -> Vec<CommonPrefix> {
        groups.iter().map(|group| CommonPrefix { prefix: Some(self.encode(group)) }).collect()
    }

    fn contents(&self, page: Page<Arc<store::Object>>, with_owner: bool) -> Contents {
        let objects = page.entries.iter().map(|(key, object)| Object {
            key: Some(self.encode(key)),
            e_tag: Some(to_etag(object.etag)),
            size: Some(to_i64(object.size)),
            last_modified: Some(to_timestamp(object.modified_ms)),
            storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
            owner: with_owner.then(owner),
            ..Default::default()
        });
        Contents { objects: objects.collect(), prefixes: self.prefixes(&page.groups), next: page.next }
    }
}

/// There is one user.
pub(super) fn owner() -> Owner {
    Owner { display_name: Some("owner".to_owned()), id: Some("owner".to_owned()) }
}
