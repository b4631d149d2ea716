//! The column on the left: schema, saved queries, and history.

use dioxus::prelude::*;

use super::{
    history::History, saved::SavedQueries, schema_tree::SchemaTree, tabs::focus_next_tab, workspace::Workspace,
};
use crate::ui::{Icon, IconName};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Schema,
    Saved,
    History,
}

/// Number of history entries under the saved queries.
const RECENT_ENTRIES: usize = 20;

#[component]
pub(super) fn Side(workspace: Workspace) -> Element {
    let mut part = use_signal(|| Part::Schema);
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
