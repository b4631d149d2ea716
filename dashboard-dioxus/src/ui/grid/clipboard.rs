//! Copies the selected cells, and pastes cells of other programs.

use dioxus::{prelude::*, web::WebEventExt as _};
use wasm_bindgen::JsCast as _;

use super::{CellPosition, state::State};
use crate::{
    clipboard, text,
    ui::messages,
    value::{self, Text},
};

/// Copies one cell as it is, and several as a table for spreadsheets.
pub(super) fn copy(state: State) {
    let cursor = state.cursor.peek().within(state.extent());
    let source = state.source.peek().clone();
    let mut cut = 0;
    let mut rows: Vec<Vec<Text>> = Vec::new();
    for row in cursor.rows() {
        let row = source.row(row);
        let cells = cursor.columns().map(|column| row.cells.get(column).cloned().unwrap_or_default());
        let texts = cells.map(|cell| {
            cut += i64::from(cell.whole_bytes.is_some());
            cell.text
        });
        rows.push(texts.collect());
    }
    let copied = match rows.as_slice() {
        [row] if row.len() == 1 => row.first().cloned().flatten().unwrap_or_default().to_string(),
        _ => value::tab_separated(rows.into_iter()),
    };
    spawn(async move {
        if !clipboard::copy(&copied).await {
            messages::show_failure(clipboard::REFUSED);
        } else if cut > 0 {
            let values = text::count(cut, "value is", "values are");
            messages::show_failure(format!("Copied, but {values} truncated. Open the row to copy the full value."));
        } else {
            messages::show("Copied");
        }
    });
}

/// Writes a table of the clipboard into the cells from the cursor on.
pub(super) fn paste(state: State, event: &ClipboardEvent) {
    let position = state.position();
    let source = state.source.peek().clone();
    if state.edit.peek().is_some() || source.edit(position).is_none() {
        return;
    }
    let Some(pasted) = pasted_text(event) else { return };
    event.prevent_default();
    let extent = state.extent();
    let mut refused = 0;
    for (row, line) in pasted.trim_end_matches(['\r', '\n']).split('\n').enumerate() {
        for (column, cell) in line.trim_end_matches('\r').split('\t').enumerate() {
            let position = CellPosition { row: position.row + row, column: position.column + column };
            let is_inside = position.row < extent.rows && position.column < extent.columns;
            refused += i64::from(!is_inside || !source.stage(position, Some(cell.to_owned())));
        }
    }
    if refused > 0 {
        let values = text::count(refused, "value was", "values were");
        messages::show_failure(format!("{values} not pasted: no editable cell at the target."));
    }
}

fn pasted_text(event: &ClipboardEvent) -> Option<String> {
    let raw: web_sys::Event = event.data().try_as_web_event()?;
    let data = js_sys::Reflect::get(&raw, &"clipboardData".into()).ok()?.dyn_into::<web_sys::DataTransfer>().ok()?;
    data.get_data("text/plain").ok().filter(|text| !text.is_empty())
}
