//! Errors that the project's own SQL causes, for example in functions that triggers, policies, defaults or views call.
//!
//! Errors that the SQL raises on purpose (`RAISE`) reach the caller, unless their SQLSTATE means a problem of the
//! server. The details of other errors reach only callers with the secret key, because only the owner can fix the SQL.
//! Other callers learn that the table's rules failed, and nothing about how the rules work.

use serde_json::json;
use tokio_postgres::error::DbError as PostgresError;

use crate::error::{ApiError, Code, RAISE_ROUTINE};

/// Maximum number of characters of a message that is passed on.
const MAX_MESSAGE_CHARS: usize = 4000;

/// The readers of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    /// The secret key, or the owner. May know how the project's SQL works.
    Owner,
    Public,
}

/// Returns whether the project's SQL raised the error with RAISE.
pub(super) fn is_raised(error: &PostgresError) -> bool {
    error.routine() == Some(RAISE_ROUTINE)
}

/// Converts an error that the project's SQL raised. Keeps its message, detail and hint, and the constraint and column
/// that it names.
pub(super) fn raised(error: &PostgresError) -> ApiError {
    let sql_state = error.code().code();
    let code = match sql_state {
        "23505" => Code::UniqueViolation,
        "23503" | "23001" => Code::ForeignKeyViolation,
        "23502" => Code::NotNullViolation,
        "23514" | "23P01" | "44000" => Code::CheckViolation,
        "40001" | "40P01" | "55P03" => Code::Conflict,
        "42501" => Code::Forbidden,
        _ if sql_state.starts_with("23") => Code::ConstraintViolation,
        _ if sql_state.starts_with("22") => Code::InvalidValue,
        _ => Code::InvalidRequest,
    };
    let mut details = json!({ "sqlState": sql_state, "detail": error.detail().map(limited) });
    for (name, value) in [("constraint", error.constraint()), ("column", error.column())] {
        if let Some(value) = value {
            details[name] = value.into();
        }
    }
    let mapped = ApiError::new(code, limited(error.message())).with_details(details);
    match error.hint() {
        Some(hint) => mapped.with_hint(limited(hint)),
        None => mapped,
    }
}

/// Returns the error for SQL of the project that failed without `RAISE`.
pub(super) fn rule_failed(error: &PostgresError, table: &str, audience: Audience) -> ApiError {
    let is_privilege = error.code().code() == "42501";
    let code = if is_privilege { Code::Forbidden } else { Code::Unprocessable };
    match audience {
        Audience::Owner => ApiError::new(
            code,
            format!("A rule of `{table}` failed. Postgres reports: {}.", limited(error.message())),
        )
        .with_hint(
            "Correct the trigger, policy, default, view or function. `details.where` names it, if Postgres does.",
        )
        .with_details(json!({
            "sqlState": error.code().code(),
            "detail": error.detail().map(limited),
            "hint": error.hint().map(limited),
            "where": error.where_().map(limited),
        })),
        Audience::Public if is_privilege => {
            ApiError::new(code, format!("A rule of `{table}` needs a privilege that this key does not have."))
        }
        Audience::Public => ApiError::new(code, format!("The rules of `{table}` failed, so nothing was done."))
            .with_hint("Only the project's owner can correct this. Use the secret key to see the reason."),
    }
}

fn limited(text: &str) -> String {
    text.chars().take(MAX_MESSAGE_CHARS).collect()
}
