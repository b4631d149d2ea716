//! The dialog "Export all" of a result with more rows than the page has read. The server exports all rows.

use std::rc::Rc;

use api_types::ExportSource;
use dioxus::prelude::*;

use super::{
    execution::ResultSet, export::Form, result_panel::export_shown_rows, run, settings::ROW_LIMITS,
    workspace::Workspace,
};
use crate::{
    pages::exports::{Choice, ExportDialog},
    text,
};

#[component]
pub(super) fn ExportAll(workspace: Workspace, result: Rc<ResultSet>, on_close: EventHandler<()>) -> Element {
    let mut started = use_signal(|| None::<String>);
    let choice = Choice {
        label: String::new(),
        help: String::new(),
        source: ExportSource::Query { project_id: workspace.project(), sql: result.sql.to_string() },
    };
    let shown = text::count(result.rows.len() as i64, "row", "rows");
    rsx! {
        ExportDialog {
            title: "Export all",
            description: "The page has the first {shown}. The server runs the statement again, without changing \
                anything, and writes all its rows to a file.",
            choices: vec![choice],
            act: "Export all rows",
            started: started(),
            on_started: move |export| started.set(Some(export)),
            on_close,
            ShownRows { workspace, result, shown, on_close }
        }
    }
}

/// The buttons that export only the rows that the page has read, or that read more rows.
#[component]
fn ShownRows(workspace: Workspace, result: Rc<ResultSet>, shown: String, on_close: EventHandler<()>) -> Element {
    let limit = ROW_LIMITS.iter().copied().find(|limit| *limit as usize > result.rows.len());
    let more = limit.map(|limit| text::number(i64::from(limit)));
    let sql = result.sql.clone();
    let save = move |form: Form| {
        export_shown_rows(form, &result);
        on_close.call(());
    };
    let save_json = save.clone();
    rsx! {
        hr { class: "rule" }
        div { class: "field",
            span { class: "lab", "Or only the rows on this page" }
            div { class: "row wrap",
                button {
                    class: "btn",
                    r#type: "button",
                    onclick: move |_| save(Form::Csv),
                    "Export {shown} as CSV"
                }
                button {
                    class: "btn",
                    r#type: "button",
                    onclick: move |_| save_json(Form::Json),
                    "Export {shown} as JSON"
                }
                if let (Some(limit), Some(more)) = (limit, more) {
                    button {
                        class: "btn",
                        r#type: "button",
                        onclick: move |_| {
                            on_close.call(());
                            run::read_again(workspace, &sql, limit);
                        },
                        "Run again with {more} rows"
                    }
                }
            }
        }
    }
}
