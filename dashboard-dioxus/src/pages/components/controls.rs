use dioxus::prelude::*;

use super::Tile;
use crate::ui::{CopyButton, Field, Icon, IconName, SearchBox};

#[component]
pub(super) fn Buttons() -> Element {
    let kinds = [("Primary", "btn btn-primary"), ("Default", "btn"), ("Ghost", "btn btn-ghost"), ("Danger", "btn btn-danger")];
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
                button { class: "btn btn-ghost btn-icon", r#type: "button", "aria-label": "Refresh the sample", Icon { name: IconName::Refresh } }
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
            Field { id: "ui-wrong", label: "With an error", value: wrong, error: Some("Another project has this name.".to_owned()) }
            div { class: "field",
                label { r#for: "ui-disabled", "Disabled" }
                input { id: "ui-disabled", class: "input", disabled: true, value: "cannot be changed" }
            }
            div { class: "field",
                label { r#for: "ui-select", "Select" }
                select { id: "ui-select", class: "input", option { "Never" } option { "30 days" } }
            }
            div { class: "field",
                label { r#for: "ui-combo", "Combobox" }
                input { id: "ui-combo", class: "input mono", role: "combobox", "aria-expanded": "false", list: "ui-types", value: "text" }
                datalist { id: "ui-types", option { value: "text" } option { value: "bigint" } }
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
pub(super) fn Choices() -> Element {
    rsx! {
        Tile { name: "Checkbox, radio, switch",
            div { class: "row row-4 wrap",
                label { class: "check", input { class: "box", r#type: "checkbox" } "Off" }
                label { class: "check", input { class: "box", r#type: "checkbox", initial_checked: true } "On" }
                label { class: "check", input { class: "box is-mixed", r#type: "checkbox" } "Some" }
                label { class: "check", input { class: "box", r#type: "checkbox", disabled: true } "Disabled" }
            }
            div { class: "row row-4 wrap", role: "radiogroup", "aria-label": "Sample",
                label { class: "check", input { class: "box", r#type: "radio", name: "ui-radio", initial_checked: true } "Read" }
                label { class: "check", input { class: "box", r#type: "radio", name: "ui-radio" } "Write" }
                label { class: "check", input { class: "box", r#type: "radio", name: "ui-radio", disabled: true } "Disabled" }
            }
            div { class: "row row-4 wrap",
                label { class: "check", input { class: "switch", r#type: "checkbox", role: "switch" } "Off" }
                label { class: "check", input { class: "switch", r#type: "checkbox", role: "switch", initial_checked: true } "On" }
                label { class: "check", input { class: "switch", r#type: "checkbox", role: "switch", disabled: true } "Disabled" }
            }
        }
    }
}

#[component]
pub(super) fn Tabs() -> Element {
    let mut chosen = use_signal(|| 0_usize);
    rsx! {
        Tile { name: "Tabs, chips, badges",
            div { class: "tabs tabs-in", role: "tablist", "aria-label": "Sample tabs",
                for (index, label) in ["Rows", "Structure", "Access"].into_iter().enumerate() {
                    button {
                        key: "{label}",
                        r#type: "button",
                        role: "tab",
                        "aria-selected": (chosen() == index).to_string(),
                        onclick: move |_| chosen.set(index),
                        "{label}"
                    }
                }
            }
            div { class: "row wrap",
                span { class: "chip chip-x",
                    button { r#type: "button", class: "chip-edit", "aria-label": "Edit filter price ≥ 10",
                        span { class: "mono", "price" } span { class: "what", "≥" } span { class: "mono", "10" }
                    }
                    button { r#type: "button", "aria-label": "Remove filter price ≥ 10", Icon { name: IconName::Close, small: true } }
                }
                span { class: "tag", "tag" }
                span { class: "env", "development" }
                kbd { "Ctrl" }
            }
        }
    }
}
