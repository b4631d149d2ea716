//! The cell with the focus, the selected range, and the keys that move them.

use std::ops::RangeInclusive;

use dioxus::prelude::Key;

/// A cell, by the positions of its row and its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CellPosition {
    pub row: usize,
    pub column: usize,
}

/// The cell with the focus, and the cell at which the selection began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Cursor {
    pub(super) at: CellPosition,
    pub(super) anchor: CellPosition,
    /// Whether the focus is in the header of the column.
    pub(super) in_header: bool,
}

/// The size of a grid.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Number of rows that Page Up and Page Down move.
    pub(super) page: usize,
}

impl Cursor {
    pub(super) fn at(position: CellPosition) -> Self {
        Self { at: position, anchor: position, in_header: false }
    }

    pub(super) fn header(column: usize) -> Self {
        let position = CellPosition { row: 0, column };
        Self { at: position, anchor: position, in_header: true }
    }

    /// Extends the selection to a cell.
    pub(super) fn to(self, position: CellPosition) -> Self {
        Self { at: position, in_header: false, ..self }
    }

    pub(super) fn all(extent: Extent) -> Self {
        let last = CellPosition { row: extent.rows.saturating_sub(1), column: extent.columns.saturating_sub(1) };
        Self { at: last, anchor: CellPosition::default(), in_header: false }
    }

    pub(super) fn rows(self) -> RangeInclusive<usize> {
        self.at.row.min(self.anchor.row)..=self.at.row.max(self.anchor.row)
    }

    pub(super) fn columns(self) -> RangeInclusive<usize> {
        self.at.column.min(self.anchor.column)..=self.at.column.max(self.anchor.column)
    }

    /// Returns the cursor within a grid that may have become smaller.
    pub(super) fn within(self, extent: Extent) -> Self {
        let position = |position: CellPosition| CellPosition {
            row: position.row.min(extent.rows.saturating_sub(1)),
            column: position.column.min(extent.columns.saturating_sub(1)),
        };
        Self { at: position(self.at), anchor: position(self.anchor), ..self }
    }
}

/// Returns the cursor after a key. `extends` keeps the cell at which the selection began. `None` if the key does not
/// move the cursor.
pub(super) fn moved(cursor: Cursor, key: &Key, control: bool, extends: bool, extent: Extent) -> Option<Cursor> {
    let CellPosition { row, column } = cursor.at;
    let (last_row, last_column) = (extent.rows.saturating_sub(1), extent.columns.saturating_sub(1));
    let column = match key {
        Key::ArrowLeft if control => 0,
        Key::ArrowLeft => column.saturating_sub(1),
        Key::ArrowRight if control => last_column,
        Key::ArrowRight => column + 1,
        Key::Home => 0,
        Key::End => last_column,
        _ => column,
    }
    .min(last_column);
    if cursor.in_header {
        return match key {
            Key::ArrowLeft | Key::ArrowRight | Key::Home | Key::End => Some(Cursor::header(column)),
            Key::ArrowDown if extent.rows > 0 => Some(Cursor::at(CellPosition { row: 0, column })),
            _ => None,
        };
    }
    let row = match key {
        Key::ArrowUp if row == 0 && !control && !extends => return Some(Cursor::header(column)),
        Key::ArrowUp if control => 0,
        Key::ArrowUp => row.saturating_sub(1),
        Key::ArrowDown if control => last_row,
        Key::ArrowDown => row + 1,
        Key::PageUp => row.saturating_sub(extent.page),
        Key::PageDown => row + extent.page,
        Key::Home if control => 0,
        Key::End if control => last_row,
        Key::ArrowLeft | Key::ArrowRight | Key::Home | Key::End => row,
        _ => return None,
    };
    let position = CellPosition { row: row.min(last_row), column };
    Some(if extends { cursor.to(position) } else { Cursor::at(position) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXTENT: Extent = Extent { rows: 100, columns: 5, page: 10 };

    fn cell(row: usize, column: usize) -> Cursor {
        Cursor::at(CellPosition { row, column })
    }

    #[test]
    fn keys_move_within_the_grid() {
        for (from, key, control, expected) in [
            (cell(3, 2), Key::ArrowDown, false, cell(4, 2)),
            (cell(99, 4), Key::ArrowDown, false, cell(99, 4)),
            (cell(99, 4), Key::ArrowRight, false, cell(99, 4)),
            (cell(3, 2), Key::ArrowDown, true, cell(99, 2)),
            (cell(3, 2), Key::ArrowLeft, true, cell(3, 0)),
            (cell(3, 2), Key::PageDown, false, cell(13, 2)),
            (cell(3, 2), Key::PageUp, false, cell(0, 2)),
            (cell(3, 2), Key::Home, false, cell(3, 0)),
            (cell(3, 2), Key::End, false, cell(3, 4)),
            (cell(3, 2), Key::Home, true, cell(0, 0)),
            (cell(3, 2), Key::End, true, cell(99, 4)),
            (cell(0, 2), Key::ArrowUp, false, Cursor::header(2)),
            (cell(0, 2), Key::ArrowUp, true, cell(0, 2)),
            (Cursor::header(2), Key::ArrowRight, false, Cursor::header(3)),
            (Cursor::header(2), Key::ArrowDown, false, cell(0, 2)),
        ] {
            assert_eq!(moved(from, &key, control, false, EXTENT), Some(expected), "{from:?} {key}");
        }
        assert_eq!(moved(cell(3, 2), &Key::Tab, false, false, EXTENT), None);
        assert_eq!(moved(Cursor::header(2), &Key::PageDown, false, false, EXTENT), None);
    }

    #[test]
    fn shift_extends_the_selection() {
        let cursor = moved(cell(3, 2), &Key::ArrowUp, false, true, EXTENT);
        let cursor = cursor.and_then(|cursor| moved(cursor, &Key::ArrowRight, false, true, EXTENT)).unwrap();
        assert_eq!((cursor.rows(), cursor.columns()), (2..=3, 2..=3));
        assert_eq!(Cursor::all(EXTENT).rows(), 0..=99);
    }

    #[test]
    fn cursor_stays_in_a_grid_that_shrinks() {
        assert_eq!(cell(99, 4).within(Extent { rows: 2, columns: 0, page: 1 }), cell(1, 0));
    }
}
