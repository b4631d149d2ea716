//! The errors of dumps.

use tokio_postgres::error::SqlState;

use crate::db::{DbError, connect::LoginError};

/// An error of a dump. The bytes that were read are then not a complete archive.
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
    /// `pg_dump` failed. Contains its message without addresses and statements.
    #[error("pg_dump failed: {0}")]
    Failed(String),
    /// The archive was not read completely, or the process is shutting down.
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
