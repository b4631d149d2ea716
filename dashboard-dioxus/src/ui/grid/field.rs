//! The field in a cell that is being edited.

use dioxus::{events::MountedEvent, prelude::*, web::WebEventExt as _};
use wasm_bindgen::JsCast as _;

use super::{
    Field,
    state::{Edit, State},
};

#[component]
pub(super) fn CellField(state: State, edit: Edit) -> Element {
    let mut draft = state.draft;
    let name = state.columns.peek().get(edit.position.column).map(|column| column.name.clone()).unwrap_or_default();
    let focus = |event: MountedEvent| {
        let field = event.data().try_as_web_event().and_then(|field| field.dyn_into::<web_sys::HtmlElement>().ok());
        let Some(field) = field else { return };
        let _ = field.focus();
        // The character that began the edit is already in the field. The next character must follow that one, so the
        // cursor goes to the end.
        if let Some(field) = field.dyn_ref::<web_sys::HtmlInputElement>() {
            let end = field.value().encode_utf16().count() as u32;
            let _ = field.set_selection_range(end, end);
        }
    };
    let position = edit.position;
    let Field { text: before, choices, null_choice, .. } = edit.field;
    // This is the text as typed so far, not the text before the edit: the field is drawn again if its row moves or was
    // scrolled out of view.
    // Typed letters choose a value, so a field with choices is drawn again with the draft.
    let text = if choices.is_some() { draft.read().clone() } else { draft.peek().clone() };
    match choices {
        Some(choices) => {
            let mut options = choices;
            // The value before the edit, and NULL, are the first options.
            if !options.contains(&before) {
                options.insert(0, before);
            }
            if null_choice && !options.iter().any(String::is_empty) {
                options.insert(0, String::new());
            }
            rsx! {
                select {
                    "aria-label": "{name}",
                    onmounted: focus,
                    onchange: move |event| state.choose(event.value()),
                    onblur: move |_| state.leave_field(position),
                    for choice in options {
                        option { key: "{choice}", value: "{choice}", selected: choice == text,
                            if choice.is_empty() { "NULL" } else { "{choice}" }
                        }
                    }
                }
            }
        }
        None => rsx! {
            input {
                "aria-label": "{name}",
                spellcheck: "false",
                autocomplete: "off",
                initial_value: "{text}",
                onmounted: focus,
                oninput: move |event| draft.set(event.value()),
                onblur: move |_| state.leave_field(position),
            }
        },
    }
}

impl State {
    /// Chooses the first value that begins with the typed letters. Letters that continue no value begin again. Returns
    /// false if the edited cell has no choices.
    pub(super) fn type_choice(mut self, letter: &str) -> bool {
        let field = self.edit.peek().as_ref().map(|edit| edit.field.clone());
        let Some(field) = field.filter(|field| field.choices.is_some()) else { return false };
        let longer = format!("{}{letter}", self.typed.peek());
        for typed in [longer, letter.to_owned()] {
            if let Some(text) = field.chosen(&typed) {
                self.draft.set(text);
                self.typed.set(typed);
                break;
            }
        }
        true
    }

    /// Takes a value that was chosen in the list.
    pub(super) fn choose(mut self, text: String) {
        self.draft.set(text);
        self.typed.set(String::new());
    }
}
