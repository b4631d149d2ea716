//! The errors of dumps.

use tokio_postgres::error::SqlState;

use super::stderr::{is_disconnection, safe_message};
use crate::db::{DbError, connect::LoginError};

/// Postgres's message if `pg_dump` waits too long for the lock of a table. `pg_dump` limits the time of no statement
/// except `LOCK TABLE`.
const LOCK_TIMEOUT: &str = "canceling statement due to statement timeout";

/// An error of a dump. The bytes that were read are then not a complete dump.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// The database doesn't exist, for example because its project was deleted.
    #[error("the database doesn't exist")]
    Gone,
    #[error(
        "no pg_dump of version {server_major} or newer was found: install the Postgres {server_major} client programs \
         (on Debian: `apt-get install postgresql-client-{server_major}`)"
    )]
    NoProgram { server_major: u32 },
    /// Another session holds a conflicting lock on a table.
    #[error("a table is locked by a change of its schema; retry when the change has ended")]
    Locked,
    /// Postgres rejected the dump, for example because the role may not read a table. Contains Postgres's message.
    #[error("Postgres rejected the dump: {0}")]
    Refused(String),
    #[error("Postgres can't be reached")]
    Unreachable(#[source] anyhow::Error),
    /// `pg_dump` failed. Contains its message without the server's address and the statement.
    #[error("pg_dump failed: {0}")]
    Failed(String),
    /// The dump was not read completely, or the process is shutting down.
    #[error("the dump was stopped before its end")]
    Abandoned,
    /// `pg_dump` could not be started, or can't run with this configuration.
    #[error("pg_dump could not be run: {0:#}")]
    NotRun(#[source] anyhow::Error),
}

impl DumpError {
    /// Returns whether a retry may succeed without a change of the configuration.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Locked | Self::Unreachable(_) | Self::Abandoned)
    }

    /// Converts the error messages of a failed `pg_dump`.
    pub(super) fn from_program(stderr: &str) -> Self {
        let message = safe_message("pg_dump", stderr);
        let is_reason = |line: &&str| {
            ["pg_dump: error: ", "pg_dump: detail: Error message from server: "]
                .iter()
                .any(|start| line.starts_with(start))
        };
        if stderr.lines().filter(is_reason).any(is_disconnection) {
            Self::Unreachable(anyhow::anyhow!(message))
        } else if message.contains(LOCK_TIMEOUT) {
            Self::Locked
        } else {
            Self::Failed(message)
        }
    }

    pub(super) fn from_postgres(error: tokio_postgres::Error) -> Self {
        let Some(refusal) = error.as_db_error() else { return Self::Unreachable(error.into()) };
        let code = refusal.code();
        if *code == SqlState::LOCK_NOT_AVAILABLE {
            Self::Locked
        } else if *code == SqlState::INVALID_CATALOG_NAME {
            Self::Gone
        } else if ["08", "53", "57P"].iter().any(|class| code.code().starts_with(class)) {
            Self::Unreachable(error.into())
        } else {
            Self::Refused(refusal.message().to_owned())
        }
    }
}

impl From<LoginError> for DumpError {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Failed(error) => Self::from_postgres(error),
            LoginError::Socket(_) | LoginError::TimedOut => Self::Unreachable(error.into()),
        }
    }
}

impl From<DbError> for DumpError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Gone => Self::Gone,
            DbError::Postgres(error) => Self::from_postgres(error),
            error => Self::Unreachable(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dump_can_be_retried_after_a_lost_connection_or_a_locked_table() {
        let lost = "pg_dump: error: Dumping the contents of table \"t\" failed: PQgetCopyData() failed.\n\
            pg_dump: detail: Error message from server: server closed the connection unexpectedly\n\
            pg_dump: detail: Command was: COPY public.t (x) TO stdout;\n";
        let error = DumpError::from_program(lost);
        assert!(matches!(error, DumpError::Unreachable(_)) && error.is_retryable(), "{error:?}");
        let locked = "pg_dump: error: query failed: ERROR:  canceling statement due to statement timeout\n\
            pg_dump: detail: Query was: LOCK TABLE public.t IN ACCESS SHARE MODE\n";
        let error = DumpError::from_program(locked);
        assert!(matches!(error, DumpError::Locked) && error.is_retryable(), "{error:?}");
        let refused = "pg_dump: error: query failed: ERROR:  permission denied for table t\n";
        let error = DumpError::from_program(refused);
        assert!(matches!(error, DumpError::Failed(_)) && !error.is_retryable(), "{error:?}");
    }
}
