//! Describes causes of errors for the log, without values of rows.

use std::{error::Error, fmt::Write as _};

use sqlx::{error::DatabaseError, postgres::PgDatabaseError};
use tokio_postgres::error::DbError as PostgresError;

/// Classes of SQLSTATEs whose messages describe the server, never values: connections, logins, databases, resources,
/// shutdowns, files, internal errors, and AH for the errors that `db` creates.
const SERVER_CLASSES: [&str; 8] = ["08", "28", "3D", "53", "57", "58", "AH", "XX"];
/// SQLSTATE of a full disk.
const DISK_FULL: &str = "53100";
/// The routine of PL/pgSQL's RAISE. Its messages are written by the project's SQL.
pub const RAISE_ROUTINE: &str = "exec_stmt_raise";

/// Describes an error and its causes in one line for the log.
///
/// For an error from Postgres, the description contains the SQLSTATE and the names of constraint, table, column and
/// routine. The message is added only for [`SERVER_CLASSES`], and only if no RAISE wrote it. Other messages, and all
/// details and hints, may contain values of rows, which are never logged.
pub fn describe_cause(error: &(dyn Error + 'static)) -> String {
    let mut description = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        if !description.is_empty() {
            description.push_str(": ");
        }
        if let Some(refusal) = error.downcast_ref::<PostgresError>() {
            push_refusal(&mut description, &Refusal::from(refusal));
            break;
        }
        next = error.source();
        // Checked before the error itself is written, because an error of sqlx repeats the message of its source.
        if let Some(refusal) = next.and_then(|source| source.downcast_ref::<Box<dyn DatabaseError>>()) {
            push_refusal(&mut description, &Refusal::from(&**refusal));
            break;
        }
        // Writing to a string doesn't fail.
        let _ = write!(description, "{error}");
    }
    description
}

/// Returns whether an error, or one of its causes, is that the disk of the Postgres server is full.
pub fn is_disk_full(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<PostgresError>().is_some_and(|refusal| refusal.code().code() == DISK_FULL) {
            return true;
        }
        next = error.source();
        if let Some(refusal) = next.and_then(|source| source.downcast_ref::<Box<dyn DatabaseError>>()) {
            return refusal.code().is_some_and(|code| code == DISK_FULL);
        }
    }
    false
}

/// The part of a Postgres error that is logged.
struct Refusal<'a> {
    code: String,
    message: &'a str,
    names: [(&'static str, Option<&'a str>); 4],
}

impl<'a> From<&'a PostgresError> for Refusal<'a> {
    fn from(error: &'a PostgresError) -> Self {
        Self {
            code: error.code().code().to_owned(),
            message: error.message(),
            names: [
                ("constraint", error.constraint()),
                ("table", error.table()),
                ("column", error.column()),
                ("routine", error.routine()),
            ],
        }
    }
}

impl<'a> From<&'a (dyn DatabaseError + 'static)> for Refusal<'a> {
    fn from(error: &'a (dyn DatabaseError + 'static)) -> Self {
        let postgres = error.try_downcast_ref::<PgDatabaseError>();
        Self {
            code: error.code().unwrap_or_default().into_owned(),
            message: error.message(),
            names: [
                ("constraint", error.constraint()),
                ("table", error.table()),
                ("column", postgres.and_then(PgDatabaseError::column)),
                ("routine", postgres.and_then(PgDatabaseError::routine)),
            ],
        }
    }
}

fn push_refusal(description: &mut String, refusal: &Refusal<'_>) {
    let Refusal { code, message, names } = refusal;
    let _ = write!(description, "Postgres returned SQLSTATE {code}");
    for (kind, name) in names {
        if let Some(name) = name {
            let _ = write!(description, ", {kind} {name}");
        }
    }
    let is_raised = names.contains(&("routine", Some(RAISE_ROUTINE)));
    if !is_raised && SERVER_CLASSES.iter().any(|class| code.starts_with(class)) {
        let _ = write!(description, " ({message})");
    }
}
