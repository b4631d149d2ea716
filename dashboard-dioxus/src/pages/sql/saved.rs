//! Saved queries: the list, and saving the open one.

use api_types::{SavedQuery, UpdateSavedQuery};
use dioxus::prelude::*;

use super::{editor, side, wire, workspace::Workspace};
use crate::{
    text,
    ui::{Confirm, Dialog, Field, IconName, Menu, MenuItem, messages, narrow::use_is_narrow},
};

/// Height of an entry, in pixels.
const ROW_HEIGHT: f64 = 28.0;

/// Height of an entry on a phone, in pixels.
const NARROW_ROW_HEIGHT: f64 = 40.0;

/// The open dialog of the list.
#[derive(Debug, Clone, PartialEq)]
enum Open {
    Nothing,
    Delete(SavedQuery),
}

static NAMING: GlobalSignal<Option<String>> = Signal::global(|| None);

/// Saves the open query. Asks for a name if it has none.
pub(super) fn save(workspace: Workspace) {
    editor::pull(workspace);
    let Some(tab) = workspace.peek_tab(&workspace.active.peek()) else { return };
    let Some((id, version)) = tab.saved else {
        *NAMING.write() = Some(tab.id);
        return;
    };
    let change = UpdateSavedQuery { name: tab.name.clone(), sql: Some(tab.text.to_string()) };
    dioxus::core::spawn_forever(async move {
        match wire::update_query(&workspace.project(), &id, version, &change).await {
            Ok(saved) => {
                workspace.change(&tab.id, |tab| tab.saved = Some((saved.id, saved.version)));
                messages::show("Query saved");
                workspace.refresh_saved();
            }
            // The saved query was deleted or changed elsewhere, so this text becomes a new query.
            Err(failure) if matches!(failure.code(), Some("not_found" | "precondition_failed" | "conflict")) => {
                messages::show_failure(
                    "The saved query was changed or deleted elsewhere. Save this text under another name.",
                );
                workspace.change(&tab.id, |tab| tab.saved = None);
                *NAMING.write() = Some(tab.id);
            }
            Err(failure) => messages::show_failure(format!("The query could not be saved. {}", failure.message())),
        }
    });
}

/// Opens a saved query, in the tab that already shows it if there is one.
pub(super) fn open(workspace: Workspace, query: &SavedQuery) {
    let tab = workspace
        .tabs
        .peek()
        .iter()
        .find(|tab| tab.saved.as_ref().is_some_and(|(id, _)| *id == query.id))
        .map(|tab| tab.id.clone());
    match tab {
        Some(tab) => workspace.activate(&tab),
        None => workspace.open(Some(query.name.clone()), &query.sql, Some((query.id.clone(), query.version))),
    }
}

/// Asks for the name of a query that is saved for the first time.
#[component]
pub(super) fn SaveDialog(workspace: Workspace) -> Element {
    let naming = NAMING.read().clone();
    let tab = naming.and_then(|id| workspace.peek_tab(&id));
    rsx! {
        if let Some(tab) = tab {
            NameQuery { workspace, id: tab.id.clone(), suggestion: tab.name.clone().unwrap_or_default() }
        }
    }
}

#[component]
fn NameQuery(workspace: Workspace, id: String, suggestion: String) -> Element {
    let name = use_signal(|| suggestion);
    let mut error = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    let close = move || *NAMING.write() = None;
    let save = move || {
        let id = id.clone();
        let text = workspace.peek_tab(&id).map(|tab| tab.text.to_string()).unwrap_or_default();
        spawn(async move {
            let chosen = name.peek().trim().to_owned();
            if chosen.is_empty() {
                return error.set(Some("Enter a name.".to_owned()));
            }
            busy.set(true);
            match wire::create_query(&workspace.project(), &chosen, &text).await {
                Ok(saved) => {
                    workspace.change(&id, |tab| {
                        tab.name = Some(saved.name);
                        tab.saved = Some((saved.id, saved.version));
                    });
                    messages::show("Query saved");
                    workspace.refresh_saved();
                    close();
                }
                Err(failure) => error.set(Some(failure.message())),
            }
            busy.set(false);
        });
    };
    rsx! {
        Dialog {
            title: "Save query",
            on_close: move |()| close(),
            footer: rsx! {
                button { class: "btn btn-l", r#type: "button", onclick: move |_| close(), "Cancel" }
                button {
                    class: "btn btn-primary btn-l",
                    r#type: "submit",
                    form: "save-query",
                    "aria-disabled": busy(),
                    "Save query"
                }
            },
            form {
                id: "save-query",
                onsubmit: move |event| {
                    event.prevent_default();
                    save();
                },
                Field { id: "query-name", label: "Name", required: true, value: name, autofocus: true, error: error() }
            }
        }
    }
}

/// The list. A long list renders only the entries in view, so that hundreds of queries don't slow down the page.
#[component]
pub(super) fn SavedQueries(workspace: Workspace, filter: String) -> Element {
    let mut open_dialog = use_signal(|| Open::Nothing);
    let mut first = use_signal(|| 0_usize);
    let row_height = if use_is_narrow() { NARROW_ROW_HEIGHT } else { ROW_HEIGHT };
    let loaded = workspace.saved.read().clone();
    let queries = match loaded {
        None => return rsx! { p { class: "sql-side-note late", role: "status", "Loading…" } },
        Some(Err(failure)) => {
            return rsx! {
                p { class: "sql-side-note", role: "alert", "Saved queries could not be loaded. {failure.message()}" }
            };
        }
        Some(Ok(queries)) => queries,
    };
    let wanted = filter.to_lowercase();
    let shown: Vec<SavedQuery> =
        queries.iter().filter(|query| query.name.to_lowercase().contains(&wanted)).cloned().collect();
    if shown.is_empty() {
        let text = match queries.is_empty() {
            true => "“Save query” adds the open query to this list.",
            false => "No name of a saved query contains this text.",
        };
        return rsx! { p { class: "sql-side-note", "{text}" } };
    }
    let is_long = shown.len() > 60;
    let (skipped, count) = if is_long { (first().min(shown.len()), 40) } else { (0, shown.len()) };
    let after = shown.len().saturating_sub(skipped + count);
    let current = workspace.active_tab().and_then(|tab| tab.saved).map(|(id, _)| id);
    rsx! {
        ul {
            class: if is_long { "rows sql-list sql-list-long" } else { "rows sql-list" },
            "aria-label": "Saved queries",
            onscroll: move |event| {
                let start = ((event.scroll_top() / row_height) as usize).saturating_sub(10) / 5 * 5;
                if *first.peek() != start {
                    first.set(start);
                }
            },
            if skipped > 0 {
                li { role: "presentation", style: "block-size: {skipped as f64 * row_height}px" }
            }
            for (index, query) in shown.iter().enumerate().skip(skipped).take(count) {
                li {
                    key: "{query.id}",
                    class: "sql-saved",
                    "aria-setsize": "{shown.len()}",
                    "aria-posinset": "{index + 1}",
                    button {
                        class: "inset",
                        r#type: "button",
                        "aria-current": if current.as_ref() == Some(&query.id) { "true" },
                        title: "Changed {text::age(query.updated_at, text::now())}",
                        onclick: {
                            let query = query.clone();
                            move |_| {
                                side::close();
                                open(workspace, &query);
                            }
                        },
                        span { class: "cut", "{query.name}" }
                    }
                    Menu { name: "Actions for {query.name}", icon: IconName::Dots, class: "btn-s",
                        MenuItem {
                            icon: Some(IconName::Copy),
                            onselect: {
                                let query = query.clone();
                                move |()| {
                                    side::close();
                                    workspace.open(Some(format!("{} (copy)", query.name)), &query.sql, None);
                                }
                            },
                            "Open as a copy"
                        }
                        MenuItem {
                            icon: Some(IconName::Trash),
                            danger: true,
                            onselect: {
                                let query = query.clone();
                                move |()| open_dialog.set(Open::Delete(query.clone()))
                            },
                            "Delete query"
                        }
                    }
                }
            }
            if after > 0 {
                li { role: "presentation", style: "block-size: {after as f64 * row_height}px" }
            }
        }
        if let Open::Delete(query) = open_dialog() {
            DeleteQuery { workspace, query, on_close: move |()| open_dialog.set(Open::Nothing) }
        }
    }
}

#[component]
fn DeleteQuery(workspace: Workspace, query: SavedQuery, on_close: EventHandler<()>) -> Element {
    let mut busy = use_signal(|| false);
    let mut error = use_signal(|| None::<String>);
    let id = query.id.clone();
    let age = text::age(query.updated_at, text::now());
    rsx! {
        Confirm {
            act: "Delete query",
            description: "{query.name}, last changed {age}. If it is open in a tab, its text stays there.",
            busy: busy(),
            closable: !busy(),
            failure: error(),
            on_confirm: move |()| {
                let id = id.clone();
                spawn(async move {
                    busy.set(true);
                    match wire::delete_query(&workspace.project(), &id).await {
                        Ok(()) => {
                            messages::show("Query deleted");
                            workspace.refresh_saved();
                            on_close.call(());
                        }
                        Err(failure) => error.set(Some(failure.message())),
                    }
                    busy.set(false);
                });
            },
            on_close: move |()| on_close.call(()),
        }
    }
}
