//! The history of executed SQL: the list, and the keyboard shortcuts for the next older and newer entry.

use std::{collections::HashSet, rc::Rc};

use api_types::SqlHistoryEntry;
use dioxus::prelude::*;

use super::{drafts, editor, execution::duration, side, workspace::Workspace};
use crate::{
    text,
    ui::{Mark, Shape},
};

/// Replaces the text of the editor with the next older or newer text of the history. A replaced text that is not in the
/// history counts as newer than all entries, so that steps to newer texts show it again.
pub(super) fn step(mut workspace: Workspace, older: bool) {
    editor::pull(workspace);
    let Some(tab) = workspace.peek_tab(&workspace.active.peek()) else { return };
    let mut replaced = workspace.replaced.peek().get(&tab.id).cloned().unwrap_or_default();
    let mut texts = match &*workspace.history.peek() {
        Some(Ok(entries)) => distinct(&replaced, entries),
        _ => return,
    };
    let is_shown = |text: &Rc<str>| *text == tab.text;
    if older && !texts.iter().any(is_shown) {
        replaced.insert(0, tab.text.clone());
        texts.insert(0, tab.text.clone());
        workspace.replaced.write().insert(tab.id.clone(), replaced);
    }
    let Some(shown) = texts.iter().position(is_shown) else { return };
    let next = if older { Some(shown + 1) } else { shown.checked_sub(1) };
    if let Some(text) = next.and_then(|next| texts.get(next)) {
        editor::replace(workspace, text);
    }
}

/// Returns the texts, newest first, each once.
fn distinct(replaced: &[Rc<str>], entries: &[SqlHistoryEntry]) -> Vec<Rc<str>> {
    let mut seen = HashSet::new();
    let texts = replaced.iter().cloned().chain(entries.iter().map(|entry| Rc::from(entry.sql.as_str())));
    texts.filter(|text| seen.insert(text.clone())).collect()
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
            rsx! { p { class: "sql-side-note", "SQL that you run appears here for up to 90 days." } }
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
                                move |_| {
                                    side::close();
                                    workspace.open(None, &sql, None);
                                }
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
