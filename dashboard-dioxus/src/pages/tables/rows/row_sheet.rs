//! One row as a form, over the list.

use std::{collections::BTreeMap, rc::Rc};

use api_types::{ColumnDetail, TableDetail};
use dioxus::prelude::*;

use super::{
    View,
    data::{self, Row, RowKey},
    row_fields::{Draft, RowFields},
    save::{self, Change},
    staged,
};
use crate::{
    address, clipboard,
    pages::tables::table_page::table_path,
    remote::{self, Failure},
    ui::{ErrorBox, Icon, IconName, Menu, MenuItem, Sheet as SheetFrame, messages},
    value::{self, quoted},
};

/// What the sheet shows.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Sheet {
    Existing(RowKey),
    New,
    /// A new row with the values of another.
    Copy(BTreeMap<String, Option<String>>),
}

#[component]
pub(super) fn RowSheet(view: View, sheet: Sheet) -> Element {
    let mut inserting = view.inserting;
    let close = move |()| {
        if inserting.peek().is_some() {
            inserting.set(None);
        } else {
            address::push_parameter("row", None);
        }
    };
    match sheet {
        Sheet::Existing(key) => rsx! { ExistingRow { view, row_key: key, on_close: close } },
        Sheet::New => rsx! { NewRow { view, values: BTreeMap::new(), on_close: close } },
        Sheet::Copy(values) => rsx! { NewRow { view, values, on_close: close } },
    }
}

#[component]
fn ExistingRow(view: View, row_key: RowKey, on_close: EventHandler<()>) -> Element {
    let mut generation = use_signal(|| 0_u32);
    let key = row_key.clone();
    let row = use_resource(move || {
        let _ = generation.read();
        let detail = view.detail.peek().0.clone();
        let filters = key.filters();
        let mut parameters: Vec<(&str, Option<&str>)> = vec![("limit", Some("1")), ("maxCellBytes", Some("262144"))];
        parameters.extend(filters.iter().map(|(name, value)| (name.as_str(), Some(value.as_str()))));
        let path = address::with_parameters(&format!("{}/rows", view.path()), &parameters);
        async move { data::read(&path, &detail).await.map(|page| page.rows.into_iter().next()) }
    });
    let title = format!("{} {}", view.table, row_key.words());
    match &*row.read() {
        None => rsx! {
            SheetFrame { title, on_close, div { class: "stack late", "aria-busy": "true", span { class: "sk" } span { class: "sk" } } }
        },
        Some(Err(failure)) => rsx! {
            SheetFrame { title, on_close,
                ErrorBox { what: "The row could not be read.", failure: failure.clone(), on_retry: move |()| *generation.write() += 1 }
            }
        },
        Some(Ok(None)) => rsx! {
            SheetFrame { title, on_close, p { role: "alert", "This row does not exist: it was deleted, or its key was changed." } }
        },
        Some(Ok(Some(row))) => rsx! {
            RowForm { view, row_key: row_key.clone(), row: row.clone(), title, on_close, on_saved: move |()| *generation.write() += 1 }
        },
    }
}

#[component]
fn RowForm(
    view: View,
    row_key: RowKey,
    row: Row,
    title: String,
    on_close: EventHandler<()>,
    on_saved: EventHandler<()>,
) -> Element {
    let detail = view.detail.read().0.clone();
    let can_edit = view.key().is_some();
    // Edits that are staged in the grid are also shown and saved here.
    let draft = use_signal(|| Draft::of_row(&detail, &row, &staged::peek(&view.staged.peek()), &row_key));
    let mut busy = use_signal(|| false);
    let mut failure = use_signal(|| None::<Failure>);
    let mut inserting = view.inserting;
    let mut deleting = view.deleting;
    let is_dirty = draft.read().is_changed();
    let save = {
        let (row_key, detail, row) = (row_key.clone(), detail.clone(), row.clone());
        move || {
            let (row_key, detail, row) = (row_key.clone(), detail.clone(), row.clone());
            spawn(async move {
                busy.set(true);
                match save_row(view, &row_key, &detail, &row, &draft.peek()).await {
                    Ok(()) => {
                        staged::discard_row(&view.staged.peek(), &row_key);
                        failure.set(None);
                        messages::show("Row saved");
                        view.refresh();
                        on_saved.call(());
                        on_close.call(());
                    }
                    Err(refused) => failure.set(Some(refused)),
                }
                busy.set(false);
            });
        }
    };
    let submit = save.clone();
    let texts: Rc<Vec<(String, Option<String>)>> = Rc::new(draft.read().texts(&detail));
    let (for_json, for_insert, for_copy) = (texts.clone(), texts.clone(), texts.clone());
    let (json_detail, insert_detail, copy_detail) = (detail.clone(), detail.clone(), detail.clone());
    let to_delete = row_key.clone();
    rsx! {
        SheetFrame {
            title: title.clone(),
            on_close,
            footer: rsx! {
                if can_edit {
                    button { class: "btn btn-primary", r#type: "button", disabled: busy() || !is_dirty, onclick: move |_| save(), "Save row" }
                }
                button {
                    class: "btn btn-ghost",
                    r#type: "button",
                    onclick: move |_| inserting.set(Some(Sheet::Copy(copied(&copy_detail, &for_copy)))),
                    "Duplicate row"
                }
                Menu { name: "Actions for row {row_key.words()}", icon: IconName::Dots,
                    MenuItem { icon: Some(IconName::Copy), onselect: move |()| copy(as_json(&json_detail, &for_json)), "Copy as JSON" }
                    MenuItem { icon: Some(IconName::Copy), onselect: move |()| copy(as_insert(&insert_detail, &for_insert)), "Copy as INSERT" }
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
            form {
                id: "row-form",
                class: "stack",
                onsubmit: move |event| {
                    event.prevent_default();
                    submit();
                },
                onkeydown: {
                    let save = save_on_keys(can_edit);
                    move |event: KeyboardEvent| save(&event)
                },
                if let Some(failure) = failure() {
                    p { class: "error", role: "alert", "{failure.message()}" }
                }
                RowFields { view, draft, row_key: Some(row_key.clone()), can_edit }
                p { class: "muted label", role: "status", if is_dirty { "Not saved" } }
            }
            ReferencedBy { view, row: row.clone() }
        }
    }
}

/// Ctrl-Enter saves from a field with several lines.
fn save_on_keys(can_edit: bool) -> impl Fn(&KeyboardEvent) + Clone {
    move |event| {
        if can_edit && event.key() == Key::Enter && (event.modifiers().ctrl() || event.modifiers().meta()) {
            event.prevent_default();
            if let Some(form) = crate::dom::find(".sheet footer .btn-primary") {
                form.click();
            }
        }
    }
}

async fn save_row(view: View, key: &RowKey, detail: &TableDetail, row: &Row, draft: &Draft) -> Result<(), Failure> {
    let (mut set, mut was) = (BTreeMap::new(), BTreeMap::new());
    for (index, column) in detail.columns.iter().enumerate() {
        let Some(now) = draft.changed(&column.name) else { continue };
        let json = value::to_json(now.as_deref(), &column.data_type)
            .map_err(|reason| Failure::unreadable(&format!("{}: {reason}", column.name)))?;
        set.insert(column.name.clone(), json);
        if let Some(cell) = row.0.get(index).filter(|cell| cell.whole_bytes.is_none()) {
            was.insert(column.name.clone(), save::raw(&cell.json));
        }
    }
    save::send(&view.path(), &[Change::update(key, set, was)], false).await.map(drop)
}

#[component]
fn NewRow(view: View, values: BTreeMap<String, Option<String>>, on_close: EventHandler<()>) -> Element {
    let detail = view.detail.read().0.clone();
    let draft = use_signal(|| Draft::of_new_row(&detail, &values));
    let mut busy = use_signal(|| false);
    let mut failure = use_signal(|| None::<String>);
    let insert = {
        let detail = detail.clone();
        move || {
            let detail = detail.clone();
            spawn(async move {
                busy.set(true);
                let mut set = BTreeMap::new();
                let mut wrong = None;
                for column in &detail.columns {
                    let Some(now) = draft.peek().changed(&column.name) else { continue };
                    match value::to_json(now.as_deref(), &column.data_type) {
                        Ok(json) => drop(set.insert(column.name.clone(), json)),
                        Err(reason) => wrong = Some(format!("{}: {reason}", column.name)),
                    }
                }
                let sent = match wrong {
                    Some(wrong) => Err(wrong),
                    None => save::send(&view.path(), &[Change::insert(set)], false).await.map_err(|refused| refused.message()),
                };
                match sent {
                    Ok(_) => {
                        messages::show("Row inserted");
                        view.refresh();
                        on_close.call(());
                    }
                    Err(message) => failure.set(Some(message)),
                }
                busy.set(false);
            });
        }
    };
    let submit = insert.clone();
    rsx! {
        SheetFrame {
            title: "New row in {view.table}",
            on_close,
            footer: rsx! {
                button { class: "btn btn-primary", r#type: "button", disabled: busy(), onclick: move |_| insert(), "Create row" }
                button { class: "btn btn-ghost", r#type: "button", onclick: move |_| on_close.call(()), "Cancel" }
            },
            form {
                class: "stack",
                onsubmit: move |event| {
                    event.prevent_default();
                    submit();
                },
                onkeydown: {
                    let save = save_on_keys(true);
                    move |event: KeyboardEvent| save(&event)
                },
                if let Some(failure) = failure() {
                    p { class: "error", role: "alert", "{failure}" }
                }
                RowFields { view, draft, row_key: None, can_edit: true }
            }
        }
    }
}

/// How many rows of other tables refer to this row.
#[component]
fn ReferencedBy(view: View, row: Row) -> Element {
    let detail = view.detail.read().0.clone();
    let references: Vec<(String, String, String)> = detail
        .referenced_by
        .iter()
        .filter(|reference| reference.schema == "public")
        .filter_map(|reference| {
            let ([column], [own]) = (reference.columns.as_slice(), reference.references_columns.as_slice()) else { return None };
            let at = detail.columns.iter().position(|known| known.name == *own)?;
            Some((reference.table.clone(), column.clone(), row.0.get(at)?.text.as_deref()?.to_owned()))
        })
        .collect();
    if references.is_empty() {
        return rsx! {};
    }
    rsx! {
        section { class: "stack stack-1", "aria-label": "Referenced by",
            h3 { class: "label", "Referenced by" }
            div { class: "rows",
                for (table, column, text) in references {
                    Reference { key: "{table}.{column}", project: view.project.read().clone(), table, column, text }
                }
            }
        }
    }
}

#[component]
fn Reference(project: String, table: String, column: String, text: String) -> Element {
    let filter = format!("eq.{column}={text}");
    let to = address::with_parameters(
        &format!("/projects/{project}/tables"),
        &[("table", Some(&table)), ("where", Some(&filter))],
    );
    let path = address::with_parameters(
        &format!("{}/rows", table_path(&project, &table)),
        &[(&format!("eq.{column}"), Some(&text)), ("count", Some("exact")), ("limit", Some("1")), ("select", Some(&super::query::quoted_if_needed(&column)))],
    );
    let count = use_resource(move || {
        let path = path.clone();
        async move {
            let page: serde_json::Value = remote::get(&path).await.ok()?;
            page.pointer("/page/total")?.as_i64()
        }
    });
    let count = count.read().flatten().map(|count| crate::text::count(count, "row", "rows")).unwrap_or_default();
    rsx! {
        crate::ui::Link { to,
            Icon { name: IconName::Table }
            span { class: "cut", "{table}.{column}" }
            span { class: "n", "{count}" }
        }
    }
}

fn copy(text: String) {
    spawn(async move {
        if clipboard::copy(&text).await {
            messages::show("Copied");
        } else {
            messages::show_failure("The browser did not allow copying.");
        }
    });
}

/// Returns the values for a copy of the row, without those that the database generates.
fn copied(detail: &TableDetail, texts: &[(String, Option<String>)]) -> BTreeMap<String, Option<String>> {
    let is_made = |column: &ColumnDetail| {
        column.generated.is_some() || column.identity.is_some() || (column.primary_key && column.has_default)
    };
    let kept = |name: &String| detail.columns.iter().any(|column| column.name == *name && !is_made(column));
    texts.iter().filter(|(name, _)| kept(name)).cloned().collect()
}

fn as_json(detail: &TableDetail, texts: &[(String, Option<String>)]) -> String {
    let members = texts.iter().map(|(name, text)| {
        let data_type = detail.columns.iter().find(|column| column.name == *name).map_or("text", |column| &column.data_type);
        let json = match text {
            None => "null".to_owned(),
            Some(text) if value::is_number(data_type) || data_type == "boolean" || value::is_document(data_type) || data_type.ends_with("[]") => text.clone(),
            Some(text) => serde_json::Value::from(text.as_str()).to_string(),
        };
        format!("  {}: {json}", serde_json::Value::from(name.as_str()))
    });
    format!("{{\n{}\n}}", members.collect::<Vec<_>>().join(",\n"))
}

fn as_insert(detail: &TableDetail, texts: &[(String, Option<String>)]) -> String {
    let generated = |name: &String| detail.columns.iter().any(|column| column.name == *name && column.generated.is_some());
    let kept: Vec<&(String, Option<String>)> = texts.iter().filter(|(name, _)| !generated(name)).collect();
    let columns: Vec<String> = kept.iter().map(|(name, _)| quoted(name)).collect();
    let values: Vec<String> = kept
        .iter()
        .map(|(_, text)| text.as_ref().map_or_else(|| "null".to_owned(), |text| format!("'{}'", text.replace('\'', "''"))))
        .collect();
    format!("insert into {} ({})\nvalues ({});", quoted(&detail.name), columns.join(", "), values.join(", "))
}
