//! Mouse input. The table listens to the events of all its cells, so that drawing a cell is cheap.

use dioxus::{html::input_data::MouseButton, prelude::*, web::WebEventExt as _};
use wasm_bindgen::JsCast as _;
use web_sys::Element as Node;

use super::{Place, cursor::Cursor, state::State};

pub(super) fn down(state: State, event: &MouseEvent) {
    let Some(place) = place_of(event).filter(|_| event.trigger_button() == Some(MouseButton::Primary)) else { return };
    state.commit();
    let cursor = *state.cursor.peek();
    state.go(if event.modifiers().shift() { cursor.to(place) } else { Cursor::at(place) });
}

/// Extends the selection while the button is held.
pub(super) fn over(state: State, event: &MouseEvent) {
    if !event.held_buttons().contains(MouseButton::Primary) || state.edit.peek().is_some() {
        return;
    }
    let cursor = *state.cursor.peek();
    if let Some(place) = place_of(event).filter(|place| !cursor.in_header && *place != cursor.at) {
        state.go(cursor.to(place));
    }
}

pub(super) fn double(state: State, event: &MouseEvent) {
    if let Some(place) = place_of(event) {
        state.begin_edit(place, None);
    }
}

/// Returns the cell under the pointer. Fields and buttons in a cell are not part of it.
fn place_of(event: &MouseEvent) -> Option<Place> {
    let target = event.data().try_as_web_event()?.target()?.dyn_into::<Node>().ok()?;
    if target.closest("button, input, select").ok()?.is_some() {
        return None;
    }
    let cell = target.closest("td[data-column]").ok()??;
    let number = |element: &Node, name: &str| element.get_attribute(name)?.parse().ok();
    Some(Place { row: number(&cell.parent_element()?, "data-row")?, column: number(&cell, "data-column")? })
}
