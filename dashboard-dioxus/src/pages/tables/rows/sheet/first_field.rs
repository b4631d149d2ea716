//! The field that gets the focus when a form opens.

use api_types::ColumnDetail;

use super::fields::{has_default, is_generated};

/// Returns the index of the first column of a new row that the owner fills in: the first column without a default, or
/// else the first column that can be edited.
pub(super) fn first_to_fill(columns: &[ColumnDetail]) -> Option<usize> {
    let can_edit = |column: &ColumnDetail| !is_generated(column);
    let first = columns.iter().position(|column| can_edit(column) && !has_default(column));
    first.or_else(|| columns.iter().position(can_edit))
}

/// Returns the index of the column of an existing row that the owner probably changes: `wanted`, or else the first
/// column that can be edited. It is never a column of the key, because text that is typed by mistake would change the
/// key.
pub(super) fn first_to_change(columns: &[ColumnDetail], key: &[String], wanted: Option<&str>) -> Option<usize> {
    let is_free = |column: &ColumnDetail| !key.contains(&column.name);
    let first = columns.iter().position(|column| is_free(column) && Some(column.name.as_str()) == wanted);
    first.or_else(|| columns.iter().position(|column| is_free(column) && !is_generated(column)))
}

#[cfg(test)]
mod tests {
    use super::{super::super::fixtures::column, *};

    #[test]
    fn key_of_an_existing_row_never_has_the_focus() {
        let columns = [column("id", "text"), column("title", "text"), column("note", "text")];
        let key = ["id".to_owned()];
        for (wanted, expected) in [(Some("note"), Some(2)), (Some("id"), Some(1)), (None, Some(1))] {
            assert_eq!(first_to_change(&columns, &key, wanted), expected, "{wanted:?}");
        }
        assert_eq!(first_to_change(&[column("id", "text")], &key, Some("id")), None);
    }
}
