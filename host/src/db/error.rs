//! The errors of statements on projects' databases, and the errors that clients receive for them.

use std::time::Duration;

use tokio_postgres::error::SqlState;

use crate::error::{ApiError, Code, is_unstorable_text};

/// An error of a statement on a project's database.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// Postgres rejected the statement, or the connection was lost. [`Self::as_db_error`] returns the rejection.
    #[error(transparent)]
    Postgres(#[from] tokio_postgres::Error),
    /// No connection could be opened, or the connection was lost before the response.
    #[error("the project's database can't be reached")]
    Unreachable(#[source] anyhow::Error),
    /// No connection became free in time, or Postgres accepts no more connections.
    #[error("no connection became free in time")]
    Overloaded,
    /// The statement exceeded its timeout and was cancelled.
    #[error("the statement exceeded its timeout")]
    Timeout,
    /// A row is larger than a response may be.
    #[error("a row is larger than a response may be")]
    RowTooLarge,
    /// A cancellation that was meant for another statement on the connection cancelled this one.
    #[error("the statement was cancelled in place of another one")]
    Interrupted,
    /// A column of the result does not have the type that the receiver of the rows expects. Nothing was changed.
    #[error("a column of the result has an unexpected type")]
    Stale,
    /// The receiver of the rows rejected them.
    #[error("the rows can't be received: {0}")]
    Refused(ApiError),
    /// The database, or the stored password of the role, does not exist, for example because the project was deleted.
    #[error("the project no longer exists")]
    Gone,
}

impl DbError {
    /// Returns whether the statement may still be running, because its further rows are not received.
    pub(super) fn ends_early(&self) -> bool {
        matches!(self, Self::RowTooLarge | Self::Refused(_) | Self::Stale)
    }

    /// Returns SQLSTATE and message if Postgres rejected the statement.
    pub fn as_db_error(&self) -> Option<&tokio_postgres::error::DbError> {
        match self {
            Self::Postgres(error) => error.as_db_error(),
            _ => None,
        }
    }
}

/// Returns whether the error occurred inside a function that the statement called.
pub fn is_in_function(error: &tokio_postgres::error::DbError) -> bool {
    error.where_().is_some_and(|context| context.contains("function"))
}

/// The mapping for the host's fixed statements. Statements built from a client's request map SQLSTATEs first.
impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Postgres(error) => match error.code().map(SqlState::code) {
                Some("53100") => Self::disk_full().with_cause(error),
                Some(code) if is_unstorable_text(code) => Self::unstorable_text().with_cause(error),
                // Classes of failed connections, exhausted resources and shutdowns.
                Some(code) if !["08", "53", "57P"].iter().any(|class| code.starts_with(class)) => Self::internal(error),
                _ => Self::unavailable("The project's database", error),
            },
            DbError::Unreachable(cause) => Self::unavailable("The project's database", cause),
            DbError::Overloaded | DbError::Interrupted => {
                Self::new(Code::Overloaded, "No database connection became free in time.")
                    .with_hint("Retry after a second.")
                    .with_retry_after(Duration::from_secs(1))
            }
            DbError::Timeout => Self::new(Code::Timeout, "The statement exceeded its timeout and was cancelled.")
                .with_hint("Request fewer rows, or add an index for the filter."),
            DbError::RowTooLarge => {
                Self::new(Code::ResponseTooLarge, "The response would be larger than the maximum size of a response.")
                    .with_hint("Request fewer items at once.")
            }
            DbError::Stale => Self::new(Code::Conflict, "The definition of the table changed while the request ran.")
                .with_hint("Send the request again."),
            DbError::Refused(error) => error,
            DbError::Gone => Self::not_found("project"),
        }
    }
}
