//! Errors of the editor, and their conversion to API errors.

use std::time::Duration;

use serde_json::json;
use tokio_postgres::error::{DbError as PostgresError, ErrorPosition, SqlState};

use crate::{
    db::{DbError, PrepareError, is_error_too_large},
    error::{ApiError, Code},
};

/// The reason why SQL is rejected before anything is sent to Postgres.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rejection {
    /// The SQL contains only blanks and comments.
    Empty,
    /// The SQL contains more than one statement.
    SeveralStatements(usize),
    /// The editor does not run this kind of statement. `what` is its name, `instead` the alternative for the user.
    NotSupported { what: String, instead: &'static str },
    /// The SQL has a syntax error. Contains the parser's message.
    Syntax(String),
}

/// The reason why a statement has no result.
#[derive(Debug)]
pub(super) enum Failure {
    Postgres {
        error: tokio_postgres::Error,
        /// Number of characters that were sent before the submitted SQL.
        offset: u32,
    },
    /// A statement of the editor itself failed, not the submitted SQL.
    Internal(tokio_postgres::Error),
    Timeout,
    /// The client cancelled the statement.
    Cancelled,
    /// The result can't be written to the response.
    Response(ApiError),
    /// The statement was carried out, but its result can't be written to the response.
    ResultLost {
        error: ApiError,
        command: String,
        row_count: u64,
    },
    /// The SQL contains parameters such as `$1`.
    Parameters,
    /// The types in the SQL consist of too many other types.
    TooManyTypes,
    /// Postgres accepts the SQL, but the parser in this version does not.
    UnknownGrammar,
}

impl Failure {
    /// Converts an error whose position does not refer to the submitted SQL, such as that of a `FETCH` or `COMMIT`.
    pub(super) fn postgres(error: tokio_postgres::Error) -> Self {
        Self::Postgres { error, offset: u32::MAX }
    }

    /// Converts an error of the submitted SQL, which was sent after `prefix`.
    pub(super) fn statement(error: tokio_postgres::Error, prefix: &str) -> Self {
        Self::Postgres { error, offset: prefix.chars().count() as u32 }
    }

    /// Converts an error of preparing the submitted SQL, which was sent after `prefix`.
    pub(super) fn preparing(error: PrepareError, prefix: &str) -> Self {
        match error {
            PrepareError::Postgres(error) => Self::statement(error, prefix),
            PrepareError::TooManyTypes => Self::TooManyTypes,
        }
    }

    /// Determines why Postgres cancelled a statement, `elapsed` after the start of a run with this time limit. If the
    /// SQL has set a shorter limit itself, the failure stays an error of the statement.
    pub(super) fn classified(self, elapsed: Duration, limit: Duration) -> Self {
        let Self::Postgres { error, .. } = &self else { return self };
        match error.as_db_error() {
            Some(reported) if *reported.code() != SqlState::QUERY_CANCELED => self,
            Some(reported) if reported.message().contains("user request") => Self::Cancelled,
            Some(_) if elapsed >= limit => Self::Timeout,
            _ => self,
        }
    }

    /// Converts the failure to an API error. `sql` is the submitted SQL, in which the statement starts after `base`
    /// characters. `limit` is the time limit of the run.
    pub(super) fn into_api_error(self, sql: &str, base: u32, limit: Duration) -> ApiError {
        match self {
            Self::Timeout => timed_out(limit),
            Self::Cancelled => cancelled(),
            Self::Response(error) | Self::ResultLost { error, .. } => error,
            Self::Internal(error) => DbError::from(error).into(),
            Self::Parameters => ApiError::new(Code::SqlRefused, "The statement contains parameters such as `$1`.")
                .with_hint("Write the values into the statement."),
            Self::TooManyTypes => {
                ApiError::new(Code::SqlRefused, "The types of the result consist of too many other types.")
                    .with_hint("Cast the columns to `text`, or select single fields of them.")
            }
            Self::UnknownGrammar => ApiError::new(
                Code::SqlRefused,
                "The statement uses syntax that this version of AtlasHub does not know yet.",
            ),
            Self::Postgres { error, offset } => match error.as_db_error() {
                Some(reported) => reported_error(reported, Positions { offset, base, sql }),
                None => ApiError::unavailable("The project's database", error),
            },
        }
    }
}

/// Data for converting positions that Postgres reports to those in the submitted SQL.
#[derive(Clone, Copy)]
struct Positions<'s> {
    /// Number of characters that were sent before the statement.
    offset: u32,
    /// Number of characters of the submitted SQL before the statement.
    base: u32,
    sql: &'s str,
}

fn timed_out(limit: Duration) -> ApiError {
    let limit = limit.as_secs_f64();
    let unit = if limit == 1.0 { "second" } else { "seconds" };
    // In a script, the limit applies to all statements together, so the message does not blame one statement.
    ApiError::new(Code::Timeout, format!("The SQL exceeded its time limit of {limit} {unit} and was stopped."))
        .with_hint(
            "Request fewer rows, or add an index. EXPLAIN shows which part is slow. `timeoutMs` raises the limit to \
             at most 60000. Start longer work with `POST /admin/v1/projects/{project}/sql/runs`.",
        )
}

fn cancelled() -> ApiError {
    ApiError::new(Code::Cancelled, "The statement was cancelled.")
}

fn reported_error(error: &PostgresError, positions: Positions<'_>) -> ApiError {
    if is_error_too_large(error) {
        return ApiError::new(Code::SqlError, format!("The statement failed, but {}.", error.message()))
            .with_hint("Shorten the messages of errors in your SQL, and the values that they quote.");
    }
    let code = error.code();
    // Codes that begin with 57P mean that the server is shutting down, and those with 53 that the server is out of
    // connections, memory or disk.
    if *code == SqlState::DISK_FULL {
        return ApiError::disk_full();
    }
    if code.code().starts_with("57P") || code.code().starts_with("53") {
        return ApiError::unavailable("The project's database", anyhow::Error::from(error.clone()));
    }
    let Positions { offset, base, sql } = positions;
    let position = match error.position() {
        Some(ErrorPosition::Original(position)) => {
            position.checked_sub(offset).filter(|position| *position > 0).map(|position| position + base)
        }
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
    let mapped = ApiError::new(Code::SqlError, error.message().to_owned()).with_details(details);
    let hint = error.hint().or_else(|| hint_for_role(code.code(), error.message()));
    match hint {
        Some(hint) => mapped.with_hint(hint.to_owned()),
        None => mapped,
    }
}

/// Roles of Supabase. Policies that were written for it name them.
const SUPABASE_ROLES: [&str; 3] = ["\"anon\"", "\"authenticated\"", "\"service_role\""];

/// Returns a hint for an error about one of [`SUPABASE_ROLES`], which projects don't have.
fn hint_for_role(sqlstate: &str, message: &str) -> Option<&'static str> {
    let is_missing = sqlstate == SqlState::UNDEFINED_OBJECT.code();
    (is_missing && SUPABASE_ROLES.iter().any(|role| message.contains(*role))).then_some(
        "Leave out `TO …`: the API's roles are set by Access, not by the policy. `auth.uid()` is null for visitors who \
         are not signed in.",
    )
}

impl Rejection {
    pub(super) fn into_api_error(self) -> ApiError {
        match self {
            Self::Empty => ApiError::invalid("`sql` contains no statement."),
            Self::SeveralStatements(count) => ApiError::new(
                Code::SqlRefused,
                format!("`sql` contains {count} statements. The SQL editor runs one at a time."),
            )
            .with_hint("Select the statement to run, or send `\"script\": true` to run all."),
            Self::NotSupported { what, instead } => {
                ApiError::new(Code::SqlRefused, format!("The SQL editor does not run {what}.")).with_hint(instead)
            }
            Self::Syntax(message) => ApiError::new(Code::SqlError, message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_role_of_supabase_has_a_hint() {
        let hint = hint_for_role("42704", "role \"authenticated\" does not exist");
        assert!(hint.is_some_and(|hint| hint.contains("Leave out `TO …`")), "{hint:?}");
        assert_eq!(hint_for_role("42704", "role \"writer\" does not exist"), None);
        assert_eq!(hint_for_role("42P01", "relation \"anon\" does not exist"), None);
    }
}
