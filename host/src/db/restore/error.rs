//! The errors of restoring archives.

use tokio_postgres::error::SqlState;

use crate::{
    db::{connect::LoginError, dump::DumpError},
    error::is_disk_full,
};

/// Postgres's description of a full disk. `pg_restore` prints it, but not the SQLSTATE.
const NO_SPACE: &str = "No space left on device";

/// An error of restoring an archive.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error(
        "the archive needs pg_restore {major} or newer, which this server does not have; install the Postgres {major} \
         client programs next to AtlasHub (on Debian: `apt-get install postgresql-client-{major}`)"
    )]
    NoProgram { major: u32 },
    /// Postgres rejected a statement of the platform's role, for example because the role may not create databases.
    /// Contains Postgres's message.
    #[error("Postgres rejected a statement of the platform's role: {0}; `atlashub doctor` lists missing privileges")]
    Refused(String),
    #[error("Postgres can't be reached")]
    Unreachable(#[source] anyhow::Error),
    /// The disk is full. This does not mean that the archive is damaged.
    #[error("the disk of the Postgres server is full; free space on it or enlarge it, then try again")]
    DiskFull,
    /// Postgres lacked a resource, failed itself, or cancelled a statement. This does not mean that the archive is
    /// damaged. Contains Postgres's message.
    #[error("Postgres could not finish the work: {0}; try again")]
    Interrupted(String),
    /// The archive can't be restored, or its rows can't be counted. Contains the message of `pg_restore` or Postgres,
    /// without the server's address and the statement.
    #[error("the archive can't be restored: {0}")]
    Failed(String),
    /// An object can't be created after the rows were loaded. It can be left out, see `FailedObjects`.
    #[error("the archive can't be restored: {object}: {message}")]
    FailedObject {
        /// For example `INDEX public.items_name_idx`.
        object: String,
        /// Postgres's message.
        message: String,
    },
    /// The file is not an archive that can be restored. Contains the reason.
    #[error("{0}")]
    NotAnArchive(String),
    #[error("the archive is a dump of a platform database, which can't be restored into a project")]
    OfPlatform,
    /// The archive could not be read completely.
    #[error("the archive could not be read completely")]
    Archive(#[source] std::io::Error),
    /// `pg_restore` could not be started, or can't run with this configuration.
    #[error("pg_restore could not be run: {0:#}")]
    NotRun(#[source] anyhow::Error),
}

impl RestoreError {
    /// Returns whether the content of the archive is the reason. The archive was then read completely, unless
    /// [`inspect`](super::Restorer::inspect) returned the error.
    pub fn is_of_content(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::FailedObject { .. })
    }

    /// Converts the message of a failed `pg_restore`.
    pub(super) fn from_program(message: String) -> Self {
        // Postgres says what it could not do, and why. A function of the archive can raise an error that only quotes
        // the reason.
        if message.lines().any(|line| line.contains("could not ") && line.ends_with(NO_SPACE)) {
            return Self::DiskFull;
        }
        Self::Failed(message)
    }

    /// Converts an error of a connection of the platform's role, for example one that creates a scratch database.
    pub(super) fn from_administration(error: sqlx::Error) -> Self {
        match &error {
            error if is_disk_full(error) => Self::DiskFull,
            // Classes 08, 53, 57P: the connection failed, resources are exhausted, the server shuts down.
            sqlx::Error::Database(refusal)
                if !refusal
                    .code()
                    .is_some_and(|code| ["08", "53", "57P"].iter().any(|class| code.starts_with(class))) =>
            {
                Self::Refused(refusal.message().to_owned())
            }
            _ => Self::Unreachable(error.into()),
        }
    }

    /// Converts an error of the role that counts rows.
    pub(super) fn from_scratch(error: tokio_postgres::Error) -> Self {
        // Class 53: resources are exhausted, which says nothing about the archive.
        match error.code() {
            Some(&SqlState::DISK_FULL) => Self::DiskFull,
            Some(code) if code.code().starts_with("53") => Self::Unreachable(error.into()),
            _ => Self::from_statement("its rows can't be counted", error),
        }
    }

    /// Converts an error of a statement on the restored database. `problem` is the beginning of the message.
    pub(super) fn from_statement(problem: &str, error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(refusal) if *refusal.code() == SqlState::DISK_FULL => Self::DiskFull,
            Some(refusal) if !refusal.code().code().starts_with("57P") => {
                let message = format!("{problem}: {}", refusal.message());
                if is_of_server(refusal.code()) { Self::Interrupted(message) } else { Self::Failed(message) }
            }
            _ => Self::Unreachable(error.into()),
        }
    }
}

/// Returns whether an error with this code says nothing about the archive: resources are exhausted (class 53), the
/// statement was cancelled or the server shuts down (57), or the system failed (58). A missing file is an exception:
/// the archive needs a library that the server does not have.
pub(super) fn is_of_server(code: &SqlState) -> bool {
    *code != SqlState::UNDEFINED_FILE && ["53", "57", "58"].iter().any(|class| code.code().starts_with(class))
}

/// Converts an error of a login of a role that only has access to the restored database.
impl From<LoginError> for RestoreError {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Failed(error) => Self::from_scratch(error),
            LoginError::Socket(_) | LoginError::TimedOut => Self::Unreachable(error.into()),
        }
    }
}

/// Converts an error of finding the programs.
impl From<DumpError> for RestoreError {
    fn from(error: DumpError) -> Self {
        match error {
            DumpError::NoProgram { server_major } => Self::NoProgram { major: server_major },
            error => Self::NotRun(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exhausted_resources_cancellations_and_system_errors_are_of_the_server() {
        let is_of_server = |code: &str| is_of_server(&SqlState::from_code(code));
        assert!(["53200", "53400", "57014", "57P01", "58030"].into_iter().all(is_of_server));
        assert!(!["58P01", "23505", "22012", "P0001", "42P01", "54000", "XX000"].into_iter().any(is_of_server));
    }
}
