//! One row as a form, over the list.
//!
//! [`existing`] is the form of an existing row; its edits are staged, as in the grid. [`new_row`] is the form of a new
//! row, and [`insert`] sends it. Both forms consist of [`fields`], with [`reference_field`] for foreign keys and
//! [`whole_value`] for values of which only the beginning was read. [`first_field`] finds the field that gets the focus
//! when the form opens. [`referenced_by`] counts the rows that refer to the row, [`copies`] writes a row as JSON and
//! SQL, and [`format_json`] indents documents.

mod copies;
mod existing;
mod fields;
mod first_field;
mod format_json;
mod insert;
mod new_row;
mod reference_field;
mod referenced_by;
mod whole_value;

use std::collections::BTreeMap;

use dioxus::prelude::*;

pub(super) use existing::ExistingRow;
pub(super) use fields::is_generated;
pub(super) use new_row::NewRow;

use super::View;
use crate::{address, draft};

/// Texts of a new row by column. `None` is `NULL`. Columns that are not in the map get their default.
type NewValues = BTreeMap<String, Option<String>>;

/// Id of the form of a row, which the button in the sheet's footer submits.
const FORM: &str = "row-form";

/// Returns the name under which the draft of a new row is stored.
fn draft_name(view: View) -> String {
    format!("new-row.{}", view.staged.peek())
}

/// Returns the text at each refused field: the reason, or a reference to the message if it is about several fields.
fn field_problems(columns: &[String], message: &str) -> Vec<(String, String)> {
    let text = if columns.len() == 1 { message } else { "See the message above." };
    columns.iter().map(|column| (column.clone(), text.to_owned())).collect()
}

/// Opens the form of a new row, with its stored draft.
pub(super) fn open_new_row() {
    address::push_parameters(&[("new", vec!["row".to_owned()]), ("row", Vec::new())]);
}

/// Opens the form of a new row with the values of another one.
fn open_copy(view: View, values: &NewValues) {
    draft::prepare(&draft_name(view), values);
    open_new_row();
}
