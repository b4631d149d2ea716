//! Creating objects and parts by copying existing objects.

use std::sync::Arc;

use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use super::Operations;
use super::attributes::{
    checksum_type, reject_features, reject_unsupported, reject_version, request_attributes, set_checksum, to_etag,
    to_timestamp,
};
use super::conditions::{copy_conditions, read_conditions};
use super::get::find_object;
use super::multipart::part_number;
use crate::store::{self, Attributes, Expectations, Object};

/// Copies an object. The copy has the ETag of its source, even if the source was uploaded in parts.
pub(super) async fn copy_object(
    operations: &Operations,
    request: S3Request<CopyObjectInput>,
) -> S3Result<S3Response<CopyObjectOutput>> {
    let S3Request { mut input, headers, .. } = request;
    reject_unsupported!(input)?;
    let conditions = copy_conditions(&headers)?;
    let store = &operations.store;
    let bucket = store.bucket(&input.bucket)?;
    let (source_bucket, source_key) = parse_source(&input.copy_source)?;
    let source = find_object(operations, source_bucket, source_key)?;
    read_conditions!(copy_source input).check_source(&source)?;
    let has_other_checksum = input.checksum_algorithm.as_ref().is_some_and(|algorithm| {
        source.checksum.as_ref().is_none_or(|checksum| checksum.algorithm.name() != algorithm.as_str())
    });
    reject_features(&[(has_other_checksum, "copies with a checksum algorithm other than that of the source")])?;
    let replaces_metadata = match input.metadata_directive.as_ref().map(MetadataDirective::as_str) {
        None | Some(MetadataDirective::COPY) => false,
        Some(MetadataDirective::REPLACE) => true,
        Some(_) => {
            return Err(s3_error!(InvalidArgument, "x-amz-metadata-directive must be COPY or REPLACE."));
        }
    };
    if !replaces_metadata && source_bucket == input.bucket && source_key == input.key {
        return Err(s3_error!(InvalidRequest, "An object can be copied onto itself only if its metadata is replaced."));
    }
    let attributes =
        if replaces_metadata { request_attributes!(input).validate()? } else { Attributes::clone(&source.attributes) };
    let copy = store::copy_object(store, source, bucket, input.key, attributes, conditions).await?;
    let mut result = CopyObjectResult {
        e_tag: Some(to_etag(copy.etag)),
        last_modified: Some(to_timestamp(copy.modified_ms)),
        checksum_type: checksum_type(copy.checksum.as_deref()),
        ..Default::default()
    };
    set_checksum!(result, copy.checksum.as_deref());
    Ok(S3Response::new(CopyObjectOutput { copy_object_result: Some(result), ..Default::default() }))
}

pub(super) async fn upload_part_copy(
    operations: &Operations,
    request: S3Request<UploadPartCopyInput>,
) -> S3Result<S3Response<UploadPartCopyOutput>> {
    let mut input = request.input;
    let number = part_number(input.part_number)?;
    let store = &operations.store;
    let upload = store::find_upload(store, &input.bucket, &input.key, &input.upload_id)?;
    let (source_bucket, source_key) = parse_source(&input.copy_source)?;
    let source = find_object(operations, source_bucket, source_key)?;
    read_conditions!(copy_source input).check_source(&source)?;
    let range = copy_range(&source, input.copy_source_range.as_deref())?;
    let wanted = upload.record.checksum.map(|checksum| checksum.algorithm);
    let expectations = Expectations { length: Some(range.end - range.start), wanted, ..Default::default() };
    let body = store::read(Arc::clone(&source), range).await.map_err(S3Error::from)?;
    let ingested = store::ingest(store, body, expectations).await?;
    let part = store::put_part(store, upload, number, ingested).await?;
    let mut result = CopyPartResult {
        e_tag: Some(to_etag(part.etag)),
        last_modified: Some(to_timestamp(part.modified_ms)),
        ..Default::default()
    };
    set_checksum!(result, part.checksum.as_ref());
    Ok(S3Response::new(UploadPartCopyOutput { copy_part_result: Some(result), ..Default::default() }))
}

fn parse_source(source: &CopySource) -> S3Result<(&str, &str)> {
    match source {
        CopySource::Bucket { bucket, key, version_id } => {
            reject_version(version_id.as_deref())?;
            Ok((bucket, key))
        }
        _ => Err(s3_error!(NotImplemented, "The source of a copy must have the form bucket/key.")),
    }
}

/// Returns the range to copy. Unlike for a read, the range must have both ends, and both must be within the source.
fn copy_range(source: &Object, range: Option<&str>) -> S3Result<std::ops::Range<u64>> {
    let Some(range) = range else {
        return Ok(0..source.size);
    };
    match Range::parse(range) {
        Ok(Range::Int { first, last: Some(last) }) if last < source.size => Ok(first..last + 1),
        Ok(Range::Int { last: Some(_), .. }) => {
            Err(s3_error!(InvalidRange, "The range is outside of the source, which has {} bytes.", source.size))
        }
        _ => Err(s3_error!(InvalidArgument, "x-amz-copy-source-range must have the form bytes=first-last.")),
    }
}
