//! The bar of edits that are not saved yet.

use dioxus::prelude::*;

use super::{
    View,
    problem::{ProblemBox, text_or_null},
    save::{self, Problem, Saving, counts_in_words},
    staged::{self, Staged},
};
use crate::ui::{CopyButton, Dialog, Mark, Shape, messages};

#[component]
pub(super) fn Unsaved(view: View) -> Element {
    let staged = staged::of(&view.staged.read());
    let mut problem = use_signal(|| None::<Problem>);
    let mut reviewing = use_signal(|| false);
    let saving = *view.saving.read();
    let is_busy = saving != Saving::Idle;
    let (cells, rows) = staged.counts();
    if cells == 0 {
        if problem.peek().is_some() {
            problem.set(None);
        }
        // The dialog must not open by itself with the next change.
        if *reviewing.peek() {
            reviewing.set(false);
        }
        return rsx! {};
    }
    let save = move |_| {
        if *view.saving.peek() != Saving::Idle {
            return;
        }
        spawn(async move {
            problem.set(None);
            problem.set(save::save(view, staged::peek(&view.staged.peek())).await);
        });
    };
    rsx! {
        section { class: "staged", "aria-label": "Unsaved changes",
            Mark { shape: Shape::Attention }
            strong { {counts_in_words(cells, rows)} }
            match saving {
                Saving::Checking => rsx! {
                    span {
                        class: "label",
                        role: "status",
                        "The server did not respond. Finding out whether it saved the changes…"
                    }
                },
                _ if staged::is_too_large() => rsx! {
                    span {
                        class: "label",
                        role: "status",
                        "The browser could not store these changes. Save them before you reload or close the page."
                    }
                },
                _ => rsx! {
                    span { class: "muted label only-wide", kbd { "Ctrl" } " " kbd { "S" } " saves all or nothing" }
                },
            }
            span { class: "push row",
                button {
                    class: "btn btn-ghost",
                    r#type: "button",
                    "aria-disabled": is_busy,
                    onclick: move |_| {
                        let mut wrong = view.wrong;
                        let table = view.staged.peek().clone();
                        let discarded = staged::discard(&table);
                        wrong.set(Vec::new());
                        messages::show_with_undo("Changes discarded", move || staged::restore(&table, &discarded));
                    },
                    "Discard changes"
                }
                button { class: "btn", r#type: "button", onclick: move |_| reviewing.set(true), "Review changes" }
                button {
                    class: "btn btn-primary",
                    r#type: "button",
                    "data-save-changes": "true",
                    "aria-disabled": is_busy,
                    onclick: save,
                    "Save changes"
                }
            }
            if let Some(problem_now) = problem() {
                ProblemBox { view, problem: problem_now, on_solved: move |()| problem.set(None) }
            }
        }
        if reviewing() {
            Review { staged, on_close: move |()| reviewing.set(false) }
        }
    }
}

/// The dialog that lists every change.
#[component]
fn Review(staged: Staged, on_close: EventHandler<()>) -> Element {
    let (cells, rows) = staged.counts();
    rsx! {
        Dialog {
            title: "Review changes",
            description: counts_in_words(cells, rows),
            wide: true,
            on_close: move |()| on_close.call(()),
            footer: rsx! {
                button {
                    class: "btn btn-l",
                    r#type: "button",
                    autofocus: true,
                    onclick: move |_| on_close.call(()),
                    "Close"
                }
            },
            Changes { staged }
        }
    }
}

/// The list of all changes.
#[component]
fn Changes(staged: Staged) -> Element {
    rsx! {
        ul { class: "review", "aria-label": "Changes",
            for row in staged.rows {
                for (column, cell) in row.cells {
                    li { key: "{row.key.words()} {column}", class: "mono",
                        "{row.key.words()} · {column} "
                        span { class: "muted", {text_or_null(cell.was_text.as_deref())} }
                        " → "
                        {text_or_null(cell.now.as_deref())}
                    }
                }
            }
        }
    }
}

/// The changes that are staged for a table that no longer exists, to be copied.
#[component]
pub(in crate::pages::tables) fn LostChanges(project: ReadSignal<String>, table: ReadSignal<String>) -> Element {
    let store = format!("{project}.{table}");
    let staged = staged::of(&store);
    let (cells, rows) = staged.counts();
    if cells == 0 {
        return rsx! {};
    }
    let text = values_in_words(&staged);
    rsx! {
        section { class: "section stack stack-2", "aria-label": "Unsaved changes",
            div { class: "row wrap",
                Mark { shape: Shape::Attention }
                strong { {counts_in_words(cells, rows)} }
                span { "can no longer be saved." }
                CopyButton { name: "Copy changes", label: "Copy changes", text }
                button {
                    class: "btn btn-ghost btn-s",
                    r#type: "button",
                    onclick: move |_| {
                        let discarded = staged::discard(&store);
                        let store = store.clone();
                        messages::show_with_undo("Changes discarded", move || staged::restore(&store, &discarded));
                    },
                    "Discard changes"
                }
            }
            Changes { staged }
        }
    }
}

/// Returns the new values as lines, each with the key of its row and its column. Values are whole.
fn values_in_words(staged: &Staged) -> String {
    let mut lines = Vec::new();
    for row in &staged.rows {
        for (column, cell) in &row.cells {
            lines.push(format!("{} · {column}\t{}", row.key.words(), cell.now.as_deref().unwrap_or("NULL")));
        }
    }
    lines.join("\n")
}
