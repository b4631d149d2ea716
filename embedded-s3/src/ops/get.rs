//! Reading objects.

use std::ops::Range as ByteRange;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use super::Operations;
use super::attributes::{reject_version, to_etag, to_expires, to_i64, to_metadata, to_timestamp};
use super::conditions::{permits_partial_response, read_conditions};
use crate::store::{self, Object, StoreError};

/// Type of an object that was uploaded without one, as in S3.
const DEFAULT_CONTENT_TYPE: &str = "binary/octet-stream";

/// The requested bytes of an object, and the headers that describe them.
struct Selection {
    range: ByteRange<u64>,
    content_range: Option<String>,
    parts_count: Option<i32>,
}

/// Builds the output of GET and HEAD, whose types have the same fields.
macro_rules! object_output {
    ($output:ident { $($field:ident: $value:expr)? }, $object:expr, $selection:expr) => {{
        let attributes = &$object.attributes;
        $output {
            accept_ranges: Some("bytes".to_owned()),
            cache_control: attributes.cache_control.clone(),
            content_disposition: attributes.content_disposition.clone(),
            content_encoding: attributes.content_encoding.clone(),
            content_language: attributes.content_language.clone(),
            content_length: Some(to_i64($selection.range.end - $selection.range.start)),
            content_range: $selection.content_range,
            content_type: Some(attributes.content_type.clone().unwrap_or_else(|| DEFAULT_CONTENT_TYPE.to_owned())),
            e_tag: Some(to_etag($object.etag)),
            expires: to_expires(attributes.expires),
            last_modified: Some(to_timestamp($object.modified_ms)),
            metadata: to_metadata(attributes),
            parts_count: $selection.parts_count,
            $($field: $value,)?
            ..Default::default()
        }
    }};
}

pub(super) async fn get_object(
    operations: &Operations,
    request: S3Request<GetObjectInput>,
) -> S3Result<S3Response<GetObjectOutput>> {
    let S3Request { mut input, headers, .. } = request;
    reject_version(input.version_id.as_deref())?;
    let object = find_object(operations, &input.bucket, &input.key)?;
    read_conditions!(input).check(&object)?;
    let selection = select_bytes(&object, input.range, input.part_number, &headers)?;
    let body = store::read(Arc::clone(&object), selection.range.clone()).await.map_err(S3Error::from)?;
    Ok(S3Response::new(object_output!(GetObjectOutput { body: Some(body) }, object, selection)))
}

pub(super) async fn head_object(
    operations: &Operations,
    request: S3Request<HeadObjectInput>,
) -> S3Result<S3Response<HeadObjectOutput>> {
    let S3Request { mut input, headers, .. } = request;
    reject_version(input.version_id.as_deref())?;
    let object = find_object(operations, &input.bucket, &input.key)?;
    read_conditions!(input).check(&object)?;
    let selection = select_bytes(&object, input.range, input.part_number, &headers)?;
    let status = if selection.content_range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    Ok(S3Response::with_status(object_output!(HeadObjectOutput {}, object, selection), status))
}

pub(super) fn find_object(operations: &Operations, bucket: &str, key: &str) -> S3Result<Arc<Object>> {
    let bucket = operations.store.bucket(bucket)?;
    Ok(bucket.object(key).ok_or(StoreError::NoSuchKey)?)
}

fn select_bytes(object: &Object, range: Option<Range>, part: Option<i32>, headers: &HeaderMap) -> S3Result<Selection> {
    let size = object.size;
    let (range, parts_count) = match (range, part) {
        (Some(_), Some(_)) => {
            return Err(s3_error!(InvalidRequest, "Range and partNumber cannot be combined."));
        }
        (None, Some(number)) => (part_range(object, number)?, i32::try_from(object.etag.parts).ok()),
        (Some(range), None) if permits_partial_response(headers, object) => (resolve_range(range, size)?, None),
        _ => {
            return Ok(Selection { range: 0..size, content_range: None, parts_count: None });
        }
    };
    let content_range = (!range.is_empty()).then(|| format!("bytes {}-{}/{size}", range.start, range.end - 1));
    Ok(Selection { range, content_range, parts_count: parts_count.filter(|count| *count > 0) })
}

/// Resolves a requested range against the size of the object.
pub(super) fn resolve_range(range: Range, size: u64) -> S3Result<ByteRange<u64>> {
    range.check(size).ok().filter(|range| !range.is_empty()).ok_or_else(|| {
        let mut error = s3_error!(InvalidRange, "The range is outside of the object, which has {} bytes.", size);
        if let Ok(value) = HeaderValue::try_from(format!("bytes */{size}")) {
            error.set_headers(HeaderMap::from_iter([(header::CONTENT_RANGE, value)]));
        }
        error
    })
}

/// Returns the bytes of a part. An object that was not uploaded in parts has one part.
fn part_range(object: &Object, number: i32) -> S3Result<ByteRange<u64>> {
    let invalid = || s3_error!(InvalidRange, "The object has no part {}.", number);
    let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1)).ok_or_else(invalid)?;
    let blob = object.blobs.get(index).ok_or_else(invalid)?;
    let start: u64 = object.blobs.iter().take(index).map(|blob| blob.size).sum();
    Ok(start..start + blob.size)
}
