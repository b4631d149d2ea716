//! Maps errors of the store to S3 errors. Internal errors are logged here and not shown to clients.

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
            StoreError::ChecksumMismatch => S3ErrorCode::BadDigest,
            StoreError::Io(source) if source.kind() == std::io::ErrorKind::StorageFull => {
                tracing::error!(error = %source, "the disk is full");
                let mut error = s3_error!(InternalError, "There is no space left for this object.");
                error.set_status_code(StatusCode::INSUFFICIENT_STORAGE);
                return error;
            }
            StoreError::Io(source) => {
                tracing::error!(error = %source, "the storage folder could not be read or written");
                return s3_error!(InternalError, "The storage could not be read or written.");
            }
            StoreError::Interrupted => {
                return s3_error!(InternalError, "The request was interrupted. Send it again.");
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
            // The types of these errors are private to s3s, so they can only be recognized by their messages.
            IngestError::Body(ref source) => match source.to_string() {
                text if text.contains("Sha256Mismatch") => {
                    return s3_error!(BadDigest, "The body does not match the declared x-amz-content-sha256.");
                }
                text if text.contains("SignatureMismatch") => {
                    return s3_error!(SignatureDoesNotMatch, "A chunk of the body has a wrong signature.");
                }
                _ => return s3_error!(IncompleteBody, "The body ended early or is malformed."),
            },
        };
        S3Error::with_message(code, error.to_string())
    }
}
