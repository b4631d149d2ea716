//! Multipart uploads.

use http::StatusCode;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::Operations;
use super::attributes::{check_key, reject_features, reject_unsupported, request_attributes, to_etag};
use super::conditions::write_conditions;
use super::put::body_expectations;
use crate::store::{self, CompletedPart};

/// Largest part number, as in S3.
const MAX_PART_NUMBER: i32 = 10_000;

pub(super) async fn create_multipart_upload(
    operations: &Operations,
    request: S3Request<CreateMultipartUploadInput>,
) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
    let mut input = request.input;
    check_key(&input.key)?;
    reject_unsupported!(input)?;
    let bucket = operations.store.bucket(&input.bucket)?;
    let attributes = request_attributes!(input).validate()?;
    let upload_id = store::create_upload(&operations.store, bucket, input.key.clone(), attributes).await?;
    Ok(S3Response::new(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(upload_id),
        ..Default::default()
    }))
}

pub(super) async fn upload_part(
    operations: &Operations,
    request: S3Request<UploadPartInput>,
) -> S3Result<S3Response<UploadPartOutput>> {
    let S3Request { mut input, headers, trailing_headers, .. } = request;
    let number = part_number(input.part_number)?;
    reject_features(&[(input.sse_customer_algorithm.is_some(), "server-side encryption")])?;
    let store = &operations.store;
    let upload = store::find_upload(store, &input.bucket, &input.key, &input.upload_id)?;
    let expectations = body_expectations(&mut input, &headers, trailing_headers)?;
    let body = input.body.take().ok_or_else(|| s3_error!(IncompleteBody))?;
    let ingested = store::ingest(store, body, expectations).await?;
    let checksum = ingested.checksum.clone();
    let part = store::put_part(store, upload, number, ingested).await?;
    Ok(S3Response::new(UploadPartOutput {
        e_tag: Some(to_etag(part.etag)),
        checksum_crc32: checksum.checksum_crc32,
        checksum_crc32c: checksum.checksum_crc32c,
        checksum_crc64nvme: checksum.checksum_crc64nvme,
        checksum_sha1: checksum.checksum_sha1,
        checksum_sha256: checksum.checksum_sha256,
        ..Default::default()
    }))
}

pub(super) async fn complete_multipart_upload(
    operations: &Operations,
    request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
    let input = request.input;
    let store = &operations.store;
    let bucket = store.bucket(&input.bucket)?;
    let upload = store::find_upload(store, &input.bucket, &input.key, &input.upload_id)?;
    let conditions = write_conditions(input.if_match, input.if_none_match.as_ref())?;
    let parts = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
    if parts.is_empty() {
        return Err(s3_error!(MalformedXML, "The request names no parts."));
    }
    let parts = parts
        .into_iter()
        .map(|part| {
            let number = part.part_number.ok_or_else(|| s3_error!(MalformedXML, "A part has no number."))?;
            Ok(CompletedPart { number, etag: part.e_tag.map(ETag::into_value) })
        })
        .collect::<S3Result<Vec<_>>>()?;
    let size = input
        .mpu_object_size
        .map(u64::try_from)
        .transpose()
        .map_err(|_| s3_error!(InvalidArgument, "x-amz-mp-object-size is negative."))?;
    let object = store::complete_upload(store, bucket, upload, parts, size, conditions).await?;
    Ok(S3Response::new(CompleteMultipartUploadOutput {
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        bucket: Some(input.bucket),
        key: Some(input.key),
        e_tag: Some(to_etag(object.etag)),
        ..Default::default()
    }))
}

pub(super) async fn abort_multipart_upload(
    operations: &Operations,
    request: S3Request<AbortMultipartUploadInput>,
) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
    let input = request.input;
    let store = &operations.store;
    let upload = store::find_upload(store, &input.bucket, &input.key, &input.upload_id)?;
    store::abort_upload(store, upload).await?;
    Ok(S3Response::with_status(AbortMultipartUploadOutput::default(), StatusCode::NO_CONTENT))
}

pub(super) fn part_number(number: i32) -> S3Result<u16> {
    u16::try_from(number)
        .ok()
        .filter(|_| (1..=MAX_PART_NUMBER).contains(&number))
        .ok_or_else(|| s3_error!(InvalidArgument, "Part numbers must be between 1 and {}.", MAX_PART_NUMBER))
}
