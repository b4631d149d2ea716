//! Reading objects.

use std::ops::Range as ByteRange;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use super::Operations;
use super::attributes::{
    checksum_type, reject_version, set_checksum, to_etag, to_expires, to_i64, to_metadata, to_timestamp,
};
use super::conditions::{permits_partial_response, read_conditions};
use super::list::page_size;
use super::multipart_list::part_number_marker;
use crate::store::{self, Object, StoreError, StoredChecksum};

/// Content type of an object that was uploaded without one, as in S3.
const DEFAULT_CONTENT_TYPE: &str = "binary/octet-stream";

/// The requested bytes of an object, and the headers that describe them.
struct Selection {
    range: ByteRange<u64>,
    content_range: Option<String>,
    /// Index of the part, if the request names one.
    part: Option<usize>,
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
    output.checksum_type = checksum_type(checksum.as_ref());
    set_checksum!(output, checksum);
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
    output.checksum_type = checksum_type(checksum.as_ref());
    set_checksum!(output, checksum);
    Ok(S3Response::with_status(output, status))
}

/// Returns the checksum of the object or part, if the client requested it and the response contains all bytes that it
/// covers.
fn requested_checksum(object: &Object, selection: &Selection, mode: Option<&ChecksumMode>) -> Option<StoredChecksum> {
    mode.filter(|mode| mode.as_str() == ChecksumMode::ENABLED)?;
    match (selection.part, &selection.content_range) {
        (Some(part), _) => object.part_checksum(part),
        (None, None) => object.checksum.as_deref().cloned(),
        (None, Some(_)) => None,
    }
}

/// Returns the attributes that the client requests: ETag, size, storage class, checksum or parts.
pub(super) async fn get_object_attributes(
    operations: &Operations,
    request: S3Request<GetObjectAttributesInput>,
) -> S3Result<S3Response<GetObjectAttributesOutput>> {
    let input = request.input;
    reject_version(input.version_id.as_deref())?;
    let object = find_object(operations, &input.bucket, &input.key)?;
    // s3s does not split a list in one header.
    let attributes = input.object_attributes.iter().flat_map(|attribute| attribute.as_str().split(','));
    let attributes: Vec<&str> = attributes.map(str::trim).collect();
    let wants = |name: &str| attributes.contains(&name);
    let parts = if wants("ObjectParts") && object.etag.parts > 0 {
        Some(object_parts(&object, input.max_parts, input.part_number_marker)?)
    } else {
        None
    };
    Ok(S3Response::new(GetObjectAttributesOutput {
        e_tag: wants("ETag").then(|| to_etag(object.etag)),
        object_size: wants("ObjectSize").then(|| to_i64(object.size)),
        storage_class: wants("StorageClass").then(|| StorageClass::from_static(StorageClass::STANDARD)),
        checksum: object.checksum.as_deref().filter(|_| wants("Checksum")).map(StoredChecksum::to_dto),
        object_parts: parts,
        last_modified: Some(to_timestamp(object.modified_ms)),
        ..Default::default()
    }))
}

/// Returns a page of the parts of an object.
fn object_parts(object: &Object, max_parts: Option<i32>, marker: Option<i32>) -> S3Result<GetObjectAttributesParts> {
    let max_parts = page_size(max_parts)?;
    let marker = part_number_marker(marker)?;
    let skipped = usize::try_from(marker).unwrap_or_default();
    let mut rest = (1..).zip(&object.blobs).enumerate().skip(skipped);
    let page = rest.by_ref().take(usize::try_from(max_parts).unwrap_or_default());
    let parts: Vec<ObjectPart> = page
        .map(|(index, (number, blob))| {
            let mut part =
                ObjectPart { part_number: Some(number), size: Some(to_i64(blob.size)), ..Default::default() };
            set_checksum!(part, object.part_checksum(index));
            part
        })
        .collect();
    let last = parts.last().and_then(|part| part.part_number);
    let is_truncated = last.is_some() && rest.next().is_some();
    Ok(GetObjectAttributesParts {
        total_parts_count: i32::try_from(object.etag.parts).ok(),
        max_parts: Some(max_parts),
        part_number_marker: Some(marker),
        next_part_number_marker: last.filter(|_| is_truncated),
        is_truncated: Some(is_truncated),
        parts: (!parts.is_empty()).then_some(parts),
    })
}

pub(super) fn find_object(operations: &Operations, bucket: &str, key: &str) -> S3Result<Arc<Object>> {
    let bucket = operations.store.bucket(bucket)?;
    Ok(bucket.object(key).ok_or(StoreError::NoSuchKey)?)
}

fn select_bytes(object: &Object, range: Option<Range>, part: Option<i32>, headers: &HeaderMap) -> S3Result<Selection> {
    let size = object.size;
    let (range, part) = match (range, part) {
        (Some(_), Some(_)) => {
            return Err(s3_error!(InvalidRequest, "Range and partNumber can't be combined."));
        }
        (None, Some(number)) => {
            let (index, range) = find_part(object, number)?;
            (range, Some(index))
        }
        (Some(range), None) if permits_partial_response(headers, object) => (resolve_range(range, size)?, None),
        _ => {
            return Ok(Selection { range: 0..size, content_range: None, part: None, parts_count: None });
        }
    };
    let content_range = (!range.is_empty()).then(|| format!("bytes {}-{}/{size}", range.start, range.end - 1));
    let parts_count = part.and_then(|_| i32::try_from(object.etag.parts).ok()).filter(|count| *count > 0);
    Ok(Selection { range, content_range, part, parts_count })
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

/// Returns the index and the byte range of a part. An object that was not uploaded in parts has one part.
fn find_part(object: &Object, number: i32) -> S3Result<(usize, ByteRange<u64>)> {
    let invalid = || {
        let code = S3ErrorCode::Custom("InvalidPartNumber".into());
        let mut error = S3Error::with_message(code, format!("The object has no part {number}."));
        error.set_status_code(StatusCode::RANGE_NOT_SATISFIABLE);
        error
    };
    let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1)).ok_or_else(invalid)?;
    let blob = object.blobs.get(index).ok_or_else(invalid)?;
    let start: u64 = object.blobs.iter().take(index).map(|blob| blob.size).sum();
    Ok((index, start..start + blob.size))
}
