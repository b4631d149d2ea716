//! Samples of buttons, fields and other controls, for the page of components.

use dioxus::web::WebEventExt as _;
use dioxus::{events::MountedEvent, prelude::*};
use wasm_bindgen::JsCast as _;
use web_sys::HtmlInputElement;

use super::Tile;
use crate::ui::{CopyButton, Field, Icon, IconName, SearchBox};

#[component]
pub(super) fn Buttons() -> Element {
    let kinds =
        [("Primary", "btn btn-primary"), ("Default", "btn"), ("Ghost", "btn btn-ghost"), ("Danger", "btn btn-danger")];
    rsx! {
        Tile { name: "Button",
            for (label, class) in kinds {
                div { key: "{label}", class: "row wrap",
                    button { class, r#type: "button", "{label}" }
                    button { class: "{class} is-hover", r#type: "button", "Hovered" }
                    button { class: "{class} is-active", r#type: "button", "Pressed" }
                    button { class: "{class} is-focus", r#type: "button", "Focused" }
                    button { class, r#type: "button", disabled: true, "Disabled" }
                }
            }
            div { class: "row wrap",
                button { class: "btn btn-l", r#type: "button", "Large" }
                button { class: "btn", r#type: "button", Icon { name: IconName::Plus } "With icon" }
                button { class: "btn btn-s", r#type: "button", "Small" }
                button {
                    class: "btn btn-ghost btn-icon", r#type: "button", "aria-label": "Refresh the sample",
                    Icon { name: IconName::Refresh }
                }
                button { class: "btn", r#type: "button", disabled: true, span { class: "spin" } "Busy" }
                CopyButton { name: "Copy the sample", label: "Copy", text: "sample" }
            }
        }
    }
}

#[component]
pub(super) fn Fields() -> Element {
    let empty = use_signal(String::new);
    let filled = use_signal(|| "notebook".to_owned());
    let wrong = use_signal(|| "notebook".to_owned());
    let search = use_signal(String::new);
    rsx! {
        Tile { name: "Input",
            Field { id: "ui-empty", label: "Empty", value: empty, help: "Help is shown below the field." }
            Field { id: "ui-filled", label: "Filled", value: filled }
            Field {
                id: "ui-wrong", label: "With an error", value: wrong,
                error: Some("Another project has this name.".to_owned())
            }
            div { class: "field",
                label { r#for: "ui-focused", "Focused" }
                input { id: "ui-focused", class: "input is-focus", placeholder: "Text of an empty field" }
            }
            div { class: "field",
                label { r#for: "ui-readonly", "Read-only" }
                input {
                    id: "ui-readonly", class: "input mono", readonly: true, aria_readonly: "true", value: "abcdefgh"
                }
            }
            div { class: "field",
                label { r#for: "ui-disabled", "Disabled" }
                input { id: "ui-disabled", class: "input", disabled: true, value: "can't be changed" }
            }
            div { class: "field",
                label { r#for: "ui-lines", "Several lines" }
                textarea { id: "ui-lines", class: "input mono", rows: 3, value: "https://app.example.com" }
            }
            SearchBox { name: "Filter samples", value: search }
        }
    }
}

#[component]
pub(super) fn Selects() -> Element {
    rsx! {
        Tile { name: "Select, combobox",
            div { class: "field",
                label { r#for: "ui-select", "Select" }
                select { id: "ui-select", class: "input", option { "Never" } option { "30 days" } }
            }
            div { class: "field",
                label { r#for: "ui-select-wrong", "Select with an error" }
                select {
                    id: "ui-select-wrong", class: "input", aria_invalid: "true", aria_describedby: "ui-select-error",
                    option { "Choose" }
                }
                p { class: "error", id: "ui-select-error", "Choose a time zone." }
            }
            div { class: "field",
                label { r#for: "ui-select-off", "Disabled select" }
                select { id: "ui-select-off", class: "input", disabled: true, option { "Never" } }
            }
            div { class: "field",
                label { r#for: "ui-combo", "Combobox" }
                input {
                    id: "ui-combo", class: "input mono", role: "combobox", "aria-expanded": "false", list: "ui-types",
                    value: "text"
                }
                datalist { id: "ui-types", option { value: "text" } option { value: "bigint" } }
            }
        }
    }
}

#[component]
pub(super) fn Choices() -> Element {
    rsx! {
        Tile { name: "Checkbox, radio, switch",
            div { class: "row row-4 wrap",
                label { class: "check", input { class: "box", r#type: "checkbox" } "Off" }
                label { class: "check", input { class: "box", r#type: "checkbox", initial_checked: true } "On" }
                label { class: "check", input { class: "box is-mixed", r#type: "checkbox", onmounted: mix } "Some" }
                label { class: "check", input { class: "box is-focus", r#type: "checkbox" } "Focused" }
                label { class: "check", input { class: "box", r#type: "checkbox", disabled: true } "Disabled" }
            }
            div { class: "row row-4 wrap", role: "radiogroup", "aria-label": "Sample",
                label {
                    class: "check", input { class: "box", r#type: "radio", name: "ui-radio", initial_checked: true }
                    "Read"
                }
                label { class: "check", input { class: "box", r#type: "radio", name: "ui-radio" } "Write" }
                label {
                    class: "check", input { class: "box", r#type: "radio", name: "ui-radio", disabled: true }
                    "Disabled"
                }
            }
            div { class: "row row-4 wrap",
                label { class: "check", input { class: "switch", r#type: "checkbox", role: "switch" } "Off" }
                label {
                    class: "check", input { class: "switch", r#type: "checkbox", role: "switch", initial_checked: true }
                    "On"
                }
                label {
                    class: "check", input { class: "switch is-focus", r#type: "checkbox", role: "switch" }
                    "Focused"
                }
                label {
                    class: "check", input { class: "switch", r#type: "checkbox", role: "switch", disabled: true }
                    "Disabled"
                }
            }
            div { class: "seg", role: "radiogroup", "aria-label": "Sample segments",
                label { input { class: "sr", r#type: "radio", name: "ui-seg", initial_checked: true } "Compact" }
                label { input { class: "sr", r#type: "radio", name: "ui-seg" } "Comfortable" }
            }
        }
    }
}

/// Puts a checkbox into the mixed state. No attribute can do that, only a property.
fn mix(event: MountedEvent) {
    let input = event.data().try_as_web_event().and_then(|element| element.dyn_into::<HtmlInputElement>().ok());
    if let Some(input) = input {
        input.set_indeterminate(true);
    }
}

#[component]
pub(super) fn Tabs() -> Element {
    let mut chosen = use_signal(|| 0_usize);
    let labels = ["Rows", "Structure", "Access"];
    rsx! {
        Tile { name: "Tabs, chips, badges",
            div { class: "tabs tabs-in", role: "tablist", "aria-label": "Sample tabs",
                for (index, label) in labels.into_iter().enumerate() {
                    button {
                        key: "{label}",
                        id: "ui-tab-{index}",
                        r#type: "button",
                        role: "tab",
                        "aria-selected": (chosen() == index).to_string(),
                        "aria-controls": "ui-tabpanel",
                        onclick: move |_| chosen.set(index),
                        "{label}"
                    }
                }
            }
            div { id: "ui-tabpanel", role: "tabpanel", "aria-labelledby": "ui-tab-{chosen}", class: "muted",
                "The content of the tab “{labels.get(chosen()).copied().unwrap_or_default()}”."
            }
            div { class: "row wrap",
                span { class: "chip chip-x",
                    button { r#type: "button", class: "chip-edit", "aria-label": "Edit filter price ≥ 10",
                        span { class: "mono", "price" } span { class: "what", "≥" } span { class: "mono", "10" }
                    }
                    button {
                        r#type: "button", "aria-label": "Remove filter price ≥ 10",
                        Icon { name: IconName::Close, small: true }
                    }
                }
                span { class: "tag", "tag" }
                span { class: "env", "development" }
                kbd { "Ctrl" }
            }
        }
    }
}
