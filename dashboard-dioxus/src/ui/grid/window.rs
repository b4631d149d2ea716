//! Computes which rows and columns are drawn: those in view, and some around them.

use std::ops::Range;

use super::CellPosition;

pub(super) const ROW_HEIGHT: f64 = 30.0;
pub(super) const HEADER_HEIGHT: f64 = 32.0;
/// Number of rows that are drawn above the view and below it, so that they are ready for scrolling.
const OVERSCAN: usize = 6;
/// The window moves by this many rows, so that most scroll events draw nothing.
const STEP: usize = 4;
/// With more columns than this, only those in view are drawn.
const MANY_COLUMNS: usize = 24;
/// Width in pixels on each side of the view in which columns are drawn, so that they are ready for scrolling.
const OVERSCAN_WIDTH: f64 = 240.0;
/// Maximum number of rows that are added in one frame. After scrolling far, the grid is filled over several frames, so
/// that none of them is late.
const ROWS_PER_FRAME: usize = 12;

/// The part of the grid that is drawn: the rows, and the columns after the first one, which is always drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) first_row: usize,
    pub(super) last_row: usize,
    pub(super) first_column: usize,
    pub(super) last_column: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self { first_row: 0, last_row: ROWS_PER_FRAME, first_column: 1, last_column: MANY_COLUMNS / 2 }
    }
}

impl Window {
    /// Returns the window of a grid that may have become smaller.
    pub(super) fn within(self, rows: usize, columns: usize) -> Self {
        let first_row = if self.first_row < rows { self.first_row } else { rows.saturating_sub(1) };
        let first_column = self.first_column.clamp(1.min(columns), columns);
        Self {
            first_row,
            last_row: self.last_row.clamp(first_row, rows),
            first_column,
            last_column: self.last_column.clamp(first_column, columns),
        }
    }

    /// Returns the drawn columns after the first one.
    pub(super) fn columns(self) -> Range<usize> {
        self.first_column..self.last_column
    }

    pub(super) fn has_row(self, row: usize) -> bool {
        (self.first_row..self.last_row).contains(&row)
    }

    /// Returns the window of the next frame on the way to `target`: the rows that both have, and a limited number of
    /// others. `first_in_view` is drawn first.
    pub(super) fn toward(self, target: Self, first_in_view: usize) -> Self {
        let (mut start, mut end) = (self.first_row.max(target.first_row), self.last_row.min(target.last_row));
        if start >= end {
            start = first_in_view.clamp(target.first_row, target.last_row);
            end = start;
        }
        let below = (target.last_row - end).min(ROWS_PER_FRAME);
        let above = (start - target.first_row).min(ROWS_PER_FRAME - below);
        Self { first_row: start - above, last_row: end + below, ..target }
    }
}

/// The size and the scroll position of the grid's element, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct View {
    pub(super) top: f64,
    pub(super) left: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl View {
    pub(super) fn first_row(self) -> usize {
        (self.top / ROW_HEIGHT) as usize
    }

    /// Returns the rows and columns to draw. Changes in steps, so that not every scroll draws again.
    pub(super) fn window(self, rows: usize, widths: &[f64]) -> Window {
        let first = self.first_row();
        let first_row = (first.saturating_sub(OVERSCAN) / STEP * STEP).min(rows);
        let count = (self.height / ROW_HEIGHT) as usize + 2 * OVERSCAN + STEP + 1;
        let columns = if widths.len() > MANY_COLUMNS { self.columns(widths) } else { 1..widths.len() };
        Window { first_row, last_row: first_row + count, first_column: columns.start, last_column: columns.end }
            .within(rows, widths.len())
    }

    fn columns(self, widths: &[f64]) -> Range<usize> {
        let (left, right) = (self.left - OVERSCAN_WIDTH, self.left + self.width + OVERSCAN_WIDTH);
        let mut edge = 0.0;
        let mut columns = 1..widths.len();
        for (column, width) in widths.iter().enumerate() {
            if edge + width < left {
                columns.start = column;
            }
            if edge > right {
                columns.end = column;
                break;
            }
            edge += width;
        }
        columns.start / 4 * 4..columns.end.next_multiple_of(4)
    }

    /// Returns the scroll position, as top and left, that shows a cell with the least movement. `lead` is the width of
    /// the column before the first one.
    pub(super) fn reveal(self, position: CellPosition, widths: &[f64], lead: f64) -> (f64, f64) {
        let least = |position: f64, start: f64, size: f64, room: f64| {
            if start < position {
                start
            } else if start + size > position + room {
                start + size - room
            } else {
                position
            }
        };
        let top = least(self.top, position.row as f64 * ROW_HEIGHT, ROW_HEIGHT, self.height - HEADER_HEIGHT);
        // The first column is always in view. It covers the columns that scroll under it.
        if position.column == 0 {
            return (top, self.left);
        }
        let fixed = lead + widths.first().copied().unwrap_or_default();
        let start: f64 = widths.iter().take(position.column).skip(1).sum();
        let width = widths.get(position.column).copied().unwrap_or_default();
        (top, least(self.left, start, width.min((self.width - fixed).max(1.0)), self.width - fixed))
    }

    /// Returns the number of rows that Page Up and Page Down move: one less than the whole rows in view, at least 1.
    pub(super) fn page(self) -> usize {
        (((self.height - HEADER_HEIGHT) / ROW_HEIGHT) as usize).saturating_sub(1).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(top: f64, left: f64) -> View {
        View { top, left, width: 900.0, height: 332.0 }
    }

    #[test]
    fn window_follows_the_view_in_steps() {
        let widths = [100.0; 10];
        for (top, rows, expected) in [(0.0, 1000, 0..28), (30.0 * 100.0, 1000, 92..120), (0.0, 5, 0..5), (0.0, 0, 0..0)]
        {
            let window = view(top, 0.0).window(rows, &widths);
            assert_eq!(window.first_row..window.last_row, expected, "{top} of {rows}");
            assert_eq!(window.columns(), 1..10);
        }
        assert_eq!(view(29.0, 0.0).window(1000, &widths), view(0.0, 0.0).window(1000, &widths));
    }

    #[test]
    fn window_of_many_columns_contains_the_columns_in_view() {
        let widths = [100.0; 300];
        let columns = view(0.0, 10_000.0).window(10, &widths).columns();
        assert!(columns.len() < 40 && (100..109).all(|column| columns.contains(&column)), "{columns:?}");
        assert_eq!(view(0.0, 0.0).window(10, &widths).columns().start, 1);
        assert_eq!(view(0.0, 0.0).window(10, &[]).columns(), 0..0);
    }

    #[test]
    fn far_window_is_reached_over_several_frames() {
        let rows = |first_row, last_row| Window { first_row, last_row, first_column: 1, last_column: 9 };
        for (from, target, in_view, expected) in [
            // The windows have no row in common, so the new one starts at the first row in view.
            (rows(0, 28), rows(500, 528), 506, rows(506, 518)),
            (rows(506, 518), rows(500, 528), 506, rows(504, 528)),
            (rows(504, 528), rows(500, 528), 506, rows(500, 528)),
            // A step down and a step up.
            (rows(0, 28), rows(4, 32), 8, rows(4, 32)),
            (rows(40, 68), rows(20, 48), 24, rows(28, 48)),
            // The list has become shorter.
            (rows(40, 68), rows(0, 3), 0, rows(0, 3)),
            (rows(0, 12), rows(0, 0), 0, rows(0, 0)),
        ] {
            assert_eq!(from.toward(target, in_view), expected, "{from:?} to {target:?}");
        }
    }

    #[test]
    fn cells_are_revealed_with_the_least_scrolling() {
        let widths = [100.0; 30];
        for (position, expected) in [
            (CellPosition { row: 0, column: 0 }, (0.0, 300.0)),
            (CellPosition { row: 30, column: 0 }, (630.0, 300.0)),
            (CellPosition { row: 25, column: 6 }, (600.0, 300.0)),
            (CellPosition { row: 25, column: 2 }, (600.0, 100.0)),
            (CellPosition { row: 25, column: 20 }, (600.0, 1244.0)),
        ] {
            assert_eq!(view(600.0, 300.0).reveal(position, &widths, 44.0), expected, "{position:?}");
        }
    }
}
