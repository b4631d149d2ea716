use std::time::Duration;

use crate::error::{ApiError, Code};

/// Why a project's database did not answer a statement.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// Postgres refused the statement; `as_db_error` has its SQLSTATE.
    #[error(transparent)]
    Postgres(#[from] tokio_postgres::Error),
    /// No connection could be opened, or it was lost before the answer.
    #[error("the project's database can't be reached")]
    Unreachable(#[source] anyhow::Error),
    /// No connection became free in time.
    #[error("no connection became free in time")]
    Overloaded,
    /// The statement did not end in time.
    #[error("the statement did not end in time")]
    Timeout,
    /// The project is being deleted, or gone.
    #[error("the project is gone")]
    Gone,
}

impl DbError {
    /// SQLSTATE and message, where Postgres itself refused.
    pub fn as_db_error(&self) -> Option<&tokio_postgres::error::DbError> {
        match self {
            Self::Postgres(error) => error.as_db_error(),
            _ => None,
        }
    }
}

/// The mapping for statements of our own; statements made from a client's request map their SQLSTATEs first.
impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Postgres(error) if error.as_db_error().is_some() => Self::internal(error),
            DbError::Postgres(error) => Self::unavailable("The project's database", error),
            DbError::Unreachable(cause) => Self::unavailable("The project's database", cause),
            DbError::Overloaded => Self::new(Code::Overloaded, "No database connection became free in time.")
                .with_hint("Try again in a moment.")
                .with_retry_after(Duration::from_secs(1)),
            DbError::Timeout => Self::new(Code::Timeout, "The statement took too long and was stopped.")
                .with_hint("Ask for fewer rows, or add an index for the filter."),
            DbError::Gone => Self::not_found("project"),
        }
    }
}
