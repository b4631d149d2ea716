//! Listing the objects of a bucket.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::Operations;
use super::attributes::{checksum_type, to_etag, to_i64, to_timestamp};
use crate::store::{self, Page, Position, common_prefix};

/// Maximum page size, as in S3.
const MAX_PAGE_SIZE: i32 = 1000;

pub(super) async fn list_objects_v2(
    operations: &Operations,
    request: S3Request<ListObjectsV2Input>,
) -> S3Result<S3Response<ListObjectsV2Output>> {
    let input = request.input;
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let delimiter = input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty());
    let max_keys = page_size(input.max_keys)?;
    let limit = usize::try_from(max_keys).unwrap_or_default();
    let start = match (&input.continuation_token, &input.start_after) {
        (Some(token), _) => Some(decode_token(token)?),
        (None, Some(key)) => Some(marker_position(key, prefix, delimiter)),
        (None, None) => None,
    };
    let bucket = operations.store.bucket(&input.bucket)?;
    let page = bucket.with_objects(|objects| store::list_page(objects, prefix, delimiter, start.as_ref(), limit));
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
    let limit = usize::try_from(max_keys).unwrap_or_default();
    let marker = input.marker.as_deref().unwrap_or_default();
    let start = (!marker.is_empty()).then(|| marker_position(marker, prefix, delimiter));
    let bucket = operations.store.bucket(&input.bucket)?;
    let page = bucket.with_objects(|objects| store::list_page(objects, prefix, delimiter, start.as_ref(), limit));
    let encoder = Encoder::new(input.encoding_type.as_ref())?;
    let Contents { objects, prefixes, next } = encoder.contents(page, true);
    Ok(S3Response::new(ListObjectsOutput {
        is_truncated: Some(next.is_some()),
        next_marker: next.map(|(Position::AfterKey(text) | Position::AfterPrefix(text))| encoder.encode(&text)),
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

pub(super) fn page_size(requested: Option<i32>) -> S3Result<i32> {
    match requested {
        None => Ok(MAX_PAGE_SIZE),
        Some(number @ 0..) => Ok(number.min(MAX_PAGE_SIZE)),
        Some(_) => Err(s3_error!(InvalidArgument, "The page size can't be negative.")),
    }
}

/// Returns the position after a marker. A marker that is a common prefix stands for all keys that begin with it.
pub(super) fn marker_position(marker: &str, prefix: &str, delimiter: Option<&str>) -> Position {
    let group = marker.starts_with(prefix).then(|| common_prefix(marker, prefix, delimiter)).flatten();
    if group == Some(marker) { Position::AfterPrefix(marker.to_owned()) } else { Position::AfterKey(marker.to_owned()) }
}

/// Encodes a position as a continuation token. With base64, any key is safe in URLs and XML.
pub(super) fn encode_token(position: &Position) -> String {
    let text = match position {
        Position::AfterKey(key) => format!("k{key}"),
        Position::AfterPrefix(prefix) => format!("g{prefix}"),
    };
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

pub(super) fn decode_token(token: &str) -> S3Result<Position> {
    let text = BASE64_URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let position = text.as_deref().and_then(|text| match text.split_at_checked(1)? {
        ("k", key) => Some(Position::AfterKey(key.to_owned())),
        ("g", prefix) => Some(Position::AfterPrefix(prefix.to_owned())),
        _ => None,
    });
    position.ok_or_else(|| {
        s3_error!(InvalidArgument, "The continuation token is invalid. Pass the token of the previous page.")
    })
}

struct Contents {
    objects: Vec<Object>,
    prefixes: Vec<CommonPrefix>,
    next: Option<Position>,
}

/// Encodes keys for a response: percent-encoded if the client requested it, otherwise unchanged.
pub(super) struct Encoder {
    is_url: bool,
}

impl Encoder {
    pub(super) fn new(encoding: Option<&EncodingType>) -> S3Result<Self> {
        match encoding.map(EncodingType::as_str) {
            None => Ok(Self { is_url: false }),
            Some(EncodingType::URL) => Ok(Self { is_url: true }),
            Some(_) => Err(s3_error!(InvalidArgument, "The encoding type must be `url` or absent.")),
        }
    }

    pub(super) fn encode(&self, text: &str) -> String {
        if self.is_url { urlencoding::encode(text).replace("%2F", "/") } else { text.to_owned() }
    }

    pub(super) fn prefixes(&self, prefixes: &[String]) -> Vec<CommonPrefix> {
        prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(self.encode(prefix)) }).collect()
    }

    fn contents(&self, page: Page<Arc<store::Object>>, with_owner: bool) -> Contents {
        let objects = page.entries.iter().map(|(key, object)| Object {
            key: Some(self.encode(key)),
            e_tag: Some(to_etag(object.etag)),
            size: Some(to_i64(object.size)),
            last_modified: Some(to_timestamp(object.modified_ms)),
            storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
            checksum_algorithm: object
                .checksum
                .as_deref()
                .map(|checksum| vec![ChecksumAlgorithm::from_static(checksum.algorithm.name())]),
            checksum_type: checksum_type(object.checksum.as_deref()),
            owner: with_owner.then(owner),
            ..Default::default()
        });
        Contents { objects: objects.collect(), prefixes: self.prefixes(&page.common_prefixes), next: page.next }
    }
}

/// Returns the owner of all buckets and objects. There is only one user.
pub(super) fn owner() -> Owner {
    Owner { display_name: Some("owner".to_owned()), id: Some("owner".to_owned()) }
}
