//! Edits a column of the new table: a line with a field for each of its properties.

use dioxus::prelude::*;

use super::sql::{ColumnField, NewColumn, column_problem};
use crate::{
    focus,
    ui::{CodeText, Icon, IconName, Mark, Shape},
};

#[component]
pub(super) fn ColumnEditor(
    position: usize,
    columns: Signal<Vec<NewColumn>>,
    /// The field that the server refused, and why.
    refused: Option<(ColumnField, String)>,
) -> Element {
    let mut columns = columns;
    let Some(column) = columns.read().get(position).cloned() else { return rsx! {} };
    let number = position + 1;
    let problem = column_problem(&columns.read(), position);
    let is_refused = |field: ColumnField| refused.as_ref().is_some_and(|(refused, _)| *refused == field);
    let refusal_id = |field: ColumnField| is_refused(field).then(|| format!("column-{number}-refusal"));
    // The field of the type is empty while it has the focus: browsers only suggest types that contain its text.
    let mut is_choosing_type = use_signal(|| false);
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
                "aria-invalid": if problem.is_some() { "true" },
                "aria-describedby": problem.map(|_| format!("column-{number}-problem")),
                placeholder: "name",
                autocomplete: "off",
                value: "{column.name}",
                oninput: move |event| { let text = event.value(); change(&|column| column.name.clone_from(&text)); },
            }
            input {
                class: "input mono",
                "aria-label": ColumnField::Type.label(number),
                "aria-invalid": if is_refused(ColumnField::Type) { "true" },
                "aria-describedby": refusal_id(ColumnField::Type),
                list: "types",
                placeholder: if column.data_type.is_empty() { "type" } else { "{column.data_type}" },
                value: if is_choosing_type() { "" } else { "{column.data_type}" },
                onfocus: move |_| is_choosing_type.set(true),
                onblur: move |_| is_choosing_type.set(false),
                oninput: move |event| {
                    is_choosing_type.set(false);
                    let text = event.value();
                    change(&|column| column.data_type.clone_from(&text));
                },
            }
            input {
                class: "input mono",
                "aria-label": ColumnField::Default.label(number),
                "aria-invalid": if is_refused(ColumnField::Default) { "true" },
                "aria-describedby": refusal_id(ColumnField::Default),
                placeholder: "default",
                autocomplete: "off",
                value: "{column.default}",
                oninput: move |event| { let text = event.value(); change(&|column| column.default.clone_from(&text)); },
            }
            input {
                class: "input mono",
                "aria-label": ColumnField::References.label(number),
                "aria-invalid": if is_refused(ColumnField::References) { "true" },
                "aria-describedby": refusal_id(ColumnField::References),
                list: "tables",
                placeholder: "references",
                value: "{column.references}",
                oninput: move |event| {
                    let text = event.value();
                    change(&|column| column.references.clone_from(&text));
                },
            }
            label { class: "check label",
                input {
                    class: "box",
                    r#type: "checkbox",
                    "aria-label": "Column {number} is part of the primary key",
                    checked: column.primary_key,
                    onchange: move |event| { let on = event.checked(); change(&|column| column.primary_key = on); },
                }
                span { class: "only-narrow", "Key" }
            }
            label { class: "check label",
                input {
                    class: "box",
                    r#type: "checkbox",
                    "aria-label": "Column {number} accepts NULL",
                    checked: column.nullable,
                    onchange: move |event| { let on = event.checked(); change(&|column| column.nullable = on); },
                }
                span { class: "only-narrow", "NULL" }
            }
            label { class: "check label is-unique",
                input {
                    class: "box",
                    r#type: "checkbox",
                    "aria-label": "Column {number} is unique",
                    checked: column.unique,
                    onchange: move |event| { let on = event.checked(); change(&|column| column.unique = on); },
                }
                span { class: "only-narrow", "Unique" }
            }
            button {
                class: "btn btn-ghost btn-icon btn-s",
                r#type: "button",
                "aria-label": "Remove column {number}",
                onclick: move |_| {
                    // The columns after this one move up a line, so the last line disappears. If it has the focus, the
                    // line before it gets the focus.
                    focus::hand_over(format!("[aria-label='Remove column {position}'], #add-column"));
                    columns.write().remove(position);
                },
                Icon { name: IconName::Close }
            }
            if let Some(problem) = problem {
                p {
                    class: "error column-problem",
                    id: "column-{number}-problem",
                    Mark { shape: Shape::Failed } "{problem}"
                }
            }
            if let Some((_, reason)) = &refused {
                p {
                    class: "error column-problem",
                    id: "column-{number}-refusal",
                    Mark { shape: Shape::Failed } span { CodeText { text: reason.clone() } }
                }
            }
        }
    }
}
