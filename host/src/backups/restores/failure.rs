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
/// Advice for the owner if an object can't be created.
const LEAVE_OUT: &str = " To leave out such objects, plan the restore again, and confirm it with `skipFailedObjects`.";

/// An error of a restore's run. The project's database was not changed.
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
    /// Objects that were already brought back stay.
    #[error("the objects were not all brought back: {0}")]
    Objects(#[source] ObjectsError),
    #[error("the run no longer holds its lease")]
    LeaseLost,
    #[error("the object store can't be read: {0}")]
    Store(#[from] StoreError),
    #[error("the platform database can't be reached")]
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
                // Another step than loading the archive found the full disk.
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
                "the archive was changed: it can't be decrypted to its end".to_owned()
            }
            RestoreFailure::Load(RestoreError::Archive(cause)) | RestoreFailure::Encrypted(AgeError::Read(cause)) => {
                tracing::warn!(cause = describe_cause(cause), "an archive could not be read");
                "the archive could not be read from the object store to its end".to_owned()
            }
            RestoreFailure::Replace(ReplacementError::Database(error)) => match error.as_database_error() {
                Some(refusal) => format!("Postgres refused to replace the database: {}", refusal.message()),
                None => {
                    tracing::warn!(cause = describe_cause(error), "Postgres could not be reached by a restore");
                    "the platform database can't be reached".to_owned()
                }
            },
            // The message does not contain the cause.
            RestoreFailure::Objects(_)
            | RestoreFailure::Store(_)
            | RestoreFailure::Platform(_)
            | RestoreFailure::Ended(_) => {
                tracing::warn!(cause = describe_cause(&failure), "a restore failed");
                failure.to_string()
            }
            failure => failure.to_string(),
        };
        let unchanged = match &failure {
            RestoreFailure::Objects(_) => "The database was not changed; objects that were already brought back stay.",
            RestoreFailure::ProjectDeleted => return Self::refused("The project was deleted."),
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

/// Writes a message as the beginning of a sentence, without a full stop at its end.
fn uppercase_first(text: &str) -> String {
    let mut characters = text.trim_end_matches('.').chars();
    let first = characters.next().map(|first| first.to_uppercase().collect::<String>()).unwrap_or_default();
    first + characters.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

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
