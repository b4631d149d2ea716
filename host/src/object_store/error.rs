//! The errors of the object store.

use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use crate::error::{ApiError, Code};

/// Result of a request to the object store.
pub type StoreResult<T> = Result<T, StoreError>;

/// An error of the object store. If the response could be read, its HTTP status alone selects the variant, because
/// stores disagree on error codes.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{operation}: the bucket, object or upload does not exist")]
    NotFound { operation: &'static str },
    #[error("{operation}: the precondition failed")]
    PreconditionFailed { operation: &'static str },
    /// The store does not support this operation.
    #[error("{operation}: the store does not support this operation")]
    NotSupported { operation: &'static str },
    /// Any other status, usually 3xx or 4xx: wrong credentials, wrong region, or an invalid request.
    #[error("{operation}: the store refused the request with status {status} ({code}): {message}")]
    Refused { operation: &'static str, status: u16, code: String, message: String },
    /// A timeout (of the client or with status 408), a failed connection, too many requests (429), or any other error
    /// of the store itself (5xx).
    #[error("{operation}: the store is not available")]
    Unavailable {
        operation: &'static str,
        #[source]
        cause: anyhow::Error,
    },
    #[error("{operation}: the store has no space left")]
    Full {
        operation: &'static str,
        #[source]
        cause: anyhow::Error,
    },
    #[error("{operation}: the object is larger than {max_bytes} bytes")]
    TooLarge { operation: &'static str, max_bytes: usize },
    /// The request could not be built or the response could not be read.
    #[error("{operation} failed")]
    Other {
        operation: &'static str,
        #[source]
        cause: anyhow::Error,
    },
}

impl StoreError {
    /// Returns whether the bucket, object or upload does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Returns whether the store refuses the access key. The owner must then change the configuration. A refusal
    /// because of a wrong clock does not count: it ends when the clock is right again.
    pub fn is_key_refused(&self) -> bool {
        matches!(self, Self::Refused { status: 401 | 403, code, .. } if code != "RequestTimeTooSkewed")
    }

    /// Returns whether the continuation token of a list may be the reason for the error. Errors with status 401 and 403
    /// have other reasons, such as the access key or the clock.
    pub fn may_refuse_token(&self) -> bool {
        match self {
            Self::Refused { status, .. } => !matches!(status, 401 | 403),
            Self::NotFound { .. } => true,
            _ => false,
        }
    }

    /// Converts an error of the SDK. `operation` is the name of the S3 call.
    #[expect(clippy::needless_pass_by_value, reason = "map_err passes the error by value")]
    pub(super) fn from_sdk<E>(operation: &'static str, error: SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        // The SDK's `Display` omits the causes; `DisplayErrorContext` includes them.
        let cause = anyhow::anyhow!("{}", DisplayErrorContext(&error));
        match &error {
            SdkError::ServiceError(service) => {
                Self::from_status(operation, service.raw().status().as_u16(), service.err(), cause)
            }
            // The SDK could not read the response to its end.
            SdkError::ResponseError(response) => match response.raw().status().as_u16() {
                404 => Self::NotFound { operation },
                412 => Self::PreconditionFailed { operation },
                507 => Self::Full { operation, cause },
                200..300 | 408 | 429 | 500.. => Self::Unavailable { operation, cause },
                _ => Self::Other { operation, cause },
            },
            SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) => Self::Unavailable { operation, cause },
            _ => Self::Other { operation, cause },
        }
    }

    fn from_status<E: ProvideErrorMetadata>(
        operation: &'static str,
        status: u16,
        error: &E,
        cause: anyhow::Error,
    ) -> Self {
        // When S3 finds an error after it has begun to respond with 200, as it can for copies and completed uploads,
        // the error is in the body.
        let status = match (status, error.code()) {
            (200..300, Some("NoSuchKey" | "NoSuchUpload" | "NoSuchBucket")) => 404,
            (200..300, Some("PreconditionFailed")) => 412,
            (200..300, Some("InvalidPart" | "InvalidPartOrder" | "EntityTooSmall")) => 400,
            (200..300, _) => 500,
            _ => status,
        };
        match status {
            404 => Self::NotFound { operation },
            412 => Self::PreconditionFailed { operation },
            405 | 501 => Self::NotSupported { operation },
            507 => Self::Full { operation, cause },
            // 429 is caused by the load of the platform, not by the caller.
            408 | 429 | 500.. => Self::Unavailable { operation, cause },
            _ => Self::Refused {
                operation,
                status,
                code: error.code().unwrap_or("no code").to_owned(),
                message: error.message().unwrap_or("no message").to_owned(),
            },
        }
    }
}

/// The conversion for requests of the platform itself. Where a client's request can be at fault, the slice converts
/// that case first.
impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { .. } => Self::new(Code::ObjectNotFound, "The object does not exist."),
            StoreError::NotSupported { .. } => {
                Self::new(Code::NotImplemented, "The configured object store does not support this operation.")
                    .with_cause(error)
            }
            StoreError::Unavailable { .. } => Self::unavailable("The object store", error),
            StoreError::Full { .. } => Self::new(Code::Unavailable, "The object store has no space left.")
                .with_hint("Add space to the object store, or remove files.")
                .with_cause(error),
            // Not an internal error: the store's configuration or a clock is wrong, not the program.
            StoreError::Refused { status: 401 | 403, .. } => Self::new(
                Code::Unavailable,
                "The object store refuses the requests of AtlasHub: its access key or its clock is wrong.",
            )
            .with_hint("The owner can find the reason with `atlashub doctor`.")
            .with_cause(error),
            StoreError::PreconditionFailed { .. }
            | StoreError::Refused { .. }
            | StoreError::TooLarge { .. }
            | StoreError::Other { .. } => Self::internal(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::error::ErrorMetadata;

    use super::*;

    #[test]
    fn error_in_the_body_of_a_successful_response_decides() {
        let error = |code: &str| {
            let metadata = ErrorMetadata::builder().code(code).build();
            StoreError::from_status("CompleteMultipartUpload", 200, &metadata, anyhow::anyhow!("{}", code.to_owned()))
        };
        assert!(matches!(error("InternalError"), StoreError::Unavailable { .. }));
        assert!(matches!(error("NoSuchUpload"), StoreError::NotFound { .. }));
        assert!(matches!(error("PreconditionFailed"), StoreError::PreconditionFailed { .. }));
        assert!(matches!(error("InvalidPart"), StoreError::Refused { status: 400, .. }));
    }

    #[test]
    fn refused_key_is_a_503_and_a_wrong_clock_does_not_refuse_the_key() {
        let refused = |status: u16, code: &str| StoreError::Refused {
            operation: "ListObjectsV2",
            status,
            code: code.to_owned(),
            message: String::new(),
        };
        for (status, code, is_key_refused) in [
            (403, "SignatureDoesNotMatch", true),
            (403, "InvalidAccessKeyId", true),
            (401, "no code", true),
            (403, "RequestTimeTooSkewed", false),
        ] {
            let error = refused(status, code);
            assert_eq!(error.is_key_refused(), is_key_refused, "{status} {code}");
            assert!(!error.may_refuse_token(), "{status} {code}");
            assert_eq!(ApiError::from(error).status(), 503, "{status} {code}");
        }
        assert!(!refused(400, "InvalidRequest").is_key_refused());
        assert!(refused(400, "InvalidArgument").may_refuse_token());
        assert_eq!(ApiError::from(refused(400, "InvalidRequest")).status(), 500);
    }
}
