//! The error of copying objects, checking copies and bringing objects back.

use std::io;

use crate::{
    error::{ApiError, describe_cause},
    object_store::StoreError,
    plugins::CatalogueError,
    secrets::{AgeError, age_file},
};

/// The reason why objects could not be copied into a backup, checked, or brought back.
#[derive(Debug, thiserror::Error)]
pub enum ObjectsError {
    /// A problem of the backup, of the project's objects or of a request, with its description.
    #[error("{0}")]
    Failed(String),
    #[error("the backup's objects: {0}")]
    Encrypted(#[from] AgeError),
    #[error("the object store: {0}")]
    Store(#[from] StoreError),
    #[error("the platform database can't be reached")]
    Database(#[from] sqlx::Error),
    #[error("the connection that protects the copies of objects was lost")]
    LockLost(#[source] sqlx::Error),
    #[error("the copies of the project's objects are being swept; try again")]
    Busy,
    #[error("an internal task ended unexpectedly")]
    Ended(#[from] tokio::task::JoinError),
}

impl ObjectsError {
    /// Converts an error of a stream, encrypted or not. `what` names the stream in the message.
    pub(super) fn of_stream(what: &str, error: io::Error) -> Self {
        if age_file::is_damage(&error) {
            return Self::Failed(format!("{what} was changed: it can't be decrypted to its end"));
        }
        match error.downcast::<StoreError>() {
            Ok(error) => Self::Store(error),
            Err(error) => {
                tracing::warn!(what, cause = describe_cause(&error), "a file of a backup can't be read");
                Self::Failed(format!("{what} can't be read to its end"))
            }
        }
    }
}

impl From<ApiError> for ObjectsError {
    fn from(error: ApiError) -> Self {
        Self::Failed(error.message().trim_end_matches('.').to_owned())
    }
}

impl From<ObjectsError> for CatalogueError {
    fn from(error: ObjectsError) -> Self {
        match error {
            ObjectsError::Failed(problem) => Self::NotCopied(problem),
            ObjectsError::Store(error @ StoreError::Full { .. }) => {
                Self::NotCopied(format!("the objects could not be copied: {error}"))
            }
            ObjectsError::Store(error) => Self::Unavailable { what: "the object store", cause: error.into() },
            ObjectsError::Database(error) => Self::Unavailable { what: "the platform database", cause: error.into() },
            ObjectsError::LockLost(error) => Self::Unavailable { what: "the platform database", cause: error.into() },
            error @ ObjectsError::Busy => Self::Unavailable { what: "the copies of objects", cause: error.into() },
            ObjectsError::Encrypted(error) => Self::NotCopied(error.to_string()),
            ObjectsError::Ended(error) => Self::Unavailable { what: "the object store", cause: error.into() },
        }
    }
}
