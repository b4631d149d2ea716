//! Describes rows that can't be imported.

use api_types::ImportError;
use tokio_postgres::error::{DbError, SqlState};

use super::statements::Probe;
use crate::{
    db::{ExclusiveClient, is_in_function},
    plugins::TransferError,
    transfers::{
        imports::{
            parse::{Members, RecordError, invalid_json, json_text},
            preview::shortened,
        },
        postgres::refused,
    },
};

/// Maximum number of errors that are kept.
const MAX_ERRORS: usize = 100;
/// Follows Postgres's message about a policy.
const POLICY_HINT: &str = ". The table forces row-level security, so policies apply to its owner, who writes the rows. \
                           Add a policy that permits this row, or run ALTER TABLE … NO FORCE ROW LEVEL SECURITY";

/// The message about a row that was not inserted, although there was no error.
const DISCARDED: &str =
    "A trigger or rule of the table did not insert this row into the table; it may have stored it elsewhere.";

/// Codes with which the input functions of types such as `tsquery`, `jsonpath`, `ltree` and `regclass` refuse a value:
/// its syntax is wrong, or nothing has this name. The syntax and the names of a statement itself are checked when it is
/// prepared.
const VALUE_STATES: [&str; 7] = ["42601", "42602", "42704", "42725", "42883", "42P01", "42P02"];
/// The beginnings of the messages with which `hstore` refuses a value. Before Postgres 16, they have no code of their
/// own.
const HSTORE_MESSAGES: [&str; 2] = ["Syntax error near", "Unexpected end of string"];

/// The rows that can't be imported.
#[derive(Debug, Default)]
pub(super) struct Faults {
    errors: Vec<ImportError>,
    pub(super) count: u64,
}

impl Faults {
    pub(super) fn add(&mut self, error: ImportError) {
        self.count += 1;
        // Bad records are found while the file is read, bad values later. The errors of the first lines are kept.
        let position = self.errors.partition_point(|other| other.line <= error.line);
        if position < MAX_ERRORS {
            self.errors.insert(position, error);
            self.errors.truncate(MAX_ERRORS);
        }
    }

    /// Adds a row that was not sent to Postgres. `column` is the column of the error's field.
    pub(super) fn add_record(&mut self, error: RecordError, column: Option<String>) {
        self.add(of_record(error, column));
    }

    pub(super) fn into_errors(self) -> Vec<ImportError> {
        self.errors
    }

    /// Describes the first error in a sentence.
    pub(super) fn first(&self) -> String {
        self.errors.first().map(sentence).unwrap_or_default()
    }
}

/// Describes a row that was not sent to Postgres. `column` is the column of the error's field.
pub(super) fn of_record(error: RecordError, column: Option<String>) -> ImportError {
    let RecordError { line, code, message, .. } = error;
    ImportError { line, column, code: code.to_owned(), message: shortened(&message), value: None }
}

/// Describes an error in a sentence.
pub(super) fn sentence(error: &ImportError) -> String {
    let column = error.column.as_ref().map(|column| format!(", column `{column}`")).unwrap_or_default();
    let end = if error.message.ends_with(['.', '?']) { "" } else { "." };
    format!("Line {}{column}: {}{end}", error.line, error.message)
}

/// Returns whether an error of a prepared statement is about its rows, so that other rows may be imported.
pub(super) fn is_about_rows(error: &tokio_postgres::Error) -> bool {
    let Some(reported) = error.as_db_error() else { return false };
    if is_about_value(reported) {
        return true;
    }
    let code = reported.code().code();
    let is_of = |classes: &[&str]| classes.iter().any(|class| code.starts_with(class));
    // These classes are about the connection, and about the server and its resources.
    if is_of(&["08", "53", "57", "58", "XX"]) {
        return false;
    }
    // The state of the transaction, privileges and names, and the state of objects: these concern all rows, unless they
    // are from a policy, or from a function such as that of a trigger.
    let is_general = is_of(&["25", "42", "55"]);
    !is_general || is_in_function(reported) || is_from_policy(reported)
}

/// Returns whether the input function of a type refused a value.
fn is_about_value(error: &DbError) -> bool {
    let code = error.code().code();
    let is_named = VALUE_STATES.contains(&code)
        || (code == "XX000" && HSTORE_MESSAGES.iter().any(|message| error.message().starts_with(message)));
    code.starts_with("22") || (is_named && !is_in_function(error))
}

fn is_from_policy(error: &DbError) -> bool {
    *error.code() == SqlState::INSUFFICIENT_PRIVILEGE && error.message().contains("row-level security")
}

/// Returns whether the row may become importable once other rows have been imported.
pub(super) fn may_need_other_rows(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::FOREIGN_KEY_VIOLATION)
}

/// Describes why a row can't be imported. If Postgres does not name the column, evaluates each column to find it.
pub(super) async fn describe(
    client: &ExclusiveClient,
    probes: &[Probe],
    row: i64,
    error: &tokio_postgres::Error,
) -> Result<ImportError, TransferError> {
    let Some(reported) = error.as_db_error() else {
        return Err(TransferError::Refused("Postgres sent no reason".to_owned()));
    };
    let staged = "SELECT line, doc FROM pg_temp.atlashub_import WHERE row_number = $1";
    let staged = client.query_one(staged, &[&row]).await.map_err(refused)?;
    let (line, doc): (i64, String) = (staged.get(0), staged.get(1));
    let mut message = reported.message().to_owned();
    let mut column = reported.column().map(str::to_owned).or_else(|| column_of_key(reported));
    if column.is_none() && is_about_value(reported) {
        if let Err(problem) = serde_json::from_str::<serde::de::IgnoredAny>(&doc) {
            let RecordError { line, code, message, .. } = invalid_json(line.unsigned_abs(), &problem);
            return Ok(ImportError { line, column: None, code: code.to_owned(), message, value: None });
        }
        for probe in probes {
            if let Some(found) = fails(client, probe, row).await? {
                (column, message) = (Some(probe.column.clone()), found);
                break;
            }
        }
    }
    let probe = probes.iter().find(|probe| column.as_ref() == Some(&probe.column));
    let value = probe.and_then(|probe| value(&doc, &probe.key));
    if let Some(detail) = reported.detail().filter(|_| reported.code().code().starts_with("23")) {
        message = format!("{message}: {detail}");
    }
    let mut message = shortened(&message);
    if is_from_policy(reported) {
        message.push_str(POLICY_HINT);
    }
    Ok(ImportError { line: line.unsigned_abs(), column, code: code(reported).to_owned(), message, value })
}

/// Describes a row that a trigger or a rule discarded. It may have written the row to another table.
pub(super) async fn discarded(client: &ExclusiveClient, row: i64) -> Result<ImportError, TransferError> {
    let staged = "SELECT line FROM pg_temp.atlashub_import WHERE row_number = $1";
    let line: i64 = client.query_one(staged, &[&row]).await.map_err(refused)?.get(0);
    Ok(ImportError {
        line: line.unsigned_abs(),
        column: None,
        code: "discarded".to_owned(),
        message: DISCARDED.to_owned(),
        value: None,
    })
}

/// Evaluates one column of a row. Returns Postgres's message if that fails.
async fn fails(client: &ExclusiveClient, probe: &Probe, row: i64) -> Result<Option<String>, TransferError> {
    client.batch_execute("SAVEPOINT atlashub_probe").await.map_err(refused)?;
    let result = client.query_one(&probe.one, &[&row]).await;
    client.batch_execute("ROLLBACK TO SAVEPOINT atlashub_probe").await.map_err(refused)?;
    match result {
        Ok(_) => Ok(None),
        Err(error) if is_about_rows(&error) => Ok(error.as_db_error().map(|error| error.message().to_owned())),
        Err(error) => Err(refused(error)),
    }
}

/// Returns the column that the detail of a key violation names: `email` for `Key (email)=(a@b.c) already exists.`
/// Returns `None` if the key has several columns or an expression.
fn column_of_key(error: &DbError) -> Option<String> {
    let (columns, _) = error.detail()?.strip_prefix("Key (")?.split_once(")=(")?;
    (!columns.contains([',', '('])).then(|| columns.trim_matches('"').to_owned())
}

fn value(doc: &str, key: &str) -> Option<String> {
    let object: Members<'_> = serde_json::from_str(doc).ok()?;
    match object.get(key)? {
        "null" => None,
        json => Some(shortened(&json_text(json))),
    }
}

fn code(error: &DbError) -> &'static str {
    match error.code().code() {
        "23502" => "not_null_violation",
        "23503" | "23001" => "foreign_key_violation",
        "23505" => "unique_violation",
        "23514" | "23P01" | "44000" => "check_violation",
        "42501" => "forbidden",
        _ if is_about_value(error) => "invalid_value",
        _ => "constraint_violation",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_first_lines_are_kept() {
        let mut faults = Faults::default();
        for line in (1..=300).rev() {
            faults.add_record(RecordError::new(line, "invalid_encoding", "No."), None);
        }
        assert_eq!((faults.count, faults.first().as_str()), (300, "Line 1: No."));
        let errors = faults.into_errors();
        assert_eq!((errors.len(), errors[99].line), (100, 100));
    }
}
