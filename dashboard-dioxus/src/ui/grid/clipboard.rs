//! Copies the selected cells, and pastes cells of this and other programs.

use std::cell::RefCell;

use dioxus::{prelude::*, web::WebEventExt as _};
use wasm_bindgen::JsCast as _;

use super::{CellChange, CellPosition, cursor::Cursor, state::State};
use crate::{
    clipboard, text,
    ui::messages,
    value::{Text, tab_separated},
};

/// Maximum number of cells that one value fills. Each of them is staged, so that the owner can undo it.
const MAX_FILLED_CELLS: usize = 10_000;

thread_local! {
    /// The cells that were copied last. The clipboard only has their text, in which `NULL` is like the empty text, and
    /// a value with several lines is like several rows.
    static COPIED: RefCell<Option<Copied>> = const { RefCell::new(None) };
}

/// Copied cells, with their text in the clipboard.
#[derive(Debug, Clone)]
struct Copied {
    text: String,
    rows: Vec<Vec<Text>>,
}

impl Copied {
    /// Copies one cell as it is, and several as a table for spreadsheets.
    fn new(rows: Vec<Vec<Text>>) -> Self {
        let text = match rows.as_slice() {
            [row] if row.len() == 1 => row.first().cloned().flatten().unwrap_or_default().to_string(),
            rows => tab_separated::write(rows),
        };
        Self { text, rows }
    }

    /// Returns whether the clipboard still has these cells. Some systems change the line breaks.
    fn is_in(&self, pasted: &str) -> bool {
        self.text.replace("\r\n", "\n") == pasted.replace("\r\n", "\n")
    }
}

/// Copies the selected cells.
pub(super) fn copy(state: State) {
    let cursor = state.cursor.peek().within(state.extent());
    let source = state.source.peek().clone();
    let (mut cut, mut can_open) = (0, true);
    let mut rows: Vec<Vec<Text>> = Vec::new();
    for row in cursor.rows() {
        let row = source.row(row);
        can_open &= row.name.is_some();
        let cells = cursor.columns().map(|column| row.cells.get(column).cloned().unwrap_or_default());
        let texts = cells.map(|cell| {
            cut += i64::from(cell.whole_bytes.is_some());
            cell.text
        });
        rows.push(texts.collect());
    }
    let copied = Copied::new(rows);
    let text = copied.text.clone();
    // The menu of the cell, which may have called this function, is removed by the same click.
    dioxus::core::spawn_forever(async move {
        let is_copied = clipboard::copy(&text).await;
        COPIED.set(is_copied.then_some(copied));
        if !is_copied {
            messages::show_failure(clipboard::REFUSED);
        } else if cut > 0 {
            let values = text::count(cut, "value is", "values are");
            let advice =
                if can_open { "Open the row to copy the full value." } else { "Read the full value with SQL." };
            messages::show_failure(format!("Copied, but {values} truncated. {advice}"));
        } else {
            messages::show("Copied");
        }
    });
}

/// Pastes the clipboard. A single value fills the selected cells. A table of values begins at the first selected cell.
pub(super) fn paste(state: State, event: &ClipboardEvent) {
    let extent = state.extent();
    let cursor = state.cursor.peek().within(extent);
    if state.edit.peek().is_some() || cursor.in_header || extent.rows == 0 {
        return;
    }
    let Some(rows) = pasted_text(event).and_then(|text| pasted_rows(&text, COPIED.with_borrow(Clone::clone).as_ref()))
    else {
        return;
    };
    event.prevent_default();
    if one_value(&rows).is_some() && !can_fill(cursor) {
        return;
    }
    let changes = changes(cursor, rows);
    let is_inside = |(at, _): &CellChange| at.row < extent.rows && at.column < extent.columns;
    let (inside, outside): (Vec<CellChange>, Vec<CellChange>) = changes.into_iter().partition(is_inside);
    let cells = inside.len();
    let source = state.source.peek().clone();
    let refused = source.stage(inside);
    if let Some(message) = left_out(cells, refused, outside.len()) {
        messages::show_failure(message);
    }
}

/// Returns whether the selected cells are few enough to be filled with a value. Shows a message if not.
pub(super) fn can_fill(cursor: Cursor) -> bool {
    let is_possible = cursor.rows().count().saturating_mul(cursor.columns().count()) <= MAX_FILLED_CELLS;
    if !is_possible {
        let most = text::number(MAX_FILLED_CELLS as i64);
        messages::show_failure(format!("At most {most} cells can be filled at once. Nothing was changed."));
    }
    is_possible
}

/// Returns what was not pasted: values for cells that `refused` them, and values `outside` of the grid. `cells` is the
/// number of cells that values were pasted into. `None` if every value was pasted.
fn left_out(cells: usize, refused: usize, outside: usize) -> Option<String> {
    if cells > 0 && refused == cells {
        return Some("None of these cells can be changed.".to_owned());
    }
    let sentences = [
        (refused, "cell can't be changed and was left out.", "cells can't be changed and were left out."),
        (
            outside,
            "value is outside of the grid and was left out.",
            "values are outside of the grid and were left out.",
        ),
    ];
    let sentences = sentences.into_iter().filter(|(count, ..)| *count > 0);
    let sentences: Vec<String> = sentences.map(|(count, one, many)| text::count(count as i64, one, many)).collect();
    (!sentences.is_empty()).then(|| sentences.join(" "))
}

/// Returns the value of pasted rows with only one value, which may be `NULL`.
fn one_value(rows: &[Vec<Option<String>>]) -> Option<&Option<String>> {
    match rows {
        [row] => row.first().filter(|_| row.len() == 1),
        _ => None,
    }
}

/// Returns the pasted values: the copied cells if the clipboard still has them, otherwise those of another program.
fn pasted_rows(text: &str, copied: Option<&Copied>) -> Option<Vec<Vec<Option<String>>>> {
    match copied.filter(|copied| copied.is_in(text)) {
        Some(copied) => {
            let row = |row: &Vec<Text>| row.iter().map(|text| text.as_deref().map(str::to_owned)).collect();
            Some(copied.rows.iter().map(row).collect())
        }
        None if text.is_empty() => None,
        None => {
            let rows = tab_separated::read(text).into_iter();
            Some(rows.map(|row| row.into_iter().map(Some).collect()).collect())
        }
    }
}

/// Returns the selected cells.
fn selected(cursor: Cursor) -> impl Iterator<Item = CellPosition> {
    cursor.rows().flat_map(move |row| cursor.columns().map(move |column| CellPosition { row, column }))
}

/// Returns the values with their cells: one value for all selected cells, several from the first selected cell on.
fn changes(cursor: Cursor, rows: Vec<Vec<Option<String>>>) -> Vec<CellChange> {
    if let Some(value) = one_value(&rows) {
        return selected(cursor).map(|cell| (cell, value.clone())).collect();
    }
    let first = CellPosition { row: *cursor.rows().start(), column: *cursor.columns().start() };
    let mut changes = Vec::new();
    for (row, cells) in rows.into_iter().enumerate() {
        for (column, value) in cells.into_iter().enumerate() {
            changes.push((CellPosition { row: first.row + row, column: first.column + column }, value));
        }
    }
    changes
}

/// Returns the text in the clipboard. `None` if the clipboard has something else, such as an image.
fn pasted_text(event: &ClipboardEvent) -> Option<String> {
    let raw: web_sys::Event = event.data().try_as_web_event()?;
    let data = js_sys::Reflect::get(&raw, &"clipboardData".into()).ok()?.dyn_into::<web_sys::DataTransfer>().ok()?;
    let types = data.types();
    if types.length() > 0 && !types.includes(&"text/plain".into(), 0) {
        return None;
    }
    data.get_data("text/plain").ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn copied_cells_are_pasted_exactly() {
        for (rows, text) in [
            (vec![vec![Some("two\nlines\tand a tab".into())]], "two\nlines\tand a tab"),
            (vec![vec![None]], ""),
            (vec![vec![None, Some("".into())], vec![Some("a\nb".into()), None]], "\t\n\"a\nb\"\t"),
        ] {
            let rows: Vec<Vec<Text>> = rows;
            let copied = Copied::new(rows.clone());
            assert_eq!(copied.text, text);
            let expected: Vec<Vec<Option<String>>> =
                rows.iter().map(|row| row.iter().map(|text| text.as_deref().map(str::to_owned)).collect()).collect();
            assert_eq!(pasted_rows(&text.replace('\n', "\r\n"), Some(&copied)), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn cells_of_other_programs_are_pasted_as_text() {
        let copied = Copied::new(vec![vec![None]]);
        assert_eq!(pasted_rows("a\t\nb", Some(&copied)), Some(vec![vec![value("a"), value("")], vec![value("b")]]));
        assert_eq!(pasted_rows("", None), None);
        let changed = changes(selection(), vec![vec![value("a")], vec![value("b"), None]]);
        let positions: Vec<(usize, usize)> = changed.iter().map(|(at, _)| (at.row, at.column)).collect();
        assert_eq!(positions, [(2, 1), (3, 1), (3, 2)]);
    }

    /// Returns a selection of four cells that was extended to its first row and last column.
    fn selection() -> Cursor {
        Cursor::at(CellPosition { row: 3, column: 1 }).to(CellPosition { row: 2, column: 2 })
    }

    #[test]
    fn message_says_which_values_were_not_pasted() {
        for (cells, refused, outside, expected) in [
            (4, 0, 0, None),
            (4, 4, 0, Some("None of these cells can be changed.")),
            (4, 1, 0, Some("1 cell can't be changed and was left out.")),
            (4, 2, 0, Some("2 cells can't be changed and were left out.")),
            (
                4,
                2,
                3,
                Some("2 cells can't be changed and were left out. 3 values are outside of the grid and were left out."),
            ),
        ] {
            assert_eq!(left_out(cells, refused, outside).as_deref(), expected);
        }
    }

    #[test]
    fn one_value_fills_the_selected_cells() {
        for value in [value("a"), None] {
            let changed = changes(selection(), vec![vec![value.clone()]]);
            let positions: Vec<(usize, usize)> = changed.iter().map(|(at, _)| (at.row, at.column)).collect();
            assert_eq!(positions, [(2, 1), (2, 2), (3, 1), (3, 2)]);
            assert!(changed.iter().all(|(_, changed)| *changed == value));
        }
    }
}
