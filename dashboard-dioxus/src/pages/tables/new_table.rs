//! The sheet "New table": a form for the columns, and the SQL that it produces.

use api_types::TableSummary;
use dioxus::prelude::*;

use super::table_page::table_address;
use crate::{
    address,
    remote::{self, Method, use_remote},
    ui::{CopyButton, Field, Icon, IconName, Sheet, messages},
    value::quoted,
};

/// The suggested types. Any other type can be typed.
const TYPES: [&str; 15] = [
    "bigint", "integer", "numeric", "double precision", "text", "varchar(255)", "boolean", "uuid", "date", "timestamptz",
    "time", "jsonb", "bytea", "text[]", "inet",
];

/// A column of the new table.
#[derive(Debug, Clone, PartialEq, Default)]
struct NewColumn {
    name: String,
    data_type: String,
    nullable: bool,
    default: String,
    primary_key: bool,
    /// The referenced `table(column)`, or only the table.
    references: String,
}

#[component]
pub(super) fn NewTable(project: String, on_close: EventHandler<()>) -> Element {
    let name = use_signal(String::new);
    let mut columns = use_signal(|| {
        vec![
            NewColumn { name: "id".to_owned(), data_type: "bigint".to_owned(), primary_key: true, ..NewColumn::default() },
            NewColumn { name: "created_at".to_owned(), data_type: "timestamptz".to_owned(), default: "now()".to_owned(), ..NewColumn::default() },
        ]
    });
    let mut row_level_security = use_signal(|| true);
    let mut busy = use_signal(|| false);
    let mut failure = use_signal(|| None::<String>);
    let id = project.clone();
    let tables = use_remote::<api_types::Page<TableSummary>>(
        use_signal(move || format!("/projects/{id}/tables?fields=summary&limit=1000")).into(),
    );
    let names: Vec<String> = tables.value().map(|page| page.items.into_iter().map(|table| table.name).collect()).unwrap_or_default();
    let sql = write_sql(&name.read(), &columns.read(), row_level_security());
    let is_complete = !name.read().trim().is_empty() && columns.read().iter().all(|column| !column.name.trim().is_empty());
    let create = {
        let sql = sql.clone();
        move || {
            let (sql, project) = (sql.clone(), project.clone());
            let table = name.peek().trim().to_owned();
            spawn(async move {
                busy.set(true);
                match run_statements(&project, &sql).await {
                    Ok(()) => {
                        remote::forget(&format!("/projects/{project}"));
                        messages::show("Table created");
                        on_close.call(());
                        address::go(&table_address(&project, &table));
                    }
                    Err(message) => failure.set(Some(message)),
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
                button { class: "btn btn-primary", r#type: "button", disabled: busy() || !is_complete, onclick: move |_| create(), "Create table" }
                button { class: "btn btn-ghost", r#type: "button", onclick: move |_| on_close.call(()), "Cancel" }
            },
            Field { id: "table-name", label: "Name", value: name, autofocus: true, help: "Also part of its REST address: /v1/db/<name>." }
            section { class: "stack stack-2", "aria-label": "Columns",
                h3 { "Columns" }
                datalist { id: "types",
                    for data_type in TYPES {
                        option { key: "{data_type}", value: "{data_type}" }
                    }
                }
                datalist { id: "tables",
                    for name in names {
                        option { key: "{name}", value: "{name}" }
                    }
                }
                for position in 0..columns.read().len() {
                    ColumnEditor { key: "{position}", position, columns }
                }
                div { class: "row",
                    button {
                        class: "btn btn-s",
                        r#type: "button",
                        onclick: move |_| columns.write().push(NewColumn { data_type: "text".to_owned(), nullable: true, ..NewColumn::default() }),
                        Icon { name: IconName::Plus }
                        "Add column"
                    }
                }
            }
            label { class: "check",
                input {
                    class: "switch",
                    r#type: "checkbox",
                    role: "switch",
                    checked: row_level_security(),
                    onchange: move |event| row_level_security.set(event.checked()),
                }
                span { "Row-level security" small { "Browsers reach only rows that a policy allows." } }
            }
            div { class: "code", role: "region", "aria-label": "SQL",
                div { class: "code-head",
                    span { class: "grow", "SQL" }
                    CopyButton { name: "Copy SQL", label: "Copy", text: sql.clone() }
                }
                pre { "{sql}" }
            }
            if let Some(failure) = failure() {
                p { class: "error", role: "alert", "{failure}" }
            }
        }
    }
}

#[component]
fn ColumnEditor(position: usize, columns: Signal<Vec<NewColumn>>) -> Element {
    let mut columns = columns;
    let Some(column) = columns.read().get(position).cloned() else { return rsx! {} };
    let number = position + 1;
    let mut change = move |act: &dyn Fn(&mut NewColumn)| {
        if let Some(column) = columns.write().get_mut(position) {
            act(column);
        }
    };
    rsx! {
        div { class: "column-editor", role: "group", "aria-label": "Column {number}",
            input {
                class: "input mono",
                "aria-label": "Name of column {number}",
                placeholder: "name",
                autocomplete: "off",
                value: "{column.name}",
                oninput: move |event| { let text = event.value(); change(&|column| column.name.clone_from(&text)); },
            }
            input {
                class: "input mono",
                "aria-label": "Type of column {number}",
                role: "combobox",
                list: "types",
                placeholder: "type",
                value: "{column.data_type}",
                oninput: move |event| { let text = event.value(); change(&|column| column.data_type.clone_from(&text)); },
            }
            input {
                class: "input mono",
                "aria-label": "Default of column {number}",
                placeholder: "default",
                autocomplete: "off",
                value: "{column.default}",
                oninput: move |event| { let text = event.value(); change(&|column| column.default.clone_from(&text)); },
            }
            input {
                class: "input mono",
                "aria-label": "References of column {number}",
                list: "tables",
                placeholder: "references",
                value: "{column.references}",
                oninput: move |event| { let text = event.value(); change(&|column| column.references.clone_from(&text)); },
            }
            label { class: "check label",
                input {
                    class: "box",
                    r#type: "checkbox",
                    "aria-label": "Column {number} is part of the primary key",
                    checked: column.primary_key,
                    onchange: move |event| { let on = event.checked(); change(&|column| column.primary_key = on); },
                }
                "Key"
            }
            label { class: "check label",
                input {
                    class: "box",
                    r#type: "checkbox",
                    "aria-label": "Column {number} accepts NULL",
                    checked: column.nullable,
                    onchange: move |event| { let on = event.checked(); change(&|column| column.nullable = on); },
                }
                "NULL"
            }
            button {
                class: "btn btn-ghost btn-icon btn-s",
                r#type: "button",
                "aria-label": "Remove column {number}",
                onclick: move |_| {
                    columns.write().remove(position);
                },
                Icon { name: IconName::Close }
            }
        }
    }
}

/// Runs the statements in one transaction.
async fn run_statements(project: &str, sql: &str) -> Result<(), String> {
    let path = format!("/projects/{project}/sql");
    let request = serde_json::json!({ "sql": sql, "script": true });
    let sent: Result<serde_json::Value, _> = remote::send(Method::Post, &path, &request).await;
    match sent {
        Ok(answer) => match answer.pointer("/failure/message").and_then(|message| message.as_str()) {
            Some(message) => Err(message.to_owned()),
            None => Ok(()),
        },
        Err(failure) => Err(failure.message()),
    }
}

fn write_sql(name: &str, columns: &[NewColumn], row_level_security: bool) -> String {
    let table = quoted(name.trim());
    let keys: Vec<String> =
        columns.iter().filter(|column| column.primary_key).map(|column| quoted(column.name.trim())).collect();
    let mut lines: Vec<String> = columns.iter().map(|column| write_column(column, keys.len() == 1)).collect();
    if keys.len() > 1 {
        lines.push(format!("primary key ({})", keys.join(", ")));
    }
    let mut sql = format!("create table {table} (\n  {}\n);", lines.join(",\n  "));
    if row_level_security {
        sql.push_str(&format!("\nalter table {table} enable row level security;"));
    }
    sql
}

fn write_column(column: &NewColumn, is_only_key: bool) -> String {
    let data_type = if column.data_type.trim().is_empty() { "text" } else { column.data_type.trim() };
    let mut parts = vec![quoted(column.name.trim()), data_type.to_owned()];
    let is_number = matches!(data_type, "bigint" | "integer");
    if column.primary_key && is_only_key && is_number && column.default.trim().is_empty() && column.references.trim().is_empty() {
        parts.push("generated by default as identity".to_owned());
    } else if !column.default.trim().is_empty() {
        parts.push(format!("default {}", column.default.trim()));
    }
    if !column.nullable && !column.primary_key {
        parts.push("not null".to_owned());
    }
    if column.primary_key && is_only_key {
        parts.push("primary key".to_owned());
    }
    if !column.references.trim().is_empty() {
        let reference = column.references.trim();
        let reference = match reference.split_once('(') {
            Some((table, rest)) => format!("{} ({rest}", quoted(table.trim())),
            None => quoted(reference),
        };
        parts.push(format!("references {reference}"));
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sql_follows_the_form() {
        let column = |name: &str, data_type: &str| NewColumn { name: name.to_owned(), data_type: data_type.to_owned(), ..NewColumn::default() };
        let columns = [
            NewColumn { primary_key: true, ..column("id", "bigint") },
            NewColumn { references: "authors".to_owned(), ..column("author_id", "bigint") },
            NewColumn { nullable: true, default: "'x'".to_owned(), ..column("a\"b", "text") },
        ];
        assert_eq!(
            write_sql("books", &columns, true),
            "create table \"books\" (\n  \"id\" bigint generated by default as identity primary key,\n  \
             \"author_id\" bigint not null references \"authors\",\n  \"a\"\"b\" text default 'x'\n);\n\
             alter table \"books\" enable row level security;"
        );
    }
}
