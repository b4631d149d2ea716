//! The bar of staged edits: saves, reviews and discards them, and shows why saving failed.

use dioxus::prelude::*;

use super::{
    View,
    data::RowKey,
    save::{self, WrongCell},
    staged::{self, Staged},
};
use crate::{
    remote::Failure,
    ui::{Dialog, Mark, Shape, messages},
    value::one_line,
};

/// Why saving failed.
#[derive(Debug, Clone, PartialEq)]
enum Problem {
    /// The row was changed elsewhere since it was read.
    Changed { key: RowKey, now: serde_json::Map<String, serde_json::Value> },
    /// The row was deleted since it was read.
    Gone { key: RowKey },
    Refused { row: Option<RowKey>, message: String },
}

#[component]
pub(super) fn Unsaved(view: View) -> Element {
    let staged = staged::of(&view.staged.read());
    let mut problem = use_signal(|| None::<Problem>);
    let mut reviewing = use_signal(|| false);
    let mut busy = use_signal(|| false);
    let (cells, rows) = staged.counts();
    if cells == 0 {
        if problem.peek().is_some() {
            problem.set(None);
        }
        return rsx! {};
    }
    let save = move |_| {
        if busy() {
            return;
        }
        spawn(async move {
            busy.set(true);
            problem.set(save_all(view).await);
            busy.set(false);
        });
    };
    rsx! {
        section { class: "staged", "aria-label": "Unsaved changes",
            Mark { shape: Shape::Attention }
            strong { {words(cells, rows)} }
            span { class: "muted label only-wide", kbd { "Ctrl" } " " kbd { "S" } " saves all or nothing" }
            span { class: "push row",
                button {
                    class: "btn btn-ghost",
                    r#type: "button",
                    disabled: busy(),
                    onclick: move |_| {
                        let mut wrong = view.wrong;
                        staged::discard(&view.staged.peek());
                        wrong.set(Vec::new());
                        messages::show("Changes discarded");
                    },
                    "Discard changes"
                }
                button { class: "btn", r#type: "button", onclick: move |_| reviewing.set(true), "Review changes" }
                button { class: "btn btn-primary", r#type: "button", "data-save-changes": "true", disabled: busy(), onclick: save, "Save changes" }
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

/// Saves all changes of the table.
async fn save_all(view: View) -> Option<Problem> {
    let table = view.staged.peek().clone();
    let staged = staged::peek(&table);
    let detail = view.detail.peek().0.clone();
    let mut wrong = view.wrong;
    wrong.set(Vec::new());
    let changes = match save::changes(&staged, &detail) {
        Ok(changes) => changes,
        Err(WrongCell { key, column, reason }) => {
            wrong.set(vec![(key.clone(), column.clone())]);
            return Some(Problem::Refused { row: Some(key), message: format!("{column}: {reason}") });
        }
    };
    match save::send(&view.path(), &changes, false).await {
        Ok(_) => {
            let (cells, rows) = staged.counts();
            // Changes that were staged during the request stay.
            for row in &staged.rows {
                if staged::peek(&table).row(&row.key) == Some(row) {
                    staged::discard_row(&table, &row.key);
                }
            }
            messages::show(format!("Saved {}", words(cells, rows)));
            view.refresh();
            None
        }
        Err(failure) => {
            let row = save::failed_change(&failure).and_then(|index| staged.rows.get(index)).cloned();
            if let Some(row) = &row {
                let columns = refused_columns(&failure, row);
                wrong.set(columns.into_iter().map(|column| (row.key.clone(), column)).collect());
            }
            Some(problem_of(&failure, row.map(|row| row.key)))
        }
    }
}

/// Returns the columns that the server refused, or all changed columns of the row if the error names none.
fn refused_columns(failure: &Failure, row: &staged::StagedRow) -> Vec<String> {
    let named = failure.details().and_then(|details| details.get("column")).and_then(|column| column.as_str());
    match named.filter(|column| row.cells.contains_key(*column)) {
        Some(column) => vec![column.to_owned()],
        None => row.cells.keys().cloned().collect(),
    }
}

fn problem_of(failure: &Failure, row: Option<RowKey>) -> Problem {
    let details = failure.details();
    let reason = details.and_then(|details| details.get("reason")).and_then(|reason| reason.as_str());
    match (failure.code(), reason, row) {
        (Some("row_changed"), Some("gone"), Some(key)) => Problem::Gone { key },
        (Some("row_changed"), _, Some(key)) => {
            let now = details.and_then(|details| details.get("now")).and_then(|now| now.as_object());
            Problem::Changed { key, now: now.cloned().unwrap_or_default() }
        }
        (_, _, row) => Problem::Refused { row, message: failure.message() },
    }
}

#[component]
fn ProblemBox(view: View, problem: Problem, on_solved: EventHandler<()>) -> Element {
    match problem {
        Problem::Refused { row, message } => rsx! {
            div { class: "staged-problem", role: "alert",
                Mark { shape: Shape::Failed }
                span {
                    match row {
                        Some(row) => rsx! { strong { "Row {row.words()}" } " was not saved, and nothing else was. " },
                        None => rsx! { strong { "Nothing was saved. " } },
                    }
                    "{message}"
                }
            }
        },
        Problem::Gone { key } => rsx! {
            div { class: "staged-problem", role: "alert",
                Mark { shape: Shape::Failed }
                span { class: "grow",
                    strong { "Row {key.words()} was deleted meanwhile." }
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
            let (theirs, mine) = (key.clone(), key.clone());
            let now_for_mine = now.clone();
            rsx! {
                div { class: "staged-problem", role: "alert",
                    Mark { shape: Shape::Failed }
                    div { class: "grow stack stack-1",
                        strong { "Row {key.words()} has changed meanwhile" }
                        for (column, cell) in cells {
                            if let Some(value) = now.get(&column) {
                                span { key: "{column}", class: "label",
                                    span { class: "mono", "{column}" }
                                    ": theirs " span { class: "mono", {shown(value)} }
                                    ", mine " span { class: "mono", {text_or_null(cell.now.as_deref())} }
                                }
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

/// The dialog that lists every change.
#[component]
fn Review(staged: Staged, on_close: EventHandler<()>) -> Element {
    let (cells, rows) = staged.counts();
    rsx! {
        Dialog {
            title: "Review changes",
            description: words(cells, rows),
            wide: true,
            on_close: move |()| on_close.call(()),
            footer: rsx! {
                button { class: "btn btn-l", r#type: "button", autofocus: true, onclick: move |_| on_close.call(()), "Close" }
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

fn words(cells: usize, rows: usize) -> String {
    let changes = if cells == 1 { "1 change".to_owned() } else { format!("{cells} changes") };
    let rows = if rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") };
    format!("{changes} in {rows}")
}

fn text_or_null(text: Option<&str>) -> String {
    text.map_or_else(|| "NULL".to_owned(), |text| if text.is_empty() { "''".to_owned() } else { one_line(text).0 })
}

fn shown(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => "NULL".to_owned(),
        serde_json::Value::String(text) => text_or_null(Some(text)),
        other => other.to_string(),
    }
}
