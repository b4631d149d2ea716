//! Objects and parts from existing objects.

use std::sync::Arc;

use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use super::Operations;
use super::attributes::{given_attributes, refuse_unsupported, refuse_version, to_etag, to_timestamp};
use super::conditions::ReadConditions;
use super::get::{find, span_of};
use super::multipart::part_number;
use crate::store::{self, Attributes, Expectations, Object};

/// The copy keeps the ETag of its source, also where that is one of parts.
pub(super) async fn copy_object(
    operations: &Operations,
    request: S3Request<CopyObjectInput>,
) -> S3Result<S3Response<CopyObjectOutput>> {
    let mut input = request.input;
    refuse_unsupported!(input)?;
    let store = &operations.store;
    let bucket = store.bucket(&input.bucket)?;
    let (source_bucket, source_key) = source_of(&input.copy_source)?;
    let source = find(operations, source_bucket, source_key)?;
    let conditions = ReadConditions {
        if_match: input.copy_source_if_match.take(),
        if_none_match: input.copy_source_if_none_match.take(),
        if_modified_since: input.copy_source_if_modified_since.take(),
        if_unmodified_since: input.copy_source_if_unmodified_since.take(),
    };
    conditions.check_source(&source)?;
    let replace = match input.metadata_directive.as_ref().map(MetadataDirective::as_str) {
        None | Some(MetadataDirective::COPY) => false,
        Some(MetadataDirective::REPLACE) => true,
        Some(_) => {
            return Err(s3_error!(InvalidArgument, "x-amz-metadata-directive is COPY or REPLACE"));
        }
    };
    if !replace && source_bucket == input.bucket && source_key == input.key {
        return Err(s3_error!(InvalidRequest, "a copy onto itself must replace the metadata"));
    }
    let attributes =
        if replace { given_attributes!(input).into_attributes()? } else { Attributes::clone(&source.attributes) };
    let copy = store.copy_object(source, bucket, input.key, attributes).await?;
    let result = CopyObjectResult {
        e_tag: Some(to_etag(copy.etag)),
        last_modified: Some(to_timestamp(copy.modified_ms)),
        ..Default::default()
    };
    Ok(S3Response::new(CopyObjectOutput { copy_object_result: Some(result), ..Default::default() }))
}

pub(super) async fn upload_part_copy(
    operations: &Operations,
    request: S3Request<UploadPartCopyInput>,
) -> S3Result<S3Response<UploadPartCopyOutput>> {
    let input = request.input;
    let number = part_number(input.part_number)?;
    let store = &operations.store;
    let upload = store.upload(&input.bucket, &input.key, &input.upload_id)?;
    let (source_bucket, source_key) = source_of(&input.copy_source)?;
    let source = find(operations, source_bucket, source_key)?;
    let conditions = ReadConditions {
        if_match: input.copy_source_if_match,
        if_none_match: input.copy_source_if_none_match,
        if_modified_since: input.copy_source_if_modified_since,
        if_unmodified_since: input.copy_source_if_unmodified_since,
    };
    conditions.check_source(&source)?;
    let span = span_to_copy(&source, input.copy_source_range.as_deref())?;
    let expectations = Expectations { length: Some(span.end - span.start), ..Default::default() };
    let body = store::read(Arc::clone(&source), span).await.map_err(S3Error::from)?;
    let ingested = store.ingest(body, expectations).await?;
    let part = store.put_part(upload, number, ingested).await?;
    let result = CopyPartResult {
        e_tag: Some(to_etag(part.etag)),
        last_modified: Some(to_timestamp(part.modified_ms)),
        ..Default::default()
    };
    Ok(S3Response::new(UploadPartCopyOutput { copy_part_result: Some(result), ..Default::default() }))
}

fn source_of(source: &CopySource) -> S3Result<(&str, &str)> {
    match source {
        CopySource::Bucket { bucket, key, version_id } => {
            refuse_version(version_id.as_deref())?;
            Ok((bucket, key))
        }
        _ => Err(s3_error!(NotImplemented, "the source of a copy is named as bucket/key")),
    }
}

fn span_to_copy(source: &Object, range: Option<&str>) -> S3Result<std::ops::Range<u64>> {
    let Some(range) = range else {
        return Ok(0..source.size);
    };
    let range = Range::parse(range).map_err(|_| s3_error!(InvalidArgument, "x-amz-copy-source-range is malformed"))?;
    span_of(range, source.size)
}
