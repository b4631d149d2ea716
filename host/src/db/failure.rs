//! Classifies failures of statements.

use tokio_postgres::error::SqlState;

use super::{DbError, connect::LoginError};

/// Returns whether the connection was lost before a response arrived. The statement may or may not have run.
pub(super) fn is_connection_lost(error: &DbError) -> bool {
    matches!(error, DbError::Postgres(error) if ends_connection(error))
}

fn ends_connection(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        // Codes that begin with 57P: the server shut the session down.
        Some(code) => code.code().starts_with("57P"),
        // Without a code, the socket is broken or the client is closed.
        None => {
            error.is_closed() || std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>())
        }
    }
}

pub(super) fn is_cancelled(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| *code == SqlState::QUERY_CANCELED)
}

/// Converts a cancelled statement to [`DbError::Timeout`], and a lost connection to [`DbError::Unreachable`].
pub(super) fn as_unreachable<T>(result: Result<T, DbError>) -> Result<T, DbError> {
    match result {
        Err(DbError::Postgres(error)) if is_cancelled(&error) => Err(DbError::Timeout),
        Err(DbError::Postgres(error)) if ends_connection(&error) => Err(DbError::Unreachable(error.into())),
        result => result,
    }
}

/// Converts the error of a login.
pub(super) fn connect_error(error: LoginError) -> DbError {
    match error.code() {
        Some(code) if *code == SqlState::TOO_MANY_CONNECTIONS => DbError::Overloaded,
        Some(code) if *code == SqlState::INVALID_CATALOG_NAME => DbError::Gone,
        _ => DbError::Unreachable(error.into()),
    }
}
