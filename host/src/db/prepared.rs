//! Recognizes errors of prepared statements that are out of date, after which the statement is prepared again.

use super::{DbError, Statement, error::is_in_function};

/// Lowest OID of objects that are not Postgres's own.
const FIRST_USER_OID: u32 = 16_384;

/// A user's claims, and the prepared statement that sets them.
pub(super) struct PreparedClaims {
    pub(super) prepared: Prepared,
    pub(super) statement: Statement,
}

/// A prepared statement of a connection.
#[derive(Clone)]
pub(super) struct Prepared {
    pub(super) statement: tokio_postgres::Statement,
    /// Whether it was prepared for an earlier run.
    pub(super) is_cached: bool,
}

impl Prepared {
    /// Returns whether preparing the statement again, or running it in another session, might avoid the error.
    ///
    /// Postgres keeps the parameter types of a prepared statement, and PL/pgSQL the types of a function's variables, by
    /// their OIDs. After a type was replaced by another one of the same name, these OIDs no longer exist or belong to
    /// the previous type.
    pub(super) fn is_stale(&self, error: &DbError) -> bool {
        let Some(error) = error.as_db_error().filter(|_| self.is_cached) else { return false };
        match error.code().code() {
            code if STALE_OID_STATES.contains(&code) => true,
            // The prepared statement no longer exists.
            "26000" => true,
            // A value that the previous type of a column rejects.
            "22P02" => self.statement.params().iter().any(|data_type| data_type.oid() >= FIRST_USER_OID),
            // Privileges are never remembered.
            "42501" => false,
            // In a function, these are faults of the function: it looks up names each time it runs.
            "3F000" => !is_in_function(error),
            code => code.starts_with("42") && !is_in_function(error),
        }
    }
}

/// SQLSTATEs of errors due to an OID that no longer exists: internal errors; a plan whose result changed; types that
/// differ from those of the plan.
const STALE_OID_STATES: [&str; 3] = ["XX000", "0A000", "42804"];

/// Returns whether the error may have occurred because a function that ran earlier in the session remembers a type that
/// no longer exists.
pub(super) fn is_stale_oid(error: &DbError) -> bool {
    error.as_db_error().is_some_and(|error| STALE_OID_STATES.contains(&error.code().code()))
}

/// Returns whether the error shows that SQL of the project changed the session's prepared statements: one is missing,
/// or its name is taken.
pub(super) fn is_unknown_statement(error: &DbError) -> bool {
    error.as_db_error().is_some_and(|error| ["26000", "42P05"].contains(&error.code().code()))
}
