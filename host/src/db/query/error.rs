//! The errors of plugins' queries.

use tokio_postgres::error::{ErrorPosition, SqlState};

use crate::db::is_row_too_large;

/// An error of a query. The rows that were read are then not the whole result.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The database doesn't exist, for example because its project was deleted.
    #[error("the database doesn't exist")]
    Gone,
    /// The role for queries doesn't exist, can't log in with the stored password, or has no access to the database.
    #[error("the database is not prepared for queries")]
    Unprepared,
    /// The query or its parameters are wrong. Contains a description for the query's author.
    #[error("{0}")]
    Invalid(String),
    /// The query uses something that the role may not read. Contains Postgres's message.
    #[error("{0}")]
    Forbidden(String),
    #[error("a row of the result is larger than {} KiB", super::session::MAX_ROW_BYTES >> 10)]
    RowTooLarge,
    #[error("the query and the reading of its rows exceeded their time limit")]
    Timeout,
    /// The stream of rows was dropped.
    #[error(
        "the query was stopped before its end: the stream of its rows was dropped, not read for too long, or read too \
         slowly"
    )]
    Abandoned,
    /// Postgres can't be reached, or can't run the query at present, for example because of a conflicting lock.
    #[error("Postgres can't be reached, or can't run the query at present")]
    Unreachable(#[source] anyhow::Error),
}

impl QueryError {
    pub(super) fn from_postgres(error: tokio_postgres::Error) -> Self {
        if is_row_too_large(&error) {
            return Self::RowTooLarge;
        }
        let Some(reported) = error.as_db_error() else { return Self::Unreachable(error.into()) };
        let code = reported.code();
        if *code == SqlState::QUERY_CANCELED {
            Self::Timeout
        } else if *code == SqlState::INSUFFICIENT_PRIVILEGE {
            Self::Forbidden(reported.message().to_owned())
        } else if ["08", "40", "53", "55", "57", "58"].iter().any(|class| code.code().starts_with(class)) {
            Self::Unreachable(error.into())
        } else {
            Self::Invalid(match reported.position() {
                Some(ErrorPosition::Original(position)) => {
                    format!("Postgres rejected the query: {} (at character {position})", reported.message())
                }
                _ => format!("Postgres rejected the query: {}", reported.message()),
            })
        }
    }
}
