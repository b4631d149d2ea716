//! From the store's errors to S3's. Internals are logged here and never reach a client.

use http::StatusCode;
use s3s::{S3Error, S3ErrorCode, s3_error};

use crate::store::{IngestError, StoreError};

impl From<StoreError> for S3Error {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::NoSuchBucket => S3ErrorCode::NoSuchBucket,
            StoreError::BucketExists => S3ErrorCode::BucketAlreadyOwnedByYou,
            StoreError::BucketNotEmpty => S3ErrorCode::BucketNotEmpty,
            StoreError::NoSuchKey => S3ErrorCode::NoSuchKey,
            StoreError::NoSuchUpload => S3ErrorCode::NoSuchUpload,
            StoreError::PreconditionFailed => S3ErrorCode::PreconditionFailed,
            StoreError::InvalidPart(_) => S3ErrorCode::InvalidPart,
            StoreError::InvalidPartOrder => S3ErrorCode::InvalidPartOrder,
            StoreError::PartTooSmall(_) => S3ErrorCode::EntityTooSmall,
            StoreError::SizeMismatch { .. } => S3ErrorCode::InvalidRequest,
            StoreError::Io(source) if source.kind() == std::io::ErrorKind::StorageFull => {
                tracing::error!(error = %source, "the disk is full");
                let mut full = s3_error!(InternalError, "there is no space left for this object");
                full.set_status_code(StatusCode::INSUFFICIENT_STORAGE);
                return full;
            }
            StoreError::Io(source) => {
                tracing::error!(error = %source, "storage failed");
                return s3_error!(InternalError, "the storage could not be read or written");
            }
            StoreError::Interrupted => {
                return s3_error!(InternalError, "the request was interrupted");
            }
        };
        S3Error::with_message(code, error.to_string())
    }
}

impl From<IngestError> for S3Error {
    fn from(error: IngestError) -> Self {
        let code = match error {
            IngestError::Store(error) => return error.into(),
            IngestError::Length { .. } => S3ErrorCode::IncompleteBody,
            IngestError::TooLarge => S3ErrorCode::EntityTooLarge,
            IngestError::Digest(_) => S3ErrorCode::BadDigest,
            IngestError::Stalled => S3ErrorCode::RequestTimeout,
            // The types of these errors are private to s3s, their texts are all there is.
            IngestError::Body(ref source) => match source.to_string() {
                text if text.contains("Sha256Mismatch") => {
                    return s3_error!(BadDigest, "the body does not have the x-amz-content-sha256 that was declared");
                }
                text if text.contains("SignatureMismatch") => {
                    return s3_error!(SignatureDoesNotMatch, "a chunk of the body has a wrong signature");
                }
                _ => return s3_error!(IncompleteBody, "the body ended early or is malformed"),
            },
        };
        S3Error::with_message(code, error.to_string())
    }
}
