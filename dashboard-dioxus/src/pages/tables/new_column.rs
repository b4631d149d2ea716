//! The dialog "New column": a form, and the SQL that it writes.

use dioxus::prelude::*;

use super::{
    access::{SqlBlock, Statements, use_run},
    new_table::{NewColumn, Suggestions, name_problem, use_names, write_added_column},
    table_page::Shared,
};
use crate::{
    draft,
    pages::not_saved::NotSaved,
    ui::{Dialog, Field, FormError, Mark, Shape, messages},
};

/// Id of the form in the dialog.
const FORM: &str = "new-column";

const TYPES: &str = "column-types";
const TABLES: &str = "column-tables";

#[component]
pub(super) fn NewColumnDialog(project: String, detail: Shared, on_close: EventHandler<()>) -> Element {
    let empty = NewColumn { data_type: "text".to_owned(), nullable: true, ..NewColumn::default() };
    let form = draft::use_form(|| format!("new-column.{project}.{}", detail.name));
    let name = form.use_field("name", String::new());
    let data_type = form.use_field("type", empty.data_type.clone());
    let default = form.use_field("default", String::new());
    let references = form.use_field("references", String::new());
    let mut nullable = form.use_field("nullable", empty.nullable);
    let mut unique = form.use_field("unique", empty.unique);
    let names = use_names(&project);
    let run = use_run();
    let is_busy = run.is_busy();
    let column = NewColumn {
        name: name(),
        data_type: data_type(),
        nullable: nullable(),
        default: default(),
        unique: unique(),
        references: references(),
        ..empty.clone()
    };
    let typed = column.name.trim();
    // While the statement runs, the table may be read again with the new column.
    let is_taken = !is_busy && detail.columns.iter().any(|other| other.name == typed);
    let name_error = match name_problem(typed) {
        None if is_taken => Some("The table already has a column of this name.".to_owned()),
        problem => problem.map(str::to_owned),
    };
    let can_create = !typed.is_empty() && name_error.is_none();
    let needs_default = !column.nullable && column.default.trim().is_empty() && !has_own_values(&column.data_type);
    let is_dirty = column != empty;
    let sql = write_added_column(&detail.name, &column);
    let shown_sql = if can_create { sql.clone() } else { "-- Fill in the required fields.".to_owned() };
    let create = move |event: FormEvent| {
        event.prevent_default();
        if run.is_busy() || !can_create {
            return;
        }
        let statements = Statements { project: project.clone(), sql: sql.clone(), changed_policy: None };
        run.start(statements, move || {
            form.forget();
            messages::show("Column created");
            on_close.call(());
        });
    };
    let cancel = move |_| {
        form.forget();
        on_close.call(());
    };
    rsx! {
        Dialog {
            title: "New column",
            description: "The column is added at the end of {detail.name}.",
            closable: !is_busy,
            on_close: move |()| on_close.call(()),
            footer: rsx! {
                NotSaved { is_dirty }
                button { class: "btn btn-l", r#type: "button", "aria-disabled": is_busy, onclick: cancel, "Cancel" }
                button {
                    class: "btn btn-primary btn-l",
                    r#type: "submit",
                    form: FORM,
                    disabled: !can_create,
                    "aria-disabled": is_busy,
                    "Create column"
                }
            },
            form { id: FORM, class: "stack", onsubmit: create,
                Suggestions { names, types_id: TYPES, tables_id: TABLES }
                Field {
                    id: "column-name", label: "Name", value: name, required: true, autofocus: true, error: name_error,
                }
                SuggestedField {
                    id: "column-type", label: "Type", suggestions: TYPES, value: data_type, suggests_all: true,
                }
                Field {
                    id: "column-default",
                    label: "Default",
                    value: default,
                    help: "The value of rows that are inserted without one, and of all rows that exist.",
                }
                SuggestedField {
                    id: "column-references",
                    label: "References",
                    suggestions: TABLES,
                    value: references,
                    help: "A table to which the column refers, for example authors, or authors(id).",
                }
                label { class: "check",
                    input {
                        class: "box",
                        r#type: "checkbox",
                        checked: nullable(),
                        onchange: move |event| nullable.set(event.checked()),
                    }
                    "Accepts NULL"
                }
                label { class: "check",
                    input {
                        class: "box",
                        r#type: "checkbox",
                        checked: unique(),
                        onchange: move |event| unique.set(event.checked()),
                    }
                    "Unique"
                }
                if needs_default {
                    div { class: "banner", role: "note",
                        Mark { shape: Shape::Attention }
                        p { "Rows that exist need a value. Enter a default, unless the table is empty." }
                    }
                }
                if let Some(failure) = run.failure() {
                    FormError { text: failure }
                }
                SqlBlock { sql: shown_sql }
            }
        }
    }
}

/// Returns whether a type gives values to the rows that exist, such as `bigserial` or a generated column.
fn has_own_values(data_type: &str) -> bool {
    let data_type = data_type.to_lowercase();
    data_type.trim_end().ends_with("serial") || data_type.contains("generated")
}

/// A text field with suggestions.
#[component]
fn SuggestedField(
    id: &'static str,
    label: &'static str,
    /// Id of the list of suggestions.
    suggestions: &'static str,
    value: Signal<String>,
    /// Whether the field is empty while it has the focus, so that browsers suggest all values: they only suggest those
    /// that contain the field's text. The owner can't empty such a field.
    #[props(default)]
    suggests_all: bool,
    #[props(default)] help: &'static str,
) -> Element {
    let mut value = value;
    let mut is_choosing = use_signal(|| false);
    rsx! {
        div { class: "field",
            label { r#for: id, "{label}" }
            input {
                id,
                class: "input mono",
                list: suggestions,
                autocomplete: "off",
                spellcheck: "false",
                "aria-describedby": (!help.is_empty()).then(|| format!("{id}-help")),
                placeholder: "{value}",
                value: if is_choosing() { "" } else { "{value}" },
                onfocus: move |_| is_choosing.set(suggests_all),
                onblur: move |_| is_choosing.set(false),
                oninput: move |event| {
                    is_choosing.set(false);
                    value.set(event.value());
                },
            }
            if !help.is_empty() {
                p { class: "help", id: "{id}-help", "{help}" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_some_types_give_values_to_rows_that_exist() {
        for (data_type, expected) in [
            ("bigserial", true),
            ("Serial ", true),
            ("int generated always as (a + 1) stored", true),
            ("bigint", false),
            ("", false),
        ] {
            assert_eq!(has_own_values(data_type), expected, "{data_type}");
        }
    }
}
