//! Addresses of the rows that foreign keys refer to.

use api_types::TableDetail;

use super::query::filter_text;
use crate::address;

/// Returns the address of the row that a value of a column refers to.
pub(super) fn target(project: &str, detail: &TableDetail, column: &str, text: &str) -> Option<String> {
    let key = detail
        .foreign_keys
        .iter()
        .find(|key| key.columns.len() == 1 && key.columns.iter().any(|name| name == column))?;
    let referenced = key.references_columns.first()?;
    let filter = filter_text("eq", referenced, text);
    Some(address::with_parameters(
        &format!("/projects/{project}/tables"),
        &[("table", Some(&key.references_table)), ("where", Some(&filter))],
    ))
}
