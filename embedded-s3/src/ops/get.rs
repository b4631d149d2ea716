//! Reading objects.

use std::ops::Range as Span;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use super::Operations;
use super::attributes::{refuse_version, to_etag, to_expires, to_i64, to_metadata, to_timestamp};
use super::conditions::{ReadConditions, range_holds};
use crate::store::{self, Object, StoreError};

/// What S3 says of an object that came without a type.
const DEFAULT_TYPE: &str = "binary/octet-stream";

/// The bytes that a request wants, and how to say so.
struct Selection {
    span: Span<u64>,
    content_range: Option<String>,
    parts_count: Option<i32>,
}

pub(super) async fn get_object(
    operations: &Operations,
    request: S3Request<GetObjectInput>,
) -> S3Result<S3Response<GetObjectOutput>> {
    let S3Request { input, headers, .. } = request;
    refuse_version(input.version_id.as_deref())?;
    let object = find(operations, &input.bucket, &input.key)?;
    let conditions = ReadConditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    conditions.check(&object)?;
    let selection = select(&object, input.range, input.part_number, &headers)?;
    let length = selection.span.end - selection.span.start;
    let body = store::read(Arc::clone(&object), selection.span).await.map_err(S3Error::from)?;
    let attributes = &object.attributes;
    let output = GetObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        body: Some(body),
        cache_control: attributes.cache_control.clone(),
        content_disposition: attributes.content_disposition.clone(),
        content_encoding: attributes.content_encoding.clone(),
        content_language: attributes.content_language.clone(),
        content_length: Some(to_i64(length)),
        content_range: selection.content_range,
        content_type: Some(attributes.content_type.clone().unwrap_or_else(|| DEFAULT_TYPE.to_owned())),
        e_tag: Some(to_etag(object.etag)),
        expires: to_expires(attributes.expires),
        last_modified: Some(to_timestamp(object.modified_ms)),
        metadata: to_metadata(attributes),
        parts_count: selection.parts_count,
        ..Default::default()
    };
    Ok(S3Response::new(output))
}

pub(super) async fn head_object(
    operations: &Operations,
    request: S3Request<HeadObjectInput>,
) -> S3Result<S3Response<HeadObjectOutput>> {
    let S3Request { input, headers, .. } = request;
    refuse_version(input.version_id.as_deref())?;
    let object = find(operations, &input.bucket, &input.key)?;
    let conditions = ReadConditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    conditions.check(&object)?;
    let selection = select(&object, input.range, input.part_number, &headers)?;
    let attributes = &object.attributes;
    let partial = selection.content_range.is_some();
    let output = HeadObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        cache_control: attributes.cache_control.clone(),
        content_disposition: attributes.content_disposition.clone(),
        content_encoding: attributes.content_encoding.clone(),
        content_language: attributes.content_language.clone(),
        content_length: Some(to_i64(selection.span.end - selection.span.start)),
        content_range: selection.content_range,
        content_type: Some(attributes.content_type.clone().unwrap_or_else(|| DEFAULT_TYPE.to_owned())),
        e_tag: Some(to_etag(object.etag)),
        expires: to_expires(attributes.expires),
        last_modified: Some(to_timestamp(object.modified_ms)),
        metadata: to_metadata(attributes),
        parts_count: selection.parts_count,
        ..Default::default()
    };
    let status = if partial { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    Ok(S3Response::with_status(output, status))
}

pub(super) fn find(operations: &Operations, bucket: &str, key: &str) -> S3Result<Arc<Object>> {
    let bucket = operations.store.bucket(bucket)?;
    Ok(bucket.object(key).ok_or(StoreError::NoSuchKey)?)
}

fn select(object: &Object, range: Option<Range>, part: Option<i32>, headers: &HeaderMap) -> S3Result<Selection> {
    let size = object.size;
    let (span, parts_count) = match (range, part) {
        (Some(_), Some(_)) => {
            return Err(s3_error!(InvalidRequest, "Range and partNumber exclude each other"));
        }
        (None, Some(number)) => (span_of_part(object, number)?, i32::try_from(object.etag.parts).ok()),
        (Some(range), None) if range_holds(headers, object) => (span_of(range, size)?, None),
        _ => {
            return Ok(Selection { span: 0..size, content_range: None, parts_count: None });
        }
    };
    let content_range = (!span.is_empty()).then(|| format!("bytes {}-{}/{size}", span.start, span.end - 1));
    Ok(Selection { span, content_range, parts_count: parts_count.filter(|count| *count > 0) })
}

pub(super) fn span_of(range: Range, size: u64) -> S3Result<Span<u64>> {
    range.check(size).ok().filter(|span| !span.is_empty()).ok_or_else(|| {
        let mut error = s3_error!(InvalidRange, "the object has {} bytes", size);
        if let Ok(value) = HeaderValue::try_from(format!("bytes */{size}")) {
            error.set_headers(HeaderMap::from_iter([(header::CONTENT_RANGE, value)]));
        }
        error
    })
}

/// An object that was uploaded in one go has one part.
fn span_of_part(object: &Object, number: i32) -> S3Result<Span<u64>> {
    let invalid = || s3_error!(InvalidRange, "the object has no part {}", number);
    let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1)).ok_or_else(invalid)?;
    let blob = object.blobs.get(index).ok_or_else(invalid)?;
    let start: u64 = object.blobs.iter().take(index).map(|blob| blob.size).sum();
    Ok(start..start + blob.size)
}
