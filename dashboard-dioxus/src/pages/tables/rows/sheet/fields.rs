//! The fields of a row: one for each column, with its type, default and whole value.

use api_types::{ColumnDetail, IdentityKind, TableReference};
use dioxus::prelude::*;

use super::{FORM, format_json::format_json, reference_field::ReferenceField, whole_value::WholeValue};
use crate::{
    dom,
    pages::tables::rows::{View, data::RowKey, foreign_key, problem::text_or_null},
    ui::{CodeText, Link, Mark, RequiredMark, Shape},
    value::{is_document, is_text, one_line, short_type},
};

/// Maximum size in bytes of a text that gets a field with one line. A longer text gets a field with several lines. The
/// size is measured only when the form opens.
const MAX_LINE_BYTES: usize = 80;

/// The value of a field.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FieldValue {
    /// The value that was read; `Some(None)` is `NULL`. `None` in a new row, where the column's default applies.
    pub(super) before: Option<Option<String>>,
    pub(super) now: Option<Option<String>>,
    /// Size of the whole value, if only its beginning was read.
    pub(super) whole_bytes: Option<u64>,
}

#[component]
pub(super) fn RowFields(
    view: View,
    /// The values of the fields, in the order of the columns.
    values: Vec<FieldValue>,
    /// The key of the row. Absent in a new row.
    row_key: Option<RowKey>,
    can_edit: bool,
    /// Index of the field that has the focus when the form opens.
    #[props(default)]
    focused: Option<usize>,
    /// Columns whose value was refused, and why.
    problems: Vec<(String, String)>,
    on_change: EventHandler<(usize, Option<Option<String>>)>,
    on_load: EventHandler<(usize, String)>,
) -> Element {
    let detail = view.detail.read().0.clone();
    rsx! {
        for (index, (column, value)) in detail.columns.iter().cloned().zip(values).enumerate() {
            RowField {
                key: "{column.name}",
                view,
                index,
                reference: detail.foreign_keys.iter().find(|key| key.columns == [column.name.clone()]).cloned(),
                problem: problems.iter().find(|(name, _)| *name == column.name).map(|(_, problem)| problem.clone()),
                column,
                value,
                row_key: row_key.clone(),
                can_edit,
                autofocus: focused == Some(index),
                on_change: move |now| on_change.call((index, now)),
                on_load: move |whole| on_load.call((index, whole)),
            }
        }
    }
}

#[component]
fn RowField(
    view: View,
    index: usize,
    column: ColumnDetail,
    value: FieldValue,
    row_key: Option<RowKey>,
    reference: Option<TableReference>,
    can_edit: bool,
    autofocus: bool,
    problem: Option<String>,
    on_change: EventHandler<Option<Option<String>>>,
    on_load: EventHandler<String>,
) -> Element {
    let is_new = row_key.is_none();
    let is_fixed = !can_edit || is_generated(&column);
    let is_locked = is_fixed || value.whole_bytes.is_some();
    let now = value.now.clone().flatten();
    let is_changed = value.now != value.before;
    let id = field_id(index);
    let is_open = !is_locked;
    let is_required = is_new && is_open && !column.nullable && !has_default(&column);
    let change = move |text: String| on_change.call(Some(Some(text)));
    rsx! {
        div { class: "field row-field",
            div { class: "row row-1 row-field-head",
                label { class: "lab", r#for: "{id}",
                    span { class: "mono", "{column.name}" }
                    if is_required {
                        RequiredMark {}
                    }
                    span { class: "faint label", {describe(&column)} }
                }
            }
            if let Some(bytes) = value.whole_bytes {
                WholeValue {
                    view,
                    id: id.clone(),
                    column: column.clone(),
                    bytes,
                    row_key: row_key.clone(),
                    start: now.clone().unwrap_or_default(),
                    can_edit: !is_fixed,
                    autofocus,
                    on_load,
                }
            } else {
                Input {
                    view,
                    id: id.clone(),
                    column: column.clone(),
                    value: value.clone(),
                    reference: reference.clone(),
                    is_locked,
                    is_required,
                    is_wrong: problem.is_some(),
                    autofocus,
                    onchange: change,
                }
            }
            // After the field, so that Tab goes to the field first. The style shows the buttons above it.
            span { class: "row row-1 row-field-acts",
                if let (Some(reference), Some(text)) = (&reference, &now) {
                    OpenReferenced {
                        view,
                        reference: reference.clone(),
                        column: column.name.clone(),
                        text: text.clone(),
                    }
                }
                if is_document(&column.data_type) && is_open {
                    FieldAct {
                        label: "Format JSON",
                        onselect: {
                            let now = now.clone();
                            move |()| {
                                if let Some(text) = now.as_deref().and_then(format_json) {
                                    change(text);
                                }
                            }
                        },
                    }
                }
                if is_new && is_open && is_changed && has_default(&column) {
                    FieldAct {
                        label: "Default",
                        name: "Use the default of {column.name}",
                        onselect: move |()| on_change.call(None),
                    }
                }
                if column.nullable && is_open && value.now != Some(None) {
                    FieldAct {
                        label: "NULL",
                        name: "Set {column.name} to NULL",
                        onselect: move |()| on_change.call(Some(None)),
                    }
                }
            }
            if let Some(problem) = problem {
                p { class: "error", id: "{id}-error",
                    Mark { shape: Shape::Failed }
                    span { CodeText { text: problem } }
                }
            }
            if let (Some(was), true) = (&value.before, is_changed) {
                p { class: "help row row-1",
                    span {
                        class: "cut",
                        "Was "
                        span { class: "mono", {text_or_null(was.as_deref())} }
                    }
                    FieldAct {
                        label: "Restore",
                        name: "Restore {column.name}",
                        onselect: move |()| on_change.call(None),
                    }
                }
            }
        }
    }
}

/// A small button beside a field.
#[component]
fn FieldAct(label: &'static str, #[props(default)] name: Option<String>, onselect: EventHandler<()>) -> Element {
    rsx! {
        button {
            class: "btn btn-ghost btn-s",
            r#type: "button",
            "aria-label": name,
            onclick: move |_| onselect.call(()),
            "{label}"
        }
    }
}

/// The element in which a value is typed or chosen.
#[component]
fn Input(
    view: View,
    id: String,
    column: ColumnDetail,
    value: FieldValue,
    reference: Option<TableReference>,
    is_locked: bool,
    is_required: bool,
    is_wrong: bool,
    autofocus: bool,
    onchange: EventHandler<String>,
) -> Element {
    let now = value.now.clone().flatten();
    let text = now.clone().unwrap_or_default();
    // Decided when the form opens: an element that is replaced while the owner types loses the focus and the next keys.
    let is_long = use_hook(|| {
        let was = value.before.clone().flatten().unwrap_or_default();
        is_document(&column.data_type) || [&text, &was].iter().any(|text| has_several_lines(text))
    });
    let placeholder = placeholder(&column, &value);
    let required = is_required.then_some("true");
    let described_by = is_wrong.then(|| format!("{id}-error"));
    let choices = match (&column.enum_values, column.data_type.as_str()) {
        _ if is_locked => None,
        (Some(values), _) => Some(values.clone()),
        (None, "boolean") => Some(vec!["true".to_owned(), "false".to_owned()]),
        _ => None,
    };
    // The field can search only in a listed table.
    if let (Some(reference), false) = (reference.filter(foreign_key::is_listed), is_locked) {
        return rsx! {
            ReferenceField {
                view, id, reference, text, placeholder, is_required, is_wrong, autofocus, onchange,
            }
        };
    }
    if let Some(choices) = choices {
        let can_be_left = value.before.is_none() && (has_default(&column) || column.nullable);
        let default = self::placeholder(&column, &FieldValue { now: None, ..value.clone() });
        return rsx! {
            select {
                id: "{id}",
                class: "input mono",
                autofocus,
                "aria-required": required,
                "aria-invalid": if is_wrong { "true" },
                "aria-describedby": described_by,
                onchange: move |event| onchange.call(event.value()),
                if can_be_left {
                    option { value: "", selected: value.now.is_none(), "{default}" }
                }
                if !can_be_left || value.now == Some(None) {
                    option { value: "", disabled: true, selected: now.is_none(), "{placeholder}" }
                }
                for choice in choices {
                    option { key: "{choice}", value: "{choice}", selected: now.as_ref() == Some(&choice), "{choice}" }
                }
            }
        };
    }
    if is_long || is_text(&column.data_type) || text.contains('\n') {
        let is_one_line = !is_long && !text.contains('\n');
        let rows = match is_long {
            false => "1",
            true if text.len() > MAX_LINE_BYTES => "6",
            true => "3",
        };
        return rsx! {
            textarea {
                id: "{id}",
                class: if is_long { "input mono" } else { "input mono grows" },
                rows,
                title: if is_one_line && !is_locked { "Shift-Enter starts a new line" },
                spellcheck: "false",
                autofocus,
                readonly: is_locked,
                "aria-required": required,
                "aria-readonly": if is_locked { "true" },
                "aria-invalid": if is_wrong { "true" },
                "aria-describedby": described_by,
                placeholder,
                value: text,
                oninput: move |event| onchange.call(event.value()),
                onkeydown: move |event| {
                    // Enter submits the form, as it does in a field that can have only one line.
                    if is_one_line && event.key() == Key::Enter && event.modifiers().is_empty() && !event.is_composing()
                    {
                        event.prevent_default();
                        if event.is_auto_repeating() {
                            return;
                        }
                        if let Some(button) = dom::find(&format!("button[type=submit][form={FORM}]")) {
                            button.click();
                        }
                    }
                },
            }
        };
    }
    rsx! {
        input {
            id: "{id}",
            class: "input mono",
            spellcheck: "false",
            autocomplete: "off",
            autofocus,
            readonly: is_locked,
            "aria-required": required,
            "aria-readonly": if is_locked { "true" },
            "aria-invalid": if is_wrong { "true" },
            "aria-describedby": described_by,
            placeholder,
            value: text,
            oninput: move |event| onchange.call(event.value()),
        }
    }
}

/// Returns the id of the field of a column.
pub(super) fn field_id(index: usize) -> String {
    format!("row-field-{index}")
}

/// Returns whether a text needs a field with several lines.
fn has_several_lines(text: &str) -> bool {
    text.len() > MAX_LINE_BYTES || text.contains('\n')
}

/// Returns whether the database always sets the value itself.
pub(in crate::pages::tables::rows) fn is_generated(column: &ColumnDetail) -> bool {
    column.generated.is_some() || column.identity == Some(IdentityKind::Always)
}

pub(super) fn has_default(column: &ColumnDetail) -> bool {
    column.has_default || column.identity.is_some()
}

/// Returns the placeholder of an empty field: the value that it stands for.
fn placeholder(column: &ColumnDetail, value: &FieldValue) -> String {
    match (&value.now, &column.default) {
        (Some(None), _) => "NULL".to_owned(),
        (None, Some(default)) => format!("default: {default}"),
        (None, None) if column.has_default => "generated by the database".to_owned(),
        (None, None) if column.nullable => "NULL".to_owned(),
        _ => String::new(),
    }
}

/// Returns the description beside a column's name, for example `int8 · key · default now()`.
fn describe(column: &ColumnDetail) -> String {
    let mut parts = vec![short_type(&column.data_type)];
    if column.primary_key {
        parts.push("key".to_owned());
    }
    if column.generated.is_some() {
        parts.push("generated".to_owned());
    } else if column.identity.is_some() {
        parts.push("identity".to_owned());
    } else if let Some(default) = &column.default {
        parts.push(format!("default {}", one_line(default).0));
    }
    if column.nullable {
        parts.push("NULL ok".to_owned());
    }
    parts.join(" · ")
}

#[component]
fn OpenReferenced(view: View, reference: TableReference, column: String, text: String) -> Element {
    let to = foreign_key::target(&view.project.read(), &view.detail.read().0, &column, &text);
    let label = match foreign_key::is_of_users(&reference) {
        true => "Open user".to_owned(),
        false => format!("Open row in {}", reference.references_table),
    };
    rsx! {
        if let Some(to) = to {
            Link { to, class: "label muted link", "{label}" }
        }
    }
}
