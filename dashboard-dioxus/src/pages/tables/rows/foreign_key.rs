//! Addresses of the rows that foreign keys refer to.

use api_types::{TableDetail, TableReference};

use super::query::filter_text;
use crate::address;

/// Returns whether the tables page contains the table that a foreign key refers to. It contains those of the schema
/// `public`.
pub(super) fn is_listed(key: &TableReference) -> bool {
    key.references_schema == "public"
}

/// Returns whether a foreign key refers to the ids of the project's users.
pub(super) fn is_of_users(key: &TableReference) -> bool {
    key.references_schema == "auth" && key.references_table == "users" && key.references_columns == ["id"]
}

/// Returns the address of the row that a value of a column refers to: a row of a table, or a user. `None` if no page
/// shows it.
pub(super) fn target(project: &str, detail: &TableDetail, column: &str, text: &str) -> Option<String> {
    let key = detail
        .foreign_keys
        .iter()
        .find(|key| key.columns.len() == 1 && key.columns.iter().any(|name| name == column))?;
    if is_of_users(key) {
        return Some(address::with_parameters(&format!("/projects/{project}/users"), &[("user", Some(text))]));
    }
    let referenced = key.references_columns.first().filter(|_| is_listed(key))?;
    let filter = filter_text("eq", referenced, text);
    Some(address::with_parameters(
        &format!("/projects/{project}/tables"),
        &[("table", Some(&key.references_table)), ("where", Some(&filter))],
    ))
}
