//! The error of copying objects into backups, checking the copies, and restoring objects.

use std::io;

use crate::{
    error::{ApiError, describe_cause},
    object_store::StoreError,
    plugins::CatalogueError,
    secrets::{AgeError, age_file},
};

/// The reason why objects could not be copied into a backup, checked, or restored.
#[derive(Debug, thiserror::Error)]
pub enum ObjectsError {
    /// A problem of the backup, of the project's objects or of a request, with its description.
    #[error("{0}")]
    Failed(String),
    /// An error of another slice. Only its message is shown.
    #[error("{}", .0.message().trim_end_matches('.'))]
    Refused(#[from] ApiError),
    #[error("the backup's objects: {0}")]
    Encrypted(#[from] AgeError),
    #[error("the object store: {0}")]
    Store(#[from] StoreError),
    #[error("the platform database can't be reached or returned an error")]
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
            return Self::Failed(format!("{what} was changed or damaged: it can't be decrypted completely"));
        }
        match error.downcast::<StoreError>() {
            Ok(error) => Self::Store(error),
            Err(error) => {
                tracing::warn!(what, cause = describe_cause(&error), "a file of a backup can't be read");
                Self::Failed(format!("{what} can't be read completely"))
            }
        }
    }
}

impl From<ObjectsError> for CatalogueError {
    fn from(error: ObjectsError) -> Self {
        let described = describe_cause(&error);
        // `NotCopied` has only a message, so the cause is logged here.
        let not_copied = |message: String| {
            tracing::warn!(cause = described, "the objects of a project could not be copied or checked");
            Self::NotCopied(message)
        };
        match error {
            ObjectsError::Failed(problem) => Self::NotCopied(problem),
            error @ ObjectsError::Refused(_) => not_copied(error.to_string()),
            ObjectsError::Store(error @ StoreError::Full { .. }) => {
                not_copied(format!("the objects could not be copied: {error}"))
            }
            ObjectsError::Store(error) => Self::Unavailable { what: "the object store", cause: error.into() },
            ObjectsError::Database(error) => Self::Unavailable { what: "the platform database", cause: error.into() },
            ObjectsError::LockLost(error) => Self::Unavailable { what: "the platform database", cause: error.into() },
            error @ ObjectsError::Busy => Self::Unavailable { what: "the copies of objects", cause: error.into() },
            ObjectsError::Encrypted(error) => not_copied(error.to_string()),
            ObjectsError::Ended(error) => Self::Unavailable { what: "the object store", cause: error.into() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_of_another_slice_keeps_its_cause_for_the_log_only() {
        let error = ObjectsError::from(ApiError::unavailable("Postgres", io::Error::other("connection refused")));
        assert_eq!(error.to_string(), "Postgres can't be reached right now");
        assert!(describe_cause(&error).contains("connection refused"));
        let CatalogueError::NotCopied(message) = error.into() else { panic!("not copied") };
        assert_eq!(message, "Postgres can't be reached right now");
    }
}
