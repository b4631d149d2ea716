//! Multipart uploads.

use std::sync::Arc;

use http::StatusCode;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::Operations;
use super::attributes::{
    check_key, checksum_type, reject_features, reject_unsupported, request_attributes, set_checksum, to_etag,
};
use super::conditions::write_conditions;
use super::put::body_expectations;
use crate::store::{self, Algorithm, CompletedPart, Coverage, DeclaredObject, StoreError, UploadChecksum};

/// Header with which AtlasHub permits that the ETag of a part is not its MD5, which saves processor time. Other clients
/// may compare ETags with MD5s.
const CRC_ETAG_HEADER: &str = "x-atlashub-crc-etag";
/// Maximum part number, as in S3.
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
    let checksum = upload_checksum(input.checksum_algorithm.as_ref(), input.checksum_type.as_ref())?;
    let upload_id = store::create_upload(&operations.store, bucket, input.key.clone(), attributes, checksum).await?;
    Ok(S3Response::new(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(upload_id),
        checksum_algorithm: checksum.map(|checksum| ChecksumAlgorithm::from_static(checksum.algorithm.name())),
        checksum_type: checksum.map(|checksum| ChecksumType::from_static(checksum.coverage.name())),
        ..Default::default()
    }))
}

/// Returns the algorithm and coverage of the object's checksum. As in S3, only CRCs can cover the whole object, and
/// CRC64NVME always does.
fn upload_checksum(
    algorithm: Option<&ChecksumAlgorithm>,
    coverage: Option<&ChecksumType>,
) -> S3Result<Option<UploadChecksum>> {
    let Some(algorithm) = algorithm else {
        return match coverage {
            None => Ok(None),
            Some(_) => Err(s3_error!(InvalidRequest, "x-amz-checksum-type needs x-amz-checksum-algorithm.")),
        };
    };
    let algorithm = Algorithm::from_name(algorithm.as_str())
        .ok_or_else(|| s3_error!(InvalidRequest, "The checksum algorithm {} is unknown.", algorithm.as_str()))?;
    let coverage = match coverage.map(ChecksumType::as_str) {
        None if algorithm == Algorithm::Crc64Nvme => Coverage::FullObject,
        Some(ChecksumType::FULL_OBJECT) if algorithm.can_combine() => Coverage::FullObject,
        None => Coverage::Composite,
        Some(ChecksumType::COMPOSITE) if algorithm != Algorithm::Crc64Nvme => Coverage::Composite,
        Some(coverage) => {
            let algorithm = algorithm.name();
            return Err(s3_error!(InvalidRequest, "The checksum type {} can't be used with {}.", coverage, algorithm));
        }
    };
    Ok(Some(UploadChecksum { algorithm, coverage }))
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
    let mut expectations = body_expectations(&mut input, &headers, trailing_headers)?;
    expectations.wanted = upload.record.checksum.map(|checksum| checksum.algorithm);
    expectations.allows_crc_etag = headers.contains_key(CRC_ETAG_HEADER);
    let body = input.body.take().ok_or_else(|| s3_error!(IncompleteBody))?;
    let ingested = store::ingest(store, body, expectations).await?;
    let part = store::put_part(store, upload, number, ingested).await?;
    let mut output = UploadPartOutput { e_tag: Some(to_etag(part.etag)), ..Default::default() };
    set_checksum!(output, part.checksum.as_ref());
    Ok(S3Response::new(output))
}

pub(super) async fn complete_multipart_upload(
    operations: &Operations,
    request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
    let input = request.input;
    let store = &operations.store;
    let bucket = store.bucket(&input.bucket)?;
    let conditions = write_conditions(input.if_match, input.if_none_match.as_ref())?;
    let parts = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
    if parts.is_empty() {
        return Err(s3_error!(MalformedXML, "The request names no parts."));
    }
    let parts = parts
        .into_iter()
        .map(|part| {
            let number = part.part_number.ok_or_else(|| s3_error!(MalformedXML, "A part has no number."))?;
            let checksum = Checksum {
                checksum_crc32: part.checksum_crc32,
                checksum_crc32c: part.checksum_crc32c,
                checksum_crc64nvme: part.checksum_crc64nvme,
                checksum_sha1: part.checksum_sha1,
                checksum_sha256: part.checksum_sha256,
                ..Default::default()
            };
            Ok(CompletedPart { number, etag: part.e_tag.map(ETag::into_value), checksum })
        })
        .collect::<S3Result<Vec<_>>>()?;
    let size = input
        .mpu_object_size
        .map(u64::try_from)
        .transpose()
        .map_err(|_| s3_error!(InvalidArgument, "x-amz-mp-object-size is negative."))?;
    let checksum = Checksum {
        checksum_crc32: input.checksum_crc32,
        checksum_crc32c: input.checksum_crc32c,
        checksum_crc64nvme: input.checksum_crc64nvme,
        checksum_sha1: input.checksum_sha1,
        checksum_sha256: input.checksum_sha256,
        ..Default::default()
    };
    let declared = DeclaredObject { size, checksum };
    let completed = match store::find_upload(store, &input.bucket, &input.key, &input.upload_id) {
        Ok(upload) => {
            store::complete_upload(store, Arc::clone(&bucket), upload, parts.clone(), declared, conditions).await
        }
        Err(error) => Err(error),
    };
    let object = match completed {
        // A client repeats the request if the response to the first request was lost.
        Err(StoreError::NoSuchUpload) => {
            store::completed_object(&bucket, &input.key, &input.upload_id, &parts).ok_or(StoreError::NoSuchUpload)?
        }
        completed => completed?,
    };
    let mut output = CompleteMultipartUploadOutput {
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        bucket: Some(input.bucket),
        key: Some(input.key),
        e_tag: Some(to_etag(object.etag)),
        checksum_type: checksum_type(object.checksum.as_deref()),
        ..Default::default()
    };
    set_checksum!(output, object.checksum.as_deref());
    Ok(S3Response::new(output))
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
