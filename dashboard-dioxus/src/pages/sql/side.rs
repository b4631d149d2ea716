//! Schema, saved queries, and history: the column on the left, and the sheet on a phone.

use dioxus::prelude::*;

use super::{
    history::History, saved::SavedQueries, schema_tree::SchemaTree, tabs::focus_next_tab, workspace::Workspace,
};
use crate::{
    address,
    ui::{Icon, IconName, Sheet, narrow::use_is_narrow},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Schema,
    Saved,
    History,
}

/// Number of history entries under the saved queries.
const RECENT_ENTRIES: usize = 20;

/// Parameter of the address while the sheet is open.
const PARAMETER: &str = "panel";

/// The button that opens the sheet on a phone.
#[component]
pub(super) fn OpenSide() -> Element {
    rsx! {
        button {
            class: "btn btn-ghost",
            r#type: "button",
            onclick: |_| address::push_parameter(PARAMETER, Some("queries")),
            Icon { name: IconName::Sidebar }
            "Schema and queries"
        }
    }
}

/// The sheet on a phone.
#[component]
pub(super) fn SideSheet(workspace: Workspace) -> Element {
    let is_open = address::use_parameter(PARAMETER).is_some();
    rsx! {
        if is_open {
            Sheet { title: "Schema and queries", on_close: |()| close(), Side { workspace } }
        }
    }
}

/// Closes the sheet, so that the text that was chosen in it is visible.
pub(super) fn close() {
    if address::parameter(PARAMETER).is_some() {
        address::replace_parameter(PARAMETER, None);
    }
}

#[component]
pub(super) fn Side(workspace: Workspace) -> Element {
    let mut part = use_signal(|| Part::Schema);
    let is_in_sheet = use_is_narrow();
    let mut filter = use_signal(String::new);
    let count = match &*workspace.saved.read() {
        Some(Ok(queries)) if !queries.is_empty() => queries.len().to_string(),
        _ => String::new(),
    };
    let parts = [
        (Part::Schema, "Schema", String::new()),
        (Part::Saved, "Saved", count),
        (Part::History, "History", String::new()),
    ];
    rsx! {
        aside { class: "side sql-side", "aria-label": "Schema and queries",
            div {
                class: "tabs sql-side-tabs",
                role: "tablist",
                "aria-label": "Sidebar",
                onkeydown: |event| focus_next_tab(&event),
                for (choice, label, note) in parts {
                    button {
                        key: "{label}",
                        r#type: "button",
                        role: "tab",
                        "aria-label": "{label}",
                        "aria-selected": "{part() == choice}",
                        tabindex: if part() == choice { "0" } else { "-1" },
                        // In the sheet, the focus in a search field would open the keyboard of a phone.
                        autofocus: is_in_sheet && part() == choice,
                        onclick: move |_| part.set(choice),
                        "{label}"
                        if !note.is_empty() {
                            span { class: "n", "aria-hidden": "true", "{note}" }
                        }
                    }
                }
            }
            match part() {
                Part::Schema => rsx! { SchemaTree { workspace } },
                Part::Saved => rsx! {
                    div { class: "sql-side-scroll",
                        div { class: "sql-side-search",
                            div { class: "input input-icon m",
                                Icon { name: IconName::Search }
                                input {
                                    r#type: "search",
                                    "aria-label": "Filter saved queries",
                                    placeholder: "Filter saved queries",
                                    value: "{filter}",
                                    oninput: move |event| filter.set(event.value()),
                                }
                            }
                        }
                        SavedQueries { workspace, filter: filter() }
                        h2 { class: "sql-side-title", "History" }
                        History { workspace, limit: RECENT_ENTRIES }
                    }
                },
                Part::History => rsx! {
                    div { class: "sql-side-scroll", History { workspace, limit: 200 } }
                },
            }
        }
    }
}
