//! The bar of edits that are not saved yet.

use dioxus::prelude::*;

use super::{
    View,
    problem::{ProblemBox, text_or_null},
    save::{self, Problem, Saving, counts_in_words},
    staged::{self, Staged},
};
use crate::ui::{Dialog, Mark, Shape, messages};

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
                        class: "label", role: "status", "These changes are too large to survive a reload of the page."
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
                    disabled: is_busy,
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
                    disabled: is_busy,
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
}
