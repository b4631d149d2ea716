//! Reading objects.

use std::ops::Range as ByteRange;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use super::Operations;
use super::attributes::{
    checksum_type, reject_version, set_checksum, to_etag, to_expires, to_i64, to_metadata, to_timestamp,
};
use super::conditions::{permits_partial_response, read_conditions};
use crate::store::{self, Object, StoreError, StoredChecksum};

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
    let S3Request { mut input, headers, extensions, .. } = request;
    reject_version(input.version_id.as_deref())?;
    let object = find_object(operations, &input.bucket, &input.key)?;
    read_conditions!(input).with_lists(&extensions).check(&object)?;
    let selection = select_bytes(&object, input.range, input.part_number, &headers)?;
    let body = store::read(Arc::clone(&object), selection.range.clone()).await.map_err(S3Error::from)?;
    let checksum = requested_checksum(&object, &selection, input.checksum_mode.as_ref());
    let mut output = object_output!(GetObjectOutput { body: Some(body) }, object, selection);
    set_checksum!(output, checksum);
    output.checksum_type = checksum_type(checksum);
    Ok(S3Response::new(output))
}

pub(super) async fn head_object(
    operations: &Operations,
    request: S3Request<HeadObjectInput>,
) -> S3Result<S3Response<HeadObjectOutput>> {
    let S3Request { mut input, headers, extensions, .. } = request;
    reject_version(input.version_id.as_deref())?;
    let object = find_object(operations, &input.bucket, &input.key)?;
    read_conditions!(input).with_lists(&extensions).check(&object)?;
    let selection = select_bytes(&object, input.range, input.part_number, &headers)?;
    let status = if selection.content_range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let checksum = requested_checksum(&object, &selection, input.checksum_mode.as_ref());
    let mut output = object_output!(HeadObjectOutput {}, object, selection);
    set_checksum!(output, checksum);
    output.checksum_type = checksum_type(checksum);
    Ok(S3Response::with_status(output, status))
}

/// Returns the checksum of the object if the client asked for it and gets the whole object.
fn requested_checksum<'object>(
    object: &'object Object,
    selection: &Selection,
    mode: Option<&ChecksumMode>,
) -> Option<&'object StoredChecksum> {
    let is_requested = mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED);
    let is_whole = selection.content_range.is_none() && selection.parts_count.is_none();
    object.checksum.as_deref().filter(|_| is_requested && is_whole)
}

/// Returns those of size, ETag, checksum and number of parts that the client asks for.
pub(super) async fn get_object_attributes(
    operations: &Operations,
    request: S3Request<GetObjectAttributesInput>,
) -> S3Result<S3Response<GetObjectAttributesOutput>> {
    let input = request.input;
    reject_version(input.version_id.as_deref())?;
    let object = find_object(operations, &input.bucket, &input.key)?;
    // s3s leaves a list in one header as it is.
    let attributes = input.object_attributes.iter().flat_map(|attribute| attribute.as_str().split(','));
    let attributes: Vec<&str> = attributes.map(str::trim).collect();
    let wants = |name: &str| attributes.contains(&name);
    let parts = i32::try_from(object.etag.parts).ok().filter(|parts| *parts > 0 && wants("ObjectParts"));
    Ok(S3Response::new(GetObjectAttributesOutput {
        e_tag: wants("ETag").then(|| to_etag(object.etag)),
        object_size: wants("ObjectSize").then(|| to_i64(object.size)),
        storage_class: wants("StorageClass").then(|| StorageClass::from_static(StorageClass::STANDARD)),
        checksum: object.checksum.as_deref().filter(|_| wants("Checksum")).map(StoredChecksum::to_dto),
        object_parts: parts
            .map(|parts| GetObjectAttributesParts { total_parts_count: Some(parts), ..Default::default() }),
        last_modified: Some(to_timestamp(object.modified_ms)),
        ..Default::default()
    }))
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
fn resolve_range(range: Range, size: u64) -> S3Result<ByteRange<u64>> {
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
