use serde_json::json;
use tokio_postgres::error::{DbError as PostgresError, ErrorPosition, SqlState};

use super::statement::Unreadable;
use crate::{
    db::DbError,
    error::{ApiError, Code},
};

/// Why a statement gave no result.
#[derive(Debug)]
pub(super) enum Failure {
    Postgres {
        error: tokio_postgres::Error,
        /// Characters that were put before the submitted text.
        offset: u32,
    },
    /// A statement of the editor's own failed, for no reason that lies in the submitted text.
    Own(tokio_postgres::Error),
    Timeout,
    /// The text has `$1`.
    Parameters,
    /// The server reads the text, the grammar here does not.
    UnknownGrammar,
}

impl Failure {
    /// An error while the submitted statement runs in a way that gives it no position: from a cursor, at COMMIT.
    pub(super) fn postgres(error: tokio_postgres::Error) -> Self {
        Self::Postgres { error, offset: u32::MAX }
    }

    /// An error of the submitted text, which ran with `prefix` before it.
    pub(super) fn statement(error: tokio_postgres::Error, prefix: &str) -> Self {
        Self::Postgres { error, offset: prefix.chars().count() as u32 }
    }

    pub(super) fn into_api_error(self, sql: &str) -> ApiError {
        match self {
            Self::Timeout => timed_out(),
            Self::Own(error) => DbError::from(error).into(),
            Self::Parameters => ApiError::new(Code::SqlRefused, "The statement has parameters such as `$1`.")
                .with_hint("Write the values into the statement."),
            Self::UnknownGrammar => ApiError::new(
                Code::SqlRefused,
                "The statement is written in a way that is newer than the grammar of this version of AtlasHub.",
            ),
            Self::Postgres { error, offset } => match error.as_db_error() {
                Some(reported) => reported_error(reported, offset, sql),
                None => ApiError::unavailable("The project's database", error),
            },
        }
    }
}

fn timed_out() -> ApiError {
    ApiError::new(Code::Timeout, "The statement ran for five seconds and was stopped.")
        .with_hint("Ask for less, or add an index; EXPLAIN shows what takes the time.")
}

fn reported_error(error: &PostgresError, offset: u32, sql: &str) -> ApiError {
    let code = error.code();
    if *code == SqlState::QUERY_CANCELED {
        return timed_out();
    }
    // 57P: the server is shutting down. 53: it is out of connections, memory or disk.
    if code.code().starts_with("57P") || code.code().starts_with("53") {
        return ApiError::unavailable("The project's database", anyhow::anyhow!("{error}"));
    }
    let position = match error.position() {
        Some(ErrorPosition::Original(position)) => position.checked_sub(offset).filter(|position| *position > 0),
        _ => None,
    };
    let line = position.map(|position| 1 + sql.chars().take(position as usize - 1).filter(|c| *c == '\n').count());
    let details = json!({
        "sqlstate": code.code(),
        "severity": error.severity(),
        "position": position,
        "line": line,
        "detail": error.detail(),
        "hint": error.hint(),
        "where": error.where_(),
        "constraint": error.constraint(),
    });
    let answer = ApiError::new(Code::SqlError, error.message().to_owned()).with_details(details);
    match error.hint() {
        Some(hint) => answer.with_hint(hint.to_owned()),
        None => answer,
    }
}

/// For texts that never reach Postgres.
pub(super) fn unreadable(reason: Unreadable) -> ApiError {
    match reason {
        Unreadable::Empty => ApiError::invalid("`sql` has no statement."),
        Unreadable::Several(count) => {
            ApiError::new(Code::SqlRefused, format!("The text has {count} statements; the editor runs one at a time."))
                .with_hint("Run them one after the other, or select the one to run.")
        }
        Unreadable::Refused { what, instead } => {
            let verb = if what.ends_with(',') { "can't be run" } else { "is not run" };
            ApiError::new(Code::SqlRefused, format!("{what} {verb} by the SQL editor.")).with_hint(instead)
        }
        Unreadable::Syntax(message) => ApiError::new(Code::SqlError, message),
    }
}
