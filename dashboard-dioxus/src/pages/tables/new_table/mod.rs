//! The sheet "New table": a form for the columns, and the SQL that the form writes.
//!
//! [`column_editor`] is the line of fields of one column, and [`suggestions`] are the types and tables that its fields
//! offer. [`from_csv`] fills in the columns of a file, which [`csv`] finds. [`sql`] writes the statements.

mod column_editor;
mod csv;
mod from_csv;
mod sql;
mod suggestions;

use dioxus::prelude::*;

use super::{focus::focus_grid, table_page::table_address};
use crate::{
    address, dom, draft,
    pages::imports,
    remote::{self, Method},
    ui::{CodeText, CopyButton, Field, Icon, IconName, Mark, Shape, Sheet, messages},
};
use column_editor::ColumnEditor;
use from_csv::FromCsv;
use sql::{ColumnField, is_complete, refused_field, write_sql};
pub(super) use sql::{NewColumn, name_problem, write_added_column};
pub(super) use suggestions::{Suggestions, use_names};

/// Id of the message that says why the table was not created.
const FAILURE_ID: &str = "new-table-failure";

/// Why the table was not created.
#[derive(Debug, Clone, PartialEq)]
struct Refusal {
    message: String,
    /// Position of the column, and its field, that the message is about.
    field: Option<(usize, ColumnField)>,
}

#[component]
pub(super) fn NewTable(project: String, on_close: EventHandler<()>) -> Element {
    let form = draft::use_form(|| format!("new-table.{project}"));
    let name = form.use_field("name", String::new());
    let mut columns = form.use_field("columns", first_columns());
    let mut row_level_security = form.use_field("security", true);
    let csv_file = form.use_field("csv-file", None::<String>);
    let mut busy = use_signal(|| false);
    let mut failure = use_signal(|| None::<Refusal>);
    use_effect(move || {
        let _ = columns.read();
        // The failure is about the previous columns.
        if failure.peek().is_some() {
            failure.set(None);
        }
    });
    let names = use_names(&project);
    let sql = write_sql(&name.read(), &columns.read(), row_level_security());
    let is_taken = names.tables.contains(&name.read().trim().to_owned());
    let name_error = match name_problem(&name.read()) {
        None if is_taken => Some("A table already has this name.".to_owned()),
        problem => problem.map(str::to_owned),
    };
    let is_dirty = !name.read().is_empty() || *columns.read() != first_columns() || !row_level_security();
    let can_create = is_complete(&name.read(), &columns.read()) && !is_taken;
    let create = {
        let (sql, sent) = (sql.clone(), columns.read().clone());
        move || {
            let (sql, sent, project) = (sql.clone(), sent.clone(), project.clone());
            let table = name.peek().trim().to_owned();
            spawn(async move {
                busy.set(true);
                failure.set(None);
                match run_statements(&project, &sql).await {
                    Ok(()) => {
                        form.forget();
                        remote::forget(&format!("/projects/{project}"));
                        match &*csv_file.peek() {
                            Some(file) => {
                                messages::show(format!("Table created. Choose {file} again to import its rows."));
                                address::go(&imports::new_address(&project, Some(&table)));
                            }
                            None => {
                                messages::show("Table created");
                                address::go(&table_address(&project, &table));
                                focus_grid(&table, true);
                            }
                        }
                    }
                    Err((message, line)) => {
                        remote::forget(&format!("/projects/{project}/tables"));
                        // The message is about the columns that were sent.
                        let is_same = *columns.peek() == sent;
                        let field = if is_same { refused_field(&sent, &message, line) } else { None };
                        failure.set(Some(Refusal { message, field }));
                        show_failure(field).await;
                    }
                }
                busy.set(false);
            });
        }
    };
    rsx! {
        Sheet {
            title: "New table",
            wide: true,
            on_close,
            footer: rsx! {
                button {
                    class: "btn btn-primary",
                    // Has no form, so that Enter in a column's field does not create the table. Ctrl-Enter does.
                    r#type: "submit",
                    disabled: !can_create,
                    "aria-disabled": busy(),
                    onclick: move |_| create(),
                    "Create table"
                }
                button {
                    class: "btn btn-ghost",
                    r#type: "button",
                    onclick: move |_| {
                        form.forget();
                        on_close.call(());
                    },
                    "Cancel"
                }
                span { class: "push muted label", role: "status", if is_dirty { "Not saved" } }
            },
            if let Some(failure) = failure() {
                div {
                    id: FAILURE_ID,
                    class: "staged-problem",
                    role: "alert",
                    tabindex: "-1",
                    Mark { shape: Shape::Failed } span { class: "grow", CodeText { text: failure.message } }
                }
            }
            Field {
                id: "table-name",
                label: "Name",
                value: name,
                autofocus: true,
                required: true,
                error: name_error,
                help: "Apps reach the table at /v1/db/<name>.",
            }
            section { class: "stack stack-2", "aria-label": "Columns",
                h3 { "Columns" }
                Suggestions { names, types_id: "types", tables_id: "tables" }
                div { class: "column-editor column-heads only-wide", "aria-hidden": "true",
                    for head in ["Name", "Type", "Default", "References", "Key", "NULL", "Unique", ""] {
                        span { key: "{head}", class: "label muted", "{head}" }
                    }
                }
                for position in 0..columns.read().len() {
                    ColumnEditor {
                        key: "{position}",
                        position,
                        columns,
                        refused: failure.read().as_ref().and_then(|failure| refused_in(failure, position)),
                    }
                }
                div { class: "row wrap",
                    button {
                        class: "btn btn-s",
                        id: "add-column",
                        r#type: "button",
                        onclick: move |_| {
                            let column =
                                NewColumn { data_type: "text".to_owned(), nullable: true, ..NewColumn::default() };
                            columns.write().push(column);
                            let number = columns.peek().len();
                            spawn(async move {
                                dom::next_frame().await;
                                dom::focus(&format!("[aria-label='Name of column {number}']"));
                            });
                        },
                        Icon { name: IconName::Plus }
                        "Add column"
                    }
                    FromCsv { name, columns, file: csv_file }
                }
            }
            label { class: "check",
                input {
                    class: "switch",
                    r#type: "checkbox",
                    role: "switch",
                    "aria-label": "Row-level security",
                    "aria-describedby": "security-help",
                    checked: row_level_security(),
                    onchange: move |event| row_level_security.set(event.checked()),
                }
                span {
                    "Row-level security"
                    small { id: "security-help", "Browsers and signed-in users reach only rows that a policy allows." }
                }
            }
            div { class: "code", role: "region", "aria-label": "SQL",
                div { class: "code-head",
                    span { class: "grow", "SQL" }
                    CopyButton { name: "Copy SQL", label: "Copy", text: sql.clone() }
                }
                pre { tabindex: "0", "{sql}" }
            }
        }
    }
}

/// Returns the initial columns of the form.
fn first_columns() -> Vec<NewColumn> {
    vec![
        NewColumn { name: "id".to_owned(), data_type: "bigint".to_owned(), primary_key: true, ..NewColumn::default() },
        NewColumn {
            name: "created_at".to_owned(),
            data_type: "timestamptz".to_owned(),
            default: "now()".to_owned(),
            ..NewColumn::default()
        },
    ]
}

/// Returns the refused field of the column at a position, and the reason.
fn refused_in(failure: &Refusal, position: usize) -> Option<(ColumnField, String)> {
    let (_, field) = failure.field.filter(|(column, _)| *column == position)?;
    Some((field, failure.message.clone()))
}

/// Focuses the refused field, or else the message. Both may be out of view, above the button that was pressed.
async fn show_failure(field: Option<(usize, ColumnField)>) {
    dom::next_frame().await;
    let label = field.map(|(position, field)| field.label(position + 1));
    let is_shown = label.is_some_and(|label| dom::focus(&format!("[aria-label='{label}']")));
    if !is_shown {
        dom::focus(&format!("#{FAILURE_ID}"));
    }
}

/// Runs the statements in one transaction. An error is a message, with the line of the statements that it is about, if
/// known.
async fn run_statements(project: &str, sql: &str) -> Result<(), (String, Option<u64>)> {
    let path = format!("/projects/{project}/sql");
    let request = serde_json::json!({ "sql": sql, "script": true });
    let sent: Result<serde_json::Value, _> = remote::send(Method::Post, &path, &request).await;
    let line_of = |details: Option<&serde_json::Value>| details?.get("line")?.as_u64();
    match sent {
        Ok(response) => match response.pointer("/failure/message").and_then(|message| message.as_str()) {
            Some(message) => Err((message.to_owned(), line_of(response.pointer("/failure/details")))),
            None => Ok(()),
        },
        Err(failure) if failure.is_outcome_unknown() => Err((
            "The server did not respond, so it is not known whether the table was created. Try again: an existing \
             table is never replaced."
                .to_owned(),
            None,
        )),
        Err(failure) => Err((failure.message(), line_of(failure.details()))),
    }
}
