//! The rows and columns that an export of a table contains.

use api_types::ExportSource;

use crate::data::RowSelection;

/// Returns the filter, order and columns of an export. Returns `None` if the export contains all rows and columns of a
/// table, or is not an export of a table.
pub(super) fn row_selection(source: &ExportSource) -> Option<RowSelection<'_>> {
    let ExportSource::Table { filter, order, select, .. } = source else { return None };
    let selection = RowSelection { filter: filter.as_deref(), order: order.as_deref(), select: select.as_deref() };
    (selection.filter.is_some() || selection.order.is_some() || selection.select.is_some()).then_some(selection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_without_filter_order_and_columns_has_no_selection() {
        let source = |filter: Option<&str>, select: Option<&str>| ExportSource::Table {
            project_id: "p".to_owned(),
            table: "t".to_owned(),
            filter: filter.map(str::to_owned),
            order: None,
            select: select.map(str::to_owned),
        };
        assert_eq!(row_selection(&source(None, None)), None);
        assert_eq!(
            row_selection(&source(Some("eq.a=1"), None)),
            Some(RowSelection { filter: Some("eq.a=1"), order: None, select: None })
        );
        assert!(row_selection(&source(None, Some("a"))).is_some());
        assert_eq!(row_selection(&ExportSource::Database { project_id: None }), None);
    }
}
