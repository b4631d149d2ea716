//! The failures of restores, and the messages that the owner sees.

use crate::{
    backups::ObjectsError,
    db::restore::RestoreError,
    error::{ApiError, Code, describe_cause, is_disk_full},
    jobs::RunFailure,
    object_store::StoreError,
    projects::ReplacementError,
    secrets::{AgeError, age_file},
};

/// Advice for the owner if the archive is encrypted, and the identity is missing or wrong.
const GIVE_IDENTITY: &str = " Plan the restore again, and confirm it with `identity`.";
/// Advice for the owner if a database object, such as an index, can't be created.
const LEAVE_OUT: &str = " To leave out such objects, plan the restore again, and confirm it with `skipFailedObjects`.";

/// An error of a restore's run. The project's database was not changed, unless the connection was lost while the swap
/// was committed.
#[derive(Debug, thiserror::Error)]
pub(super) enum RestoreFailure {
    #[error("the archive is missing in the object store")]
    Missing,
    #[error("the database from before the restore no longer exists")]
    PreviousGone,
    #[error("the project was deleted")]
    ProjectDeleted,
    #[error("the archive changed since the restore was planned; plan it again")]
    Changed,
    /// The archive's content differs from the manifest or the plan.
    #[error("{0}")]
    Differs(String),
    #[error("the archive can't be opened: {0}")]
    Encrypted(#[from] AgeError),
    /// The objects of the backup could not all be copied into the project's buckets. Those that were copied stay.
    #[error("not all files of the backup were restored: {0}")]
    Objects(#[source] ObjectsError),
    #[error("the run no longer holds its lease")]
    LeaseLost,
    #[error("the object store can't be read: {0}")]
    Store(#[from] StoreError),
    #[error("the platform database can't be reached or returned an error")]
    Platform(#[from] sqlx::Error),
    #[error("{0}")]
    Load(#[from] RestoreError),
    #[error("{0}")]
    Replace(#[from] ReplacementError),
    #[error("an internal task ended unexpectedly")]
    Ended(#[from] tokio::task::JoinError),
}

impl From<RestoreFailure> for RunFailure {
    fn from(failure: RestoreFailure) -> Self {
        let message = match &failure {
            failure if is_disk_full(failure) => {
                // A step other than loading the archive failed because the disk was full.
                tracing::warn!(cause = describe_cause(failure), "a restore found the disk of Postgres full");
                RestoreError::DiskFull.to_string()
            }
            RestoreFailure::Load(RestoreError::NotRun(cause)) => {
                // The cause is only logged, because it contains paths.
                tracing::error!(cause = describe_cause(cause.as_ref()), "pg_restore could not be run");
                "pg_restore could not be run; the server's log has the cause".to_owned()
            }
            RestoreFailure::Load(RestoreError::Unreachable(cause)) => {
                // The cause is only logged, because it contains addresses.
                tracing::warn!(cause = describe_cause(cause.as_ref()), "Postgres could not be reached by a restore");
                failure.to_string()
            }
            RestoreFailure::Load(RestoreError::Archive(cause)) if age_file::is_damage(cause) => {
                "the archive was changed or damaged: it can't be decrypted completely".to_owned()
            }
            RestoreFailure::Load(RestoreError::Archive(cause)) | RestoreFailure::Encrypted(AgeError::Read(cause)) => {
                tracing::warn!(cause = describe_cause(cause), "an archive could not be read");
                "the archive could not be read completely from the object store".to_owned()
            }
            RestoreFailure::Replace(ReplacementError::Database(error)) => match error.as_database_error() {
                Some(refusal) => format!("Postgres refused to replace the database: {}", refusal.message()),
                None => platform_unreachable(error),
            },
            RestoreFailure::Platform(error) => match error.as_database_error() {
                Some(refusal) => {
                    tracing::warn!(cause = describe_cause(error), "Postgres refused a query of a restore");
                    format!("Postgres refused a query: {}", refusal.message())
                }
                None => platform_unreachable(error),
            },
            // The message does not contain the cause.
            RestoreFailure::Objects(_) | RestoreFailure::Store(_) | RestoreFailure::Ended(_) => {
                tracing::warn!(cause = describe_cause(&failure), "a restore failed");
                failure.to_string()
            }
            failure => failure.to_string(),
        };
        let unchanged = match &failure {
            RestoreFailure::Objects(_) => "The database was not changed; files that were already restored stay.",
            RestoreFailure::ProjectDeleted => return Self::refused("The project was deleted."),
            // The connection may have been lost while the swap was committed, together with the restore's state.
            RestoreFailure::Replace(ReplacementError::Database(error)) if error.as_database_error().is_none() => {
                "The state of the restore says whether the project's database was replaced."
            }
            _ => "The project's database was not changed.",
        };
        let choice = match &failure {
            RestoreFailure::Load(RestoreError::FailedObject { .. }) => LEAVE_OUT,
            RestoreFailure::Encrypted(AgeError::IdentityRequired | AgeError::WrongIdentity) => GIVE_IDENTITY,
            _ => "",
        };
        Self::refused(format!("{}. {unchanged}{choice}", uppercase_first(&message)))
    }
}

impl From<ReplacementError> for ApiError {
    fn from(error: ReplacementError) -> Self {
        match error {
            ReplacementError::Database(error) => error.into(),
            ReplacementError::Gone => Self::not_found("project"),
            ReplacementError::Refused(error) => error,
            error => {
                let message = format!("{}.", uppercase_first(&error.to_string()));
                Self::new(Code::Conflict, message).with_hint("Try again in a moment.")
            }
        }
    }
}

/// Logs the error of a connection, and returns the message for the owner.
fn platform_unreachable(error: &sqlx::Error) -> String {
    tracing::warn!(cause = describe_cause(error), "Postgres could not be reached by a restore");
    "the platform database can't be reached".to_owned()
}

/// Returns the text with an upper-case first letter and without full stops at its end.
fn uppercase_first(text: &str) -> String {
    let mut characters = text.trim_end_matches('.').chars();
    let first = characters.next().map(|first| first.to_uppercase().collect::<String>()).unwrap_or_default();
    first + characters.as_str()
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use sqlx::error::{DatabaseError, ErrorKind};

    use super::*;

    /// An error that Postgres returns for a query.
    #[derive(Debug)]
    struct Refusal;

    impl fmt::Display for Refusal {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.message())
        }
    }

    impl std::error::Error for Refusal {}

    impl DatabaseError for Refusal {
        fn message(&self) -> &'static str {
            "permission denied for table restores"
        }

        fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }
    }

    #[test]
    fn failure_of_a_query_says_whether_postgres_refused_it_or_was_not_reached() {
        for (error, expected) in [
            (
                sqlx::Error::Database(Box::new(Refusal)),
                "Postgres refused a query: permission denied for table restores. The project's database was not \
                 changed.",
            ),
            (
                sqlx::Error::PoolTimedOut,
                "The platform database can't be reached. The project's database was not changed.",
            ),
        ] {
            let RunFailure::Failed { message, .. } = RestoreFailure::from(error).into() else { panic!("failed") };
            assert_eq!(message, expected);
        }
    }

    #[test]
    fn failure_after_a_lost_connection_does_not_say_that_the_database_was_not_changed() {
        let failure = RestoreFailure::from(ReplacementError::from(sqlx::Error::WorkerCrashed));
        let RunFailure::Failed { message, .. } = failure.into() else { panic!("failed") };
        assert_eq!(
            message,
            "The platform database can't be reached. The state of the restore says whether the project's database was \
             replaced."
        );
    }

    #[test]
    fn failure_says_that_the_database_was_not_changed() {
        let RunFailure::Failed { message, retryable, .. } = RestoreFailure::Missing.into() else { panic!("failed") };
        assert_eq!(message, "The archive is missing in the object store. The project's database was not changed.");
        assert!(!retryable);
    }

    #[test]
    fn failure_at_a_full_disk_says_what_to_do() {
        let RunFailure::Failed { message, .. } = RestoreFailure::Load(RestoreError::DiskFull).into() else {
            panic!("failed")
        };
        assert_eq!(
            message,
            "The disk of the Postgres server is full; free space on it or enlarge it, then try again. The project's \
             database was not changed."
        );
    }

    #[test]
    fn failure_of_a_deleted_project_gives_no_advice() {
        let RunFailure::Failed { message, .. } = RestoreFailure::ProjectDeleted.into() else { panic!("failed") };
        assert_eq!(message, "The project was deleted.");
    }

    #[test]
    fn only_a_missing_or_wrong_identity_can_be_remedied_with_an_identity() {
        for (error, is_remedied) in [
            (AgeError::IdentityRequired, true),
            (AgeError::WrongIdentity, true),
            (AgeError::Damaged, false),
            (AgeError::Read(std::io::Error::other("down")), false),
        ] {
            let name = error.to_string();
            let RunFailure::Failed { message, .. } = RestoreFailure::from(error).into() else { panic!("failed") };
            assert_eq!(message.contains("confirm it with `identity`"), is_remedied, "{name}: {message}");
        }
    }

    #[test]
    fn failure_at_an_object_says_that_it_can_be_left_out() {
        let (object, message) = ("INDEX public.a_idx".to_owned(), "division by zero".to_owned());
        let failure = RestoreFailure::Load(RestoreError::FailedObject { object, message });
        let RunFailure::Failed { message, .. } = failure.into() else { panic!("failed") };
        assert_eq!(
            message,
            "The archive can't be restored: INDEX public.a_idx: division by zero. The project's database was not \
             changed. To leave out such objects, plan the restore again, and confirm it with `skipFailedObjects`."
        );
    }
}
