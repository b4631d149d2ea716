//! The message that says why changes were not saved, with the buttons that resolve a conflict.

use dioxus::prelude::*;

use super::{View, save::Problem, staged};
use crate::{
    ui::{CodeText, Mark, Shape},
    value::one_line,
};

#[component]
pub(super) fn ProblemBox(
    view: View,
    problem: Problem,
    /// Whether the form shows the reason at the refused field, so that the box does not repeat it.
    #[props(default)]
    in_form: bool,
    on_solved: EventHandler<()>,
) -> Element {
    match problem {
        Problem::Refused { row, message, columns } => rsx! {
            div { class: "staged-problem", role: "alert",
                Mark { shape: Shape::Failed }
                span {
                    match row {
                        Some(row) => rsx! {
                            strong { "Row {row.words()}" }
                            " could not be saved, so nothing was saved. "
                        },
                        None => rsx! { strong { "Nothing was saved. " } },
                    }
                    if in_form && columns.len() == 1 {
                        "The field says why."
                    } else {
                        CodeText { text: message }
                    }
                }
            }
        },
        Problem::Gone { key } => rsx! {
            div { class: "staged-problem", role: "alert",
                Mark { shape: Shape::Failed }
                span { class: "grow",
                    strong { "Row {key.words()} is gone: it was deleted, or its key was changed." }
                    " Nothing was saved."
                }
                button {
                    class: "btn btn-s",
                    r#type: "button",
                    onclick: move |_| {
                        staged::discard_row(&view.staged.peek(), &key);
                        view.refresh();
                        on_solved.call(());
                    },
                    "Discard its changes"
                }
            }
        },
        Problem::Changed { key, now } => {
            let staged = staged::of(&view.staged.read());
            let cells = staged.row(&key).map(|row| row.cells.clone()).unwrap_or_default();
            let differing = cells.into_iter().filter_map(|(column, cell)| {
                let theirs = now.get(&column)?.text.as_deref().map(str::to_owned);
                let words = (column, text_or_null(theirs.as_deref()), text_or_null(cell.now.as_deref()));
                (theirs != cell.was_text).then_some(words)
            });
            let differing: Vec<(String, String, String)> = differing.collect();
            let (theirs, mine) = (key.clone(), key.clone());
            let now_for_mine = now.clone();
            rsx! {
                div { class: "staged-problem", role: "alert",
                    Mark { shape: Shape::Failed }
                    div { class: "grow stack stack-1",
                        strong { "Row {key.words()} has changed meanwhile" }
                        for (column, theirs, mine) in differing {
                            span { key: "{column}", class: "label",
                                span { class: "mono", "{column}" }
                                ": theirs " span { class: "mono", "{theirs}" }
                                ", mine " span { class: "mono", "{mine}" }
                            }
                        }
                    }
                    button {
                        class: "btn btn-s",
                        r#type: "button",
                        onclick: move |_| {
                            staged::discard_row(&view.staged.peek(), &theirs);
                            view.refresh();
                            on_solved.call(());
                        },
                        "Take theirs"
                    }
                    button {
                        class: "btn btn-s",
                        r#type: "button",
                        onclick: move |_| {
                            staged::rebase(&view.staged.peek(), &mine, &now_for_mine);
                            view.refresh();
                            on_solved.call(());
                        },
                        "Keep mine"
                    }
                }
            }
        }
    }
}

/// Returns the text for a value in a sentence: its first line, `''` or `NULL`.
pub(super) fn text_or_null(text: Option<&str>) -> String {
    text.map_or_else(|| "NULL".to_owned(), |text| if text.is_empty() { "''".to_owned() } else { one_line(text).0 })
}
