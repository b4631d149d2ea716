//! The history of executed SQL: the list, and the keyboard shortcuts for the next older and newer entry.

use api_types::SqlHistoryEntry;
use dioxus::prelude::*;

use super::{drafts, editor, execution::duration, workspace::Workspace};
use crate::{
    text,
    ui::{Mark, Shape},
};

/// Replaces the text of the editor with the next older or newer text of the history.
pub(super) fn step(mut workspace: Workspace, older: bool) {
    let texts = match &*workspace.history.peek() {
        Some(Ok(entries)) => distinct(entries),
        _ => return,
    };
    let index = *workspace.history_index.peek();
    let next = match (index, older) {
        (None, true) => Some(0),
        (Some(index), true) => Some((index + 1).min(texts.len().saturating_sub(1))),
        (Some(index), false) => index.checked_sub(1),
        (None, false) => None,
    };
    let Some(next) = next else { return };
    if let Some(text) = texts.get(next) {
        editor::replace(workspace, text);
        workspace.history_index.set(Some(next));
    }
}

/// Returns the texts, newest first, without consecutive duplicates.
fn distinct(entries: &[SqlHistoryEntry]) -> Vec<String> {
    let mut texts: Vec<String> = entries.iter().map(|entry| entry.sql.clone()).collect();
    texts.dedup();
    texts
}

#[component]
pub(super) fn History(workspace: Workspace, limit: usize) -> Element {
    let loaded = workspace.history.read().clone();
    match loaded {
        None => rsx! { p { class: "sql-side-note late", role: "status", "Loading…" } },
        Some(Err(failure)) => {
            rsx! { p { class: "sql-side-note", role: "alert", "The history could not be loaded. {failure.message()}" } }
        }
        Some(Ok(entries)) if entries.is_empty() => {
            rsx! { p { class: "sql-side-note", "SQL that you run appears here for 90 days." } }
        }
        Some(Ok(entries)) => rsx! {
            ul { class: "rows sql-list", "aria-label": "History",
                for entry in entries.iter().take(limit).cloned() {
                    li { key: "{entry.id}",
                        button {
                            class: "inset sql-entry",
                            r#type: "button",
                            title: "{shortened(&entry.sql)}",
                            onclick: {
                                let sql = entry.sql.clone();
                                move |_| workspace.open(None, &sql, None)
                            },
                            Mark { shape: if entry.error.is_some() { Shape::Failed } else { Shape::Succeeded } }
                            span { class: "grow",
                                span { class: "cut mono sql-entry-text", "{drafts::title_of(&entry.sql)}" }
                                span {
                                    class: "cut tiny faint sql-entry-text",
                                    title: text::exact(entry.at),
                                    "{facts(&entry)}"
                                }
                            }
                        }
                    }
                }
            }
        },
    }
}

fn facts(entry: &SqlHistoryEntry) -> String {
    let age = text::age(entry.at, text::now());
    match (&entry.error, entry.row_count) {
        (Some(error), _) => format!("{age} · {error}"),
        (None, Some(count)) => {
            format!("{age} · {} · {}", text::count(count, "row", "rows"), duration(entry.duration_ms))
        }
        (None, None) => format!("{age} · {}", duration(entry.duration_ms)),
    }
}

fn shortened(sql: &str) -> String {
    sql.chars().take(600).collect()
}
