//! The result of one statement: its rows, and the buttons that copy and export them.

use std::rc::Rc;

use dioxus::prelude::*;

use super::{
    bindings, drafts,
    execution::{ResultSet, duration},
    export::{self, Form},
    export_all::ExportAll,
    grid::ResultGrid,
    origin::{self, Origin},
    records::Records,
    workspace::Workspace,
};
use crate::{
    clipboard, text,
    ui::{IconName, Link, Mark, Menu, MenuItem, Shape, messages},
};

#[component]
pub(super) fn ResultPanel(
    workspace: Workspace,
    result: Rc<ResultSet>,
    note: Option<String>,
    finished_at: f64,
    /// Whether the changes of the statement were rolled back.
    is_undone: bool,
    narrow: bool,
) -> Element {
    let has_rows = !result.columns.is_empty();
    let mut is_exporting = use_signal(|| false);
    let column_count = text::count(result.columns.len() as i64, "column", "columns");
    let origin = use_origin(workspace, result.clone());
    let summary = if result.is_truncated {
        format!("Showing {}, there are more", text::count(result.rows.len() as i64, "row", "rows"))
    } else {
        result.rows_in_words()
    };
    rsx! {
        if has_rows {
            if narrow {
                Records { result: result.clone() }
            } else if result.rows.is_empty() {
                div { class: "empty",
                    h2 { "No rows" }
                    p { "The statement returned {column_count} and no row." }
                }
            } else {
                ResultGrid { result: result.clone(), origin: origin() }
            }
        } else {
            div { class: "empty",
                h2 { class: "row", Mark { shape: Shape::Succeeded } "{result.command}" }
                p {
                    if summary.is_empty() { "Done" } else { "{summary} changed" }
                    " in {duration(result.duration_ms)}"
                    if is_undone { ", then rolled back." } else { "." }
                }
            }
        }
        div { class: "foot sql-foot",
            if has_rows {
                span { role: "status", "{summary}" }
            }
            if result.is_truncated {
                button { class: "btn btn-s", r#type: "button", onclick: move |_| is_exporting.set(true), "Export all" }
            }
            if let Some(note) = note {
                span { "{note}" }
            }
            span { class: "only-wide", "Ran at {drafts::time_of_day(finished_at)}" }
            if let Some(origin) = origin.read().as_ref().filter(|_| !result.rows.is_empty()) {
                Link {
                    to: origin.address(&result.rows),
                    class: "btn btn-ghost btn-s",
                    title: "Opens these rows where they can be edited",
                    "Open in table"
                }
            }
            if has_rows && !result.rows.is_empty() {
                ExportButtons { result: result.clone(), narrow }
            }
        }
        if is_exporting() {
            ExportAll { workspace, result, on_close: move |()| is_exporting.set(false) }
        }
    }
}

/// Returns the table that the rows come from, once it is known.
fn use_origin(workspace: Workspace, result: Rc<ResultSet>) -> Memo<Option<Origin>> {
    let table = use_hook(|| origin::table_of(&result.sql));
    use_hook(|| {
        if let Some(table) = &table {
            workspace.need_detail(table);
        }
    });
    use_memo(move || {
        let detail = workspace.detail(table.as_ref()?)?;
        Origin::new(&workspace.project(), &result.sql, &result.columns, &detail)
    })
}

#[component]
fn ExportButtons(result: Rc<ResultSet>, narrow: bool) -> Element {
    let act = move |form: Form| export_shown_rows(form, &result);
    let forms = [
        (Form::Markdown, "Copy as Markdown"),
        (Form::Insert, "Copy as INSERT"),
        (Form::Csv, "Export CSV"),
        (Form::Json, "Export JSON"),
    ];
    rsx! {
        if narrow {
            span { class: "push",
                Menu { name: "Actions for the result", icon: IconName::Dots,
                    for (form, label) in forms {
                        MenuItem {
                            key: "{label}",
                            onselect: {
                                let act = act.clone();
                                move |()| act(form)
                            },
                            "{label}"
                        }
                    }
                }
            }
        } else {
            span { class: "push row sql-close-row",
                for (form, label) in forms {
                    button {
                        key: "{label}",
                        class: "btn btn-ghost btn-s",
                        r#type: "button",
                        onclick: {
                            let act = act.clone();
                            move |_| act(form)
                        },
                        "{label}"
                    }
                }
            }
        }
    }
}

/// Copies or downloads the rows that the page has read. The message says whether the statement returned more rows.
pub(super) fn export_shown_rows(form: Form, result: &ResultSet) {
    let text = export::write(form, result);
    let rows = text::count(result.rows.len() as i64, "row", "rows");
    let cut = if result.is_truncated { ". The statement has more." } else { "" };
    match form {
        Form::Csv => bindings::download("result.csv", "text/csv;charset=utf-8", &text),
        Form::Json => bindings::download("result.json", "application/json", &text),
        Form::Markdown | Form::Insert => {
            let cut = if cut.is_empty() { String::new() } else { format!(" the first {rows}{cut}") };
            spawn(async move {
                if clipboard::copy(&text).await {
                    messages::show(format!("Copied{cut}"));
                } else {
                    messages::show_failure(clipboard::REFUSED);
                }
            });
            return;
        }
    }
    messages::show(if cut.is_empty() { format!("Exported {rows}") } else { format!("Exported the first {rows}{cut}") });
}
