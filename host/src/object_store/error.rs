use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use crate::error::{ApiError, Code};

pub type StoreResult<T> = Result<T, StoreError>;

/// Why the store did not do what it was asked. Cases follow the HTTP status alone, since stores disagree on codes.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{operation}: there is no such bucket, object or upload")]
    NotFound { operation: &'static str },
    #[error("{operation}: the precondition does not hold")]
    PreconditionFailed { operation: &'static str },
    /// The store does not have this feature.
    #[error("{operation}: the store does not support it")]
    NotSupported { operation: &'static str },
    /// Another 3xx or 4xx: wrong credentials, wrong region, or a request the store finds invalid.
    #[error("{operation}: the store refused with {status} {code}: {message}")]
    Refused { operation: &'static str, status: u16, code: String, message: String },
    /// No answer in time, no connection, or a fault of the store's own.
    #[error("{operation}: the store can't be reached")]
    Unavailable {
        operation: &'static str,
        #[source]
        cause: anyhow::Error,
    },
    /// A request that could not be built or an answer that could not be read.
    #[error("{operation} failed")]
    Other {
        operation: &'static str,
        #[source]
        cause: anyhow::Error,
    },
}

impl StoreError {
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// The status of a refusal that is the request's fault.
    pub fn refused_status(&self) -> Option<u16> {
        match self {
            Self::NotFound { .. } => Some(404),
            Self::PreconditionFailed { .. } => Some(412),
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Wraps an error of the SDK; `operation` names the S3 call.
    #[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
    pub(super) fn from_sdk<E>(operation: &'static str, error: SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        // The SDK's Display says next to nothing; this walks the chain.
        let cause = anyhow::anyhow!("{}", DisplayErrorContext(&error));
        match &error {
            SdkError::ServiceError(service) => {
                Self::from_status(operation, service.raw().status().as_u16(), service.err(), cause)
            }
            // Answers without a body that the SDK understands, such as a proxy's page.
            SdkError::ResponseError(response) => match response.raw().status().as_u16() {
                404 => Self::NotFound { operation },
                412 => Self::PreconditionFailed { operation },
                500.. => Self::Unavailable { operation, cause },
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
        match status {
            404 => Self::NotFound { operation },
            412 => Self::PreconditionFailed { operation },
            405 | 501 => Self::NotSupported { operation },
            // Too many requests is the platform's load, not the caller's fault.
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

/// The mapping for calls of our own; where a client's request can be at fault, the slice maps that case first.
impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { .. } => Self::new(Code::ObjectNotFound, "There is no such object."),
            StoreError::NotSupported { .. } => {
                Self::new(Code::NotImplemented, "The object store in use can't do this.").with_cause(error)
            }
            StoreError::Unavailable { .. } => Self::unavailable("The object store", error),
            StoreError::PreconditionFailed { .. } | StoreError::Refused { .. } | StoreError::Other { .. } => {
                Self::internal(error)
            }
        }
    }
}
