//! The header of a grid.

use dioxus::{prelude::*, web::WebEventExt as _};
use wasm_bindgen::JsCast as _;

use super::{cursor::Cursor, state::State};
use crate::{
    ui::{Icon, IconName},
    value::{is_number, short_type},
};

/// The header of a column: Enter sorts, and the line on its right resizes.
#[component]
pub(super) fn Header(state: State, column: usize, sorted: Option<bool>) -> Element {
    let is_stop = use_memo(move || {
        let cursor = state.cursor.read();
        // Without rows, no cell can be the tab stop.
        cursor.at.column == column && (cursor.in_header || state.is_empty())
    });
    let Some(about) = state.columns.read().get(column).cloned() else { return rsx! {} };
    let mut class = if column == 0 { "key".to_owned() } else { String::new() };
    if is_number(&about.data_type) {
        class.push_str(" num");
    }
    let order = match sorted {
        Some(true) => "descending",
        Some(false) => "ascending",
        None => "none",
    };
    rsx! {
        th { class, scope: "col", "aria-sort": order, "aria-colindex": "{column + 1}", "data-column": "{column}",
            button {
                class: "sort",
                r#type: "button",
                tabindex: if is_stop() { "0" } else { "-1" },
                title: "{about.name} {about.data_type}\nEnter sorts by this column. Shift and an arrow key resize it.",
                onclick: move |_| {
                    let next = match sorted {
                        None => Some(false),
                        Some(false) => Some(true),
                        Some(true) => None,
                    };
                    state.commit();
                    let source = state.source.peek().clone();
                    source.sort(column, next);
                    state.go(Cursor::header(column));
                },
                if let Some(icon) = about.icon {
                    Icon { name: icon }
                }
                span { class: "cut", "{about.name}" }
                span { class: "type", "{short_type(&about.data_type)}" }
                if let Some(descending) = sorted {
                    Icon { name: if descending { IconName::ArrowDown } else { IconName::ArrowUp }, small: true }
                }
            }
            Handle { state, column }
        }
    }
}

/// The line that resizes a column. A double click fits it to its values.
#[component]
fn Handle(state: State, column: usize) -> Element {
    // Position of the pointer and width of the column when the drag began, in pixels.
    let mut grabbed = use_signal(|| None::<(f64, f64)>);
    rsx! {
        span {
            class: "resize",
            "aria-hidden": "true",
            ondoubleclick: move |_| state.fit(column),
            onpointerdown: move |event| {
                event.prevent_default();
                if let Some(raw) = event.data().try_as_web_event()
                    && let Some(handle) = raw.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok())
                {
                    let _ = handle.set_pointer_capture(raw.pointer_id());
                }
                grabbed.set(Some((event.client_coordinates().x, state.width(column))));
            },
            onpointermove: move |event| {
                if let Some((from, width)) = *grabbed.peek() {
                    state.resize(column, width + event.client_coordinates().x - from);
                }
            },
            onpointerup: move |_| grabbed.set(None),
            onpointercancel: move |_| grabbed.set(None),
        }
    }
}

/// The header before the first column: the checkbox that selects all rows.
#[component]
pub(super) fn Corner(state: State) -> Element {
    let selection = use_memo(move || state.source.read().selection());
    let Some(all) = selection() else {
        return rsx! { th { class: "pick number", "aria-hidden": "true", "#" } };
    };
    rsx! {
        th { class: "pick",
            input {
                r#type: "checkbox",
                class: "box",
                "aria-label": "Select all rows",
                tabindex: "-1",
                checked: all,
                onchange: move |event| {
                    let source = state.source.peek().clone();
                    source.select_all(event.checked());
                },
            }
        }
    }
}
