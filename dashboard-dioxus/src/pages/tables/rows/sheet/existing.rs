//! The form of an existing row.

use std::rc::Rc;

use api_types::TableDetail;
use dioxus::prelude::*;

use super::{
    FORM, copies, field_problems,
    fields::{FieldValue, RowFields},
    first_field::first_to_change,
    open_copy,
    referenced_by::ReferencedBy,
    whole_value::whole_texts,
};
use crate::{
    address, clipboard,
    pages::tables::rows::{
        View,
        data::{self, Row, RowKey},
        problem::ProblemBox,
        query::key_columns,
        save::{self, Problem, Saving},
        staged::{self, Staged, StagedCell},
    },
    ui::{ErrorBox, Icon, IconName, Sheet, messages},
    value::{Cell, is_document, one_line, refuses_empty},
};

/// Bytes above which only the beginning of a value is read at first.
const MAX_CELL_BYTES: &str = "262144";

/// Bytes above which a value is not compared with the current one when its change is saved.
const MAX_COMPARED_BYTES: usize = 64 << 10;

#[component]
pub(in crate::pages::tables::rows) fn ExistingRow(view: View, row_key: RowKey) -> Element {
    let mut generation = use_signal(|| 0_u32);
    let key = row_key.clone();
    let row = use_resource(move || {
        let _ = generation.read();
        let detail = view.detail.peek().0.clone();
        let filters = key.filters();
        let mut parameters: Vec<(&str, Option<&str>)> =
            vec![("limit", Some("1")), ("maxCellBytes", Some(MAX_CELL_BYTES))];
        parameters.extend(filters.iter().map(|(name, value)| (name.as_str(), Some(value.as_str()))));
        let path = view.path("rows", &parameters);
        async move { data::read(&path, &detail).await.map(|page| page.rows.into_iter().next()) }
    });
    let title = format!("{} {}", view.table, row_key.words());
    let on_close = |()| address::push_parameter("row", None);
    match &*row.read() {
        None => rsx! {
            Sheet {
                title,
                on_close,
                div { class: "stack late", "aria-busy": "true", span { class: "sk" } span { class: "sk" } }
            }
        },
        Some(Err(failure)) => rsx! {
            Sheet { title, on_close,
                ErrorBox {
                    what: "The row could not be loaded.",
                    failure: failure.clone(),
                    on_retry: move |()| *generation.write() += 1,
                }
            }
        },
        Some(Ok(None)) => rsx! {
            Sheet { title, on_close, p { role: "alert", "This row is gone: it was deleted, or its key was changed." } }
        },
        Some(Ok(Some(row))) => rsx! {
            RowForm {
                view,
                row_key: row_key.clone(),
                read: row.clone(),
                title,
                on_close,
                on_changed_meanwhile: move |()| *generation.write() += 1,
            }
        },
    }
}

#[component]
fn RowForm(
    view: View,
    row_key: RowKey,
    read: Row,
    title: String,
    on_close: EventHandler<()>,
    on_changed_meanwhile: EventHandler<()>,
) -> Element {
    let detail = view.detail.read().0.clone();
    let can_edit = view.key().is_some();
    // The row as it was read. Large values are added when they are loaded.
    let mut row = use_signal(|| read.clone());
    use_effect(use_reactive!(|read| row.set(read)));
    let staged = staged::of(&view.staged.read());
    let values = values(&detail, &row.read(), &staged, &row_key);
    let mut problem = use_signal(|| None::<Problem>);
    let focused = use_hook(|| {
        let key = key_columns(&detail).unwrap_or_default();
        // A link may have opened this row after a cell has opened another one.
        let cell = view.focused.peek().clone().filter(|(of, _)| *of == row_key);
        first_to_change(&detail.columns, &key, cell.as_ref().map(|(_, column)| column.as_str()))
    });
    let is_dirty = staged.row(&row_key).is_some();
    let is_busy = *view.saving.read() != Saving::Idle;
    let problems = match &*problem.read() {
        Some(Problem::Refused { columns, message, .. }) => field_problems(columns, message),
        _ => Vec::new(),
    };
    let save = {
        let row_key = row_key.clone();
        move || {
            if *view.saving.peek() != Saving::Idle {
                return;
            }
            let row_key = row_key.clone();
            spawn(async move {
                problem.set(None);
                match save::save(view, staged::peek(&view.staged.peek()).only(&row_key)).await {
                    None => on_close.call(()),
                    refused => problem.set(refused),
                }
            });
        }
    };
    let copy_source = (row_key.clone(), values.clone());
    let (as_json, as_insert, as_row) = (copy_source.clone(), copy_source.clone(), copy_source);
    let (to_delete, to_discard) = (row_key.clone(), row_key.clone());
    let mut deleting = view.deleting;
    rsx! {
        Sheet {
            title,
            on_close,
            footer: rsx! {
                if can_edit {
                    button {
                        class: "btn btn-primary",
                        r#type: "submit",
                        form: FORM,
                        "aria-disabled": is_busy || !is_dirty,
                        "Save row"
                    }
                    // Shown without changes too, so that no button moves when the owner begins to type.
                    button {
                        class: "btn btn-ghost",
                        r#type: "button",
                        "aria-disabled": is_busy,
                        onclick: move |_| {
                            if is_dirty {
                                staged::discard_row(&view.staged.peek(), &to_discard);
                            }
                            on_close.call(());
                        },
                        "Cancel"
                    }
                }
                if view.detail.read().supports.insert {
                    button {
                        class: "btn btn-ghost",
                        r#type: "button",
                        onclick: move |_| duplicate(view, as_row.clone()),
                        "Duplicate row"
                    }
                }
                if can_edit {
                    span { class: "push",
                        button {
                            class: "btn btn-ghost",
                            r#type: "button",
                            onclick: move |_| deleting.set(vec![to_delete.clone()]),
                            Icon { name: IconName::Trash }
                            "Delete row"
                        }
                    }
                }
            },
            div { class: "row row-1 sheet-acts",
                CopyAct {
                    label: "Copy as JSON",
                    autofocus: focused.is_none(),
                    onselect: move |()| copy(view, as_json.clone(), copies::as_json),
                }
                CopyAct {
                    label: "Copy as INSERT",
                    onselect: move |()| copy(view, as_insert.clone(), copies::as_insert),
                }
                span { class: "push muted label", role: "status", if is_dirty { "Not saved" } }
            }
            form {
                id: FORM,
                class: "stack",
                onsubmit: move |event| {
                    event.prevent_default();
                    save();
                },
                if let Some(problem_now) = problem() {
                    ProblemBox {
                        view,
                        problem: problem_now,
                        in_form: true,
                        on_solved: move |()| {
                            problem.set(None);
                            on_changed_meanwhile.call(());
                        },
                    }
                }
                RowFields {
                    view,
                    values,
                    row_key: row_key.clone(),
                    can_edit,
                    focused,
                    problems,
                    on_change: {
                        let (detail, row_key) = (detail.clone(), row_key.clone());
                        move |(index, now): (usize, _)| {
                            // The problem is about the previous value.
                            let name = detail.columns.get(index).map(|column| &column.name);
                            let is_about = |problem: &Problem| match problem {
                                Problem::Refused { columns, .. } => name.is_some_and(|name| columns.contains(name)),
                                Problem::Changed { .. } | Problem::Gone { .. } => false,
                            };
                            if problem.peek().as_ref().is_some_and(is_about) {
                                problem.set(None);
                            }
                            stage(view, &detail, &row.peek(), &row_key, index, now);
                        }
                    },
                    on_load: move |(index, whole): (usize, String)| {
                        let loaded = with_whole(&detail, &row.peek(), index, whole);
                        row.set(loaded);
                    },
                }
            }
            ReferencedBy { view, row: row() }
        }
    }
}

#[component]
fn CopyAct(label: &'static str, #[props(default)] autofocus: bool, onselect: EventHandler<()>) -> Element {
    rsx! {
        button { class: "btn btn-ghost btn-s", r#type: "button", autofocus, onclick: move |_| onselect.call(()),
            Icon { name: IconName::Copy }
            "{label}"
        }
    }
}

/// Returns the values of the fields: the staged ones, or else those that were read.
fn values(detail: &TableDetail, row: &Row, staged: &Staged, key: &RowKey) -> Vec<FieldValue> {
    let value = |(column, cell): (&api_types::ColumnDetail, &Cell)| {
        let before = Some(cell.text.as_deref().map(str::to_owned));
        match staged.cell(key, &column.name) {
            Some(changed) => FieldValue { before, now: Some(changed.now.clone()), whole_bytes: None },
            None => FieldValue { now: before.clone(), before, whole_bytes: cell.whole_bytes },
        }
    };
    detail.columns.iter().zip(row.0.iter()).map(value).collect()
}

/// Stages the value of a field. `None` restores the value that was read.
fn stage(view: View, detail: &TableDetail, row: &Row, key: &RowKey, index: usize, now: Option<Option<String>>) {
    let table = view.staged.peek();
    let Some((column, cell)) = detail.columns.get(index).zip(row.0.get(index)) else { return };
    let Some(now) = now else { return staged::unset(&table, key, &column.name) };
    // An empty field stands for `NULL`, unless the empty text is a value of the type.
    let refuses_empty = column.nullable && refuses_empty(&column.data_type, column.enum_values.as_deref());
    let now = now.filter(|now| !now.is_empty() || !refuses_empty);
    let changed = match staged::peek(&table).cell(key, &column.name) {
        Some(before) => StagedCell { now, ..before.clone() },
        None if cell.json.len() > MAX_COMPARED_BYTES => {
            StagedCell { was: String::new(), was_text: cell.text.as_deref().map(|text| one_line(text).0), now }
        }
        None => StagedCell { was: cell.json.to_string(), was_text: cell.text.as_deref().map(str::to_owned), now },
    };
    staged::type_in(&table, key, &column.name, changed);
}

/// Returns the row with the whole value of a cell of which only the beginning was read.
fn with_whole(detail: &TableDetail, row: &Row, index: usize, whole: String) -> Row {
    let is_document = detail.columns.get(index).is_some_and(|column| is_document(&column.data_type));
    let mut cells = row.0.to_vec();
    if let Some(cell) = cells.get_mut(index) {
        let json = if is_document { whole.clone() } else { serde_json::Value::from(whole.as_str()).to_string() };
        *cell = Cell { json: json.into(), text: Some(whole.into()), whole_bytes: None };
    }
    Row(cells.into())
}

/// Copies the row to the clipboard, in the format of `write`.
fn copy(view: View, (key, values): (RowKey, Vec<FieldValue>), write: fn(&TableDetail, &[copies::NamedText]) -> String) {
    spawn(async move {
        let detail: Rc<TableDetail> = view.detail.peek().0.clone();
        match whole_texts(view, &key, &values).await {
            Ok(texts) if clipboard::copy(&write(&detail, &texts)).await => messages::show("Copied"),
            Ok(_) => messages::show_failure(clipboard::REFUSED),
            Err(message) => messages::show_failure(message),
        }
    });
}

/// Opens a new row with the values of this one.
fn duplicate(view: View, (key, values): (RowKey, Vec<FieldValue>)) {
    spawn(async move {
        match whole_texts(view, &key, &values).await {
            Ok(texts) => open_copy(view, &copies::duplicated(&view.detail.peek().0, texts)),
            Err(message) => messages::show_failure(message),
        }
    });
}
