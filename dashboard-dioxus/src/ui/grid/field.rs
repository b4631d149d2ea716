//! The field in a cell that is being edited.

use dioxus::{events::MountedEvent, prelude::*, web::WebEventExt as _};
use wasm_bindgen::JsCast as _;

use super::state::{Edit, State};

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
    // This is the text as typed so far, not the text before the edit: the field is drawn again if its row moves or was
    // scrolled out of view.
    let text = draft.peek().clone();
    let position = edit.position;
    match edit.field.choices {
        Some(choices) => rsx! {
            select {
                "aria-label": "{name}",
                onmounted: focus,
                onchange: move |event| draft.set(event.value()),
                onblur: move |_| state.leave_field(position),
                if !choices.contains(&text) {
                    option { value: "{text}", selected: true, if text.is_empty() { "NULL" } else { "{text}" } }
                }
                for choice in choices {
                    option { key: "{choice}", value: "{choice}", selected: choice == text, "{choice}" }
                }
            }
        },
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
