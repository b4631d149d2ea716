//! Keyboard input.

use dioxus::{prelude::*, web::WebEventExt as _};
use wasm_bindgen::JsCast as _;

use super::{
    CellPosition, clipboard,
    cursor::{self, Cursor},
    state::State,
};

/// Pixels by which Shift with an arrow key changes the width of a column.
const WIDTH_STEP: f64 = 16.0;

pub(super) fn handle(state: State, event: &KeyboardEvent) {
    // An input method uses the key: Enter chooses one of its suggestions.
    if event.is_composing() {
        return;
    }
    let is_editing = state.edit.peek().is_some();
    let cursor = *state.cursor.peek();
    // Without rows, only the header can have the focus.
    let cursor = Cursor { in_header: cursor.in_header || state.extent().rows == 0, ..cursor };
    if !is_editing && !cursor.in_header && is_in_control(event) {
        return;
    }
    let handled = if is_editing {
        edit(state, event)
    } else if cursor.in_header {
        header(state, event, cursor)
    } else {
        page_key(state, event) || cell(state, event) || movement(state, event, cursor)
    };
    if handled {
        event.prevent_default();
    }
}

/// Handles a key in the field of a cell.
fn edit(state: State, event: &KeyboardEvent) -> bool {
    let modifiers = event.modifiers();
    let CellPosition { row, column } = state.position();
    let extent = state.extent();
    let next = |row: usize, column: usize| {
        state.commit();
        state.go(Cursor::at(CellPosition { row, column }));
        true
    };
    match event.key() {
        Key::Escape => {
            // A sheet around the grid must not close.
            event.stop_propagation();
            state.cancel_edit();
            true
        }
        Key::Enter if control(event) => next(row, column) && page_key(state, event),
        Key::Character(letter) if control(event) && letter.eq_ignore_ascii_case("s") => {
            next(row, column) && page_key(state, event)
        }
        // Space opens the list of values.
        Key::Character(letter) if !control(event) && !modifiers.alt() && letter != " " => state.type_choice(&letter),
        Key::Enter if !modifiers.alt() => next(row + 1, column),
        Key::Tab if modifiers.shift() && column > 0 => next(row, column - 1),
        Key::Tab if !modifiers.shift() && column + 1 < extent.columns => next(row, column + 1),
        Key::Tab if !modifiers.shift() && row + 1 < extent.rows => next(row + 1, 0),
        Key::Tab => next(row, column),
        _ => false,
    }
}

/// Handles a key in the header. The browser handles Enter and Space, which click the button of the header.
fn header(state: State, event: &KeyboardEvent, cursor: Cursor) -> bool {
    let column = cursor.at.column;
    match event.key() {
        Key::ArrowRight if event.modifiers().shift() => state.resize(column, state.width(column) + WIDTH_STEP),
        Key::ArrowLeft if event.modifiers().shift() => state.resize(column, state.width(column) - WIDTH_STEP),
        _ => return movement(state, event, cursor),
    }
    true
}

/// Handles a key that the page defines.
fn page_key(state: State, event: &KeyboardEvent) -> bool {
    let source = state.source.peek().clone();
    source.on_key(event, state.position())
}

/// Handles a key that acts on the cell with the focus.
fn cell(state: State, event: &KeyboardEvent) -> bool {
    let source = state.source.peek().clone();
    let position = state.position();
    let can_edit = || source.edit(position).is_some();
    let alt = event.modifiers().alt();
    match event.key() {
        Key::Enter if alt => source.open(position),
        Key::Enter | Key::F2 => state.begin_edit(position, None),
        Key::ContextMenu => state.open_menu_at_cursor(),
        Key::F10 if event.modifiers().shift() => state.open_menu_at_cursor(),
        Key::Escape if state.cursor.peek().at != state.cursor.peek().anchor => state.go(Cursor::at(position)),
        Key::Backspace if control(event) => return state.set_null(),
        Key::Backspace | Key::Delete if can_edit() => state.begin_edit(position, Some(String::new())),
        // With Caps Lock, the letters are capitals.
        Key::Character(letter) if control(event) => match letter.to_ascii_lowercase().as_str() {
            "c" => clipboard::copy(state),
            "a" => state.go(Cursor::all(state.extent())),
            _ => return false,
        },
        Key::Character(letter) if letter == " " && source.selection().is_some() => source.toggle_row(position.row),
        Key::Character(letter) if !alt && letter.chars().count() == 1 && can_edit() => {
            state.begin_edit(position, Some(letter));
        }
        _ => return false,
    }
    true
}

fn movement(state: State, event: &KeyboardEvent, cursor: Cursor) -> bool {
    let extent = state.extent();
    let shift = event.modifiers().shift();
    match cursor::moved(cursor.within(extent), &event.key(), control(event), shift, extent) {
        Some(next) if !event.modifiers().alt() => state.go(next),
        _ => return false,
    }
    true
}

fn control(event: &KeyboardEvent) -> bool {
    event.modifiers().ctrl() || event.modifiers().meta()
}

/// Returns whether a button or field in the grid has the focus, and so handles keys itself.
fn is_in_control(event: &KeyboardEvent) -> bool {
    let target = event.data().try_as_web_event().and_then(|raw| raw.target());
    let element = target.and_then(|target| target.dyn_into::<web_sys::Element>().ok());
    element.is_some_and(|element| matches!(element.closest("button, input, select"), Ok(Some(_))))
}
