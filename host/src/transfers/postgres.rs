//! Settings of the sessions that transfers use, and the conversion of their errors.

use crate::plugins::TransferError;

/// Settings of a session in a project's database. They make the text of every value exact and independent of the
/// server's settings, and switch off the time limit of transactions.
pub(super) const SETTINGS: &str = "SET search_path = public; SET timezone = 'UTC'; SET datestyle = 'ISO, MDY';
     SET intervalstyle = postgres; SET bytea_output = hex; SET extra_float_digits = 1;
     SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name = 'transaction_timeout'";

/// Converts an error of Postgres. A lost connection, a lack of resources and a shutdown of the server are temporary.
pub(super) fn refused(error: tokio_postgres::Error) -> TransferError {
    match error.as_db_error() {
        Some(reported) if !["08", "53", "57P"].iter().any(|class| reported.code().code().starts_with(class)) => {
            TransferError::Refused(format!("Postgres refused the statement: {}", reported.message()))
        }
        _ => TransferError::Unavailable { what: "the project's database", cause: error.into() },
    }
}
