//! The rows of a result in a grid. Sorting orders only the rows that the page has read. Enter shows a value in full.

use std::{cmp::Ordering, rc::Rc};

use dioxus::prelude::*;

use super::{cell_dialog::CellDialog, execution::ResultSet, origin::Origin};
use crate::{
    ui::grid::{CellPosition, CellState, DataGrid, GridCell, GridColumn, GridColumns, GridRow, GridSource, Source},
    value::{Text, is_number},
};

#[component]
pub(super) fn ResultGrid(result: Rc<ResultSet>, origin: Option<Origin>) -> Element {
    let mut opened = use_signal(|| None::<CellPosition>);
    let order = use_signal(|| None::<Order>);
    let rows = use_hook(|| Rows { result: result.clone(), order, opened });
    let source = use_hook(|| Source::new(rows.clone()));
    let columns = use_hook(|| columns_of(&result));
    let row_address = |position: CellPosition| origin.as_ref()?.row_address(&rows.cells(position.row)?);
    let sorted: Vec<(usize, bool)> = order.read().as_ref().map(|order| order.by).into_iter().collect();
    rsx! {
        DataGrid {
            name: "Result",
            source,
            columns,
            rows: result.rows.len(),
            total: Some(result.rows.len() as i64),
            sorted,
            read_only: true,
        }
        if let Some(position) = opened() {
            CellDialog {
                column: result.columns.get(position.column).cloned(),
                row: position.row + 1,
                value: rows.cells(position.row).and_then(|cells| cells.get(position.column).cloned()).flatten(),
                table_row: row_address(position),
                on_close: move |()| opened.set(None),
            }
        }
    }
}

/// The rows, and the order that the owner chose.
#[derive(Clone)]
struct Rows {
    result: Rc<ResultSet>,
    order: Signal<Option<Order>>,
    /// The cell that is shown in full.
    opened: Signal<Option<CellPosition>>,
}

/// An order of rows: the column, whether it is descending, and the indices of the rows in this order.
#[derive(Debug, Clone, PartialEq)]
struct Order {
    by: (usize, bool),
    rows: Rc<[usize]>,
}

impl Rows {
    fn cells(&self, row: usize) -> Option<Rc<[Text]>> {
        let index = match &*self.order.read() {
            Some(order) => *order.rows.get(row)?,
            None => row,
        };
        self.result.rows.get(index).cloned()
    }
}

impl GridSource for Rows {
    fn row(&self, row: usize) -> GridRow {
        let Some(cells) = self.cells(row) else { return GridRow::default() };
        let cell = |text: &Text| GridCell { text: text.clone(), whole_bytes: None, state: CellState::AsRead };
        GridRow { name: None, is_selected: false, cells: cells.iter().map(cell).collect() }
    }

    fn open(&self, position: CellPosition) {
        let mut opened = self.opened;
        opened.set(Some(position));
    }

    fn sort(&self, column: usize, descending: Option<bool>) {
        let mut order = self.order;
        let is_numeric = self.result.columns.get(column).is_some_and(|column| is_number(&column.data_type));
        order.set(descending.map(|descending| Order {
            by: (column, descending),
            rows: sorted(&self.result.rows, column, is_numeric, descending),
        }));
    }
}

fn columns_of(result: &ResultSet) -> GridColumns {
    const MEASURED_ROWS: usize = 100;
    let column = |(index, column): (usize, &super::execution::Column)| {
        let values = result.rows.iter().take(MEASURED_ROWS).filter_map(|row| row.get(index)?.as_deref());
        GridColumn {
            id: index,
            name: column.name.clone(),
            data_type: column.data_type.clone(),
            icon: None,
            width: GridColumn::fitting_width(&column.name, &column.data_type, values),
        }
    };
    result.columns.iter().enumerate().map(column).collect()
}

/// Returns the indices of the rows in the order of a column. `NULL` comes last in both directions.
fn sorted(rows: &[Rc<[Text]>], column: usize, is_numeric: bool, descending: bool) -> Rc<[usize]> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    let value = |row: &usize| rows.get(*row).and_then(|row| row.get(column)).and_then(|cell| cell.as_deref());
    order.sort_by(|a, b| {
        let compared = match (value(a), value(b)) {
            (None, None) => return Ordering::Equal,
            (None, _) => return Ordering::Greater,
            (_, None) => return Ordering::Less,
            (Some(a), Some(b)) if is_numeric => compare_numbers(a, b),
            (Some(a), Some(b)) => a.cmp(b),
        };
        if descending { compared.reverse() } else { compared }
    });
    order.into()
}

/// Compares numbers: integers exactly, other numbers as doubles.
fn compare_numbers(a: &str, b: &str) -> Ordering {
    if let (Ok(a), Ok(b)) = (a.parse::<i128>(), b.parse::<i128>()) {
        return a.cmp(&b);
    }
    let number = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
    number(a).total_cmp(&number(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorting_compares_numbers_and_puts_null_last() {
        let rows: Vec<Rc<[Text]>> =
            [Some("10"), Some("9"), Some("-1"), None].map(|text| [text.map(Into::into)].into()).into();
        for (is_numeric, descending, expected) in
            [(true, false, [2, 1, 0, 3]), (true, true, [0, 1, 2, 3]), (false, false, [2, 0, 1, 3])]
        {
            assert_eq!(*sorted(&rows, 0, is_numeric, descending), expected);
        }
    }

    #[test]
    fn integers_are_compared_with_all_digits() {
        assert_eq!(compare_numbers("9007199254740993", "9007199254740992"), Ordering::Greater);
        assert_eq!(compare_numbers("NaN", "Infinity"), Ordering::Greater);
    }
}
