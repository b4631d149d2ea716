//! Samples of dialogs, sheets, menus, popovers, the command palette and messages, for the page of components.

use dioxus::prelude::*;

use super::Tile;
use crate::ui::{
    Confirm, Dialog, Finder, FinderOption, Icon, IconName, Mark, Menu, MenuItem, Popover, Shape, Sheet, finder,
    messages,
};

/// The open overlay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Nothing,
    Dialog,
    Confirm,
    /// A dialog with content that is shown once: Esc does not close it.
    Once,
    Sheet,
}

#[component]
pub(super) fn Dialogs() -> Element {
    let mut open = use_signal(|| Open::Nothing);
    let mut close = move |()| open.set(Open::Nothing);
    rsx! {
        Tile { name: "Dialog, sheet",
            div { class: "row wrap",
                button { class: "btn", r#type: "button", onclick: move |_| open.set(Open::Dialog), "Open dialog" }
                button {
                    class: "btn", r#type: "button", onclick: move |_| open.set(Open::Confirm), "Open confirmation"
                }
                button {
                    class: "btn", r#type: "button", onclick: move |_| open.set(Open::Once), "Open dialog that stays"
                }
                button { class: "btn", r#type: "button", onclick: move |_| open.set(Open::Sheet), "Open sheet" }
            }
            match open() {
                Open::Nothing => rsx! {},
                Open::Dialog => rsx! {
                    Dialog {
                        title: "Sample dialog",
                        description: "The focus stays inside the dialog until the dialog closes.",
                        on_close: close,
                        footer: rsx! {
                            button {
                                class: "btn btn-l", r#type: "button", autofocus: true, onclick: move |_| close(()),
                                "Close"
                            }
                        },
                        p { "The content." }
                    }
                },
                Open::Confirm => rsx! {
                    Confirm {
                        act: "Delete sample",
                        description: "12 tables, 3.4 GB and 218 objects are lost.",
                        typed: Some("sample".to_owned()),
                        busy: false,
                        on_confirm: close,
                        on_close: close,
                    }
                },
                Open::Once => rsx! {
                    Dialog {
                        title: "Sample shown once",
                        closable: false,
                        on_close: |()| {},
                        footer: rsx! {
                            button {
                                class: "btn btn-primary btn-l", r#type: "button", onclick: move |_| close(()), "Done"
                            }
                        },
                        p { "Esc and a click outside don't close it." }
                    }
                },
                Open::Sheet => rsx! {
                    Sheet {
                        title: "Sample sheet", on_close: close,
                        footer: rsx! { button { class: "btn btn-primary", r#type: "button", "Save sample" } },
                        p { "The list beside it stays usable." }
                        Menu { name: "Actions for the sheet", icon: IconName::Dots,
                            MenuItem { icon: Some(IconName::Refresh), onselect: |()| {}, "Refresh" }
                        }
                    }
                },
            }
        }
    }
}

#[component]
pub(super) fn Menus() -> Element {
    rsx! {
        Tile { name: "Menu, popover, tooltip",
            div { class: "row wrap",
                Menu { name: "Actions for sample", icon: IconName::Dots,
                    MenuItem { icon: Some(IconName::Refresh), onselect: |()| {}, "Rotate key" }
                    hr {}
                    MenuItem { icon: Some(IconName::Trash), danger: true, onselect: |()| {}, "Revoke key" }
                }
                Popover { name: "Sample columns", icon: IconName::Columns, label: "Popover",
                    label { class: "check", input { class: "box", r#type: "checkbox" } "title" }
                }
                span { class: "tip", role: "tooltip", "3 Feb 2026, 10:24:49 UTC" }
            }
        }
    }
}

#[component]
pub(super) fn PaletteSample() -> Element {
    let query = use_signal(String::new);
    let entries = [
        ("Do", IconName::Plus, "New project", ""),
        ("Go to", IconName::Table, "Tables", "notebook"),
        ("Go to", IconName::Sql, "SQL", "notebook"),
    ];
    let options = entries
        .into_iter()
        .filter(|(_, _, text, _)| finder::matches(text, &query.read()))
        .map(|(group, icon, text, detail)| FinderOption {
            group,
            icon,
            text: text.to_owned(),
            detail: detail.to_owned(),
            keys: if text == "SQL" { vec!["g", "s"] } else { Vec::new() },
        })
        .collect();
    rsx! {
        Tile { name: "Command palette",
            div { class: "palette still",
                Finder {
                    name: "Search samples",
                    list_name: "Sample commands",
                    options,
                    query,
                    empty: "Nothing matches.",
                    autofocus: false,
                    on_choose: |_| messages::show("Chosen"),
                }
            }
        }
    }
}

#[component]
pub(super) fn Toasts() -> Element {
    rsx! {
        Tile { name: "Toast, banner",
            div { class: "row wrap",
                button { class: "btn", r#type: "button", onclick: |_| messages::show("Saved"), "Show success" }
                button {
                    class: "btn", r#type: "button", onclick: |_| messages::show_failure("The server did not respond."),
                    "Show failure"
                }
            }
            div { class: "toast still", role: "status", Mark { shape: Shape::Succeeded } span { class: "grow", "Saved" }
                button {
                    class: "btn btn-ghost btn-s btn-icon", r#type: "button", "aria-label": "Dismiss the sample",
                    Icon { name: IconName::Close }
                }
            }
            div {
                class: "notbar", role: "status", Mark { shape: Shape::Attention }
                span { class: "grow", "Not connected." }
                button { class: "btn btn-s", r#type: "button", "Try the sample again" }
            }
            for (class, text) in [
                ("banner", "Neutral"),
                ("banner t-accent", "Selected"),
                ("banner t-good", "All is well."),
                ("banner t-warning", "Row-level security is off."),
                ("banner t-bad", "The backup failed."),
            ] {
                div { key: "{text}", class, Icon { name: IconName::Lock } p { "{text}" } }
            }
        }
    }
}
