//! Text fields: a field of a form, the error of a form, and the search field above a list.

use dioxus::{events::MountedEvent, prelude::*, web::WebEventExt as _};
use wasm_bindgen::JsCast as _;
use web_sys::HtmlElement;

use super::{CodeText, Icon, IconName, Mark, Shape};

/// The mark in the label of a field that must not be left empty. The field itself has `aria-required`.
#[component]
pub fn RequiredMark() -> Element {
    rsx! { span { class: "required", "aria-hidden": "true", title: "Required", "*" } }
}

/// Focuses an element that was added to the page. Browsers follow `autofocus` only while the first page loads, and
/// when a dialog opens.
pub fn focus_mounted(event: &MountedEvent) {
    if let Some(element) = event.data().try_as_web_event()
        && let Ok(element) = element.dyn_into::<HtmlElement>()
    {
        let _ = element.focus();
    }
}

/// A labelled text field, with help and an error under it.
#[component]
pub fn Field(
    id: String,
    label: String,
    value: Signal<String>,
    #[props(default)] help: String,
    #[props(default)] error: Option<String>,
    #[props(default)] autofocus: bool,
    #[props(default)] required: bool,
    #[props(default)] onleave: EventHandler<()>,
) -> Element {
    let mut value = value;
    let mut described_by = Vec::new();
    if !help.is_empty() {
        described_by.push(format!("{id}-help"));
    }
    if error.is_some() {
        described_by.push(format!("{id}-error"));
    }
    let described_by = (!described_by.is_empty()).then(|| described_by.join(" "));
    rsx! {
        div { class: "field",
            label { r#for: "{id}",
                "{label}"
                if required {
                    RequiredMark {}
                }
            }
            input {
                id: "{id}",
                class: "input",
                autocomplete: "off",
                autofocus,
                onmounted: move |event| {
                    if autofocus {
                        focus_mounted(&event);
                    }
                },
                value: "{value}",
                "aria-required": required.then_some("true"),
                "aria-describedby": described_by,
                "aria-invalid": if error.is_some() { "true" },
                oninput: move |event| value.set(event.value()),
                onblur: move |_| onleave.call(()),
            }
            if let Some(error) = &error {
                p { class: "error", id: "{id}-error", role: "alert",
                    Mark { shape: Shape::Failed }
                    span { CodeText { text: error.clone() } }
                }
            }
            if !help.is_empty() {
                p { class: "help", id: "{id}-help", "{help}" }
            }
        }
    }
}

/// The error of a form or an action. Errors of single fields are shown at the fields.
#[component]
pub fn FormError(text: String) -> Element {
    rsx! { p { class: "error", role: "alert", Mark { shape: Shape::Failed } span { CodeText { text } } } }
}

/// The filter of a list.
#[component]
pub fn SearchBox(name: String, value: Signal<String>) -> Element {
    let mut value = value;
    rsx! {
        div { class: "input input-icon m grow-phone w-60",
            Icon { name: IconName::Search }
            input {
                r#type: "search",
                "aria-label": "{name}",
                placeholder: "{name}",
                value: "{value}",
                oninput: move |event| value.set(event.value()),
            }
        }
    }
}
