//! Mouse input. The table listens to the events of all its cells, so that drawing a cell is cheap.

use dioxus::{html::input_data::MouseButton, prelude::*, web::WebEventExt as _};
use wasm_bindgen::JsCast as _;
use web_sys::Element as Node;

use super::{CellPosition, cell_menu::MenuCorner, cursor::Cursor, state::State};

pub(super) fn down(state: State, event: &MouseEvent) {
    let Some(position) = position_of(event).filter(|_| event.trigger_button() == Some(MouseButton::Primary)) else {
        return;
    };
    state.commit();
    let cursor = *state.cursor.peek();
    state.go(if event.modifiers().shift() { cursor.to(position) } else { Cursor::at(position) });
}

/// Extends the selection while the button is held.
pub(super) fn over(state: State, event: &MouseEvent) {
    if !event.held_buttons().contains(MouseButton::Primary) || state.edit.peek().is_some() {
        return;
    }
    let cursor = *state.cursor.peek();
    if let Some(position) = position_of(event).filter(|position| !cursor.in_header && *position != cursor.at) {
        state.go(cursor.to(position));
    }
}

pub(super) fn double(state: State, event: &MouseEvent) {
    if let Some(position) = position_of(event) {
        state.begin_edit(position, None);
    }
}

/// Opens the menu of a cell. A cell outside of the selection becomes the selection.
pub(super) fn context(state: State, event: &MouseEvent) {
    let Some(position) = position_of(event) else { return };
    event.prevent_default();
    state.commit();
    let cursor = state.cursor.peek().within(state.extent());
    let is_range = cursor.at != cursor.anchor && !cursor.in_header;
    let is_in_range = cursor.rows().contains(&position.row) && cursor.columns().contains(&position.column);
    if !is_range || !is_in_range {
        state.go(Cursor::at(position));
    }
    let at = event.client_coordinates();
    state.open_menu(MenuCorner { left: at.x, top: at.y });
}

/// Returns the cell under the pointer. `None` if the pointer is on a field or a button in the cell.
fn position_of(event: &MouseEvent) -> Option<CellPosition> {
    let target = event.data().try_as_web_event()?.target()?.dyn_into::<Node>().ok()?;
    if target.closest("button, input, select").ok()?.is_some() {
        return None;
    }
    let cell = target.closest("td[data-column]").ok()??;
    let number = |element: &Node, name: &str| element.get_attribute(name)?.parse().ok();
    Some(CellPosition { row: number(&cell.parent_element()?, "data-row")?, column: number(&cell, "data-column")? })
}
