use tokio_postgres::error::SqlState;

use crate::db::DbError;

/// Why there is no dump, or what was read is none.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// The project is gone.
    #[error("there is no such database")]
    Gone,
    #[error(
        "no pg_dump of version {server_major} or newer was found, so no dump can be made: install the Postgres \
         {server_major} client programs (on Debian: `apt-get install postgresql-client-{server_major}`)"
    )]
    NoProgram { server_major: u32 },
    /// Something holds a table's lock for long.
    #[error("a table is locked by a change of its schema that doesn't end; try again when it has ended")]
    Locked,
    /// Postgres said no: a table that the role may not read, for example. The message is Postgres's.
    #[error("Postgres refused: {0}")]
    Refused(String),
    #[error("Postgres can't be reached")]
    Unreachable(#[source] anyhow::Error),
    /// `pg_dump` ended without a whole archive. The message is its own, without addresses and statements.
    #[error("pg_dump failed: {0}")]
    Failed(String),
    /// The archive was not read to its end, or the process is ending.
    #[error("the dump was given up before its end")]
    Abandoned,
    /// `pg_dump` could not be run, or not with this configuration.
    #[error("pg_dump could not be run: {0:#}")]
    NotRun(#[source] anyhow::Error),
}

impl DumpError {
    /// Whether the same call may succeed later without anybody mending something.
    pub fn is_passing(&self) -> bool {
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

impl From<DbError> for DumpError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Gone => Self::Gone,
            DbError::Postgres(error) => Self::from_postgres(error),
            error => Self::Unreachable(error.into()),
        }
    }
}
