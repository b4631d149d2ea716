//! The fields of a row: one for each column, with its type, default and whole value.

use std::collections::BTreeMap;

use api_types::{ColumnDetail, TableDetail, TableReference};
use dioxus::prelude::*;

use super::{
    View,
    data::{Row, RowKey},
    foreign_key,
    staged::Staged,
};
use crate::{
    address,
    pages::tables::table_page::table_path,
    remote,
    text,
    ui::Link,
    value::{is_document, is_text, short_type},
};

/// Bytes above which a text is shown in a field with several lines.
const LONG_TEXT_BYTES: usize = 80;

/// The values of the form.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Draft {
    fields: BTreeMap<String, Field>,
}

/// The value of one field.
#[derive(Debug, Clone, PartialEq)]
struct Field {
    /// The value before the edit. `None` in a new row, where the column's default applies.
    before: Option<Option<String>>,
    now: Option<Option<String>>,
    /// Size of the whole value in bytes, if only its beginning was read.
    whole_bytes: Option<u64>,
}

impl Draft {
    pub(super) fn of_row(detail: &TableDetail, row: &Row, staged: &Staged, key: &RowKey) -> Self {
        let field = |(column, cell): (&ColumnDetail, &crate::value::Cell)| {
            let before = Some(cell.text.as_deref().map(str::to_owned));
            let now = staged.cell(key, &column.name).map(|staged| Some(staged.now.clone())).unwrap_or_else(|| before.clone());
            (column.name.clone(), Field { before, now, whole_bytes: cell.whole_bytes })
        };
        Self { fields: detail.columns.iter().zip(row.0.iter()).map(field).collect() }
    }

    pub(super) fn of_new_row(detail: &TableDetail, values: &BTreeMap<String, Option<String>>) -> Self {
        let field = |column: &ColumnDetail| {
            (column.name.clone(), Field { before: None, now: values.get(&column.name).cloned(), whole_bytes: None })
        };
        Self { fields: detail.columns.iter().map(field).collect() }
    }

    /// Returns the new value of a column, if it differs.
    pub(super) fn changed(&self, name: &str) -> Option<Option<String>> {
        let field = self.fields.get(name)?;
        (field.now != field.before).then(|| field.now.clone()).flatten()
    }

    pub(super) fn is_changed(&self) -> bool {
        self.fields.values().any(|field| field.now != field.before)
    }

    /// Returns all values in the order of the columns.
    pub(super) fn texts(&self, detail: &TableDetail) -> Vec<(String, Option<String>)> {
        let text = |column: &ColumnDetail| {
            let now = self.fields.get(&column.name)?.now.clone()?;
            Some((column.name.clone(), now))
        };
        detail.columns.iter().filter_map(text).collect()
    }

    fn set(&mut self, name: &str, now: Option<Option<String>>) {
        if let Some(field) = self.fields.get_mut(name) {
            field.now = now;
        }
    }

    fn load(&mut self, name: &str, whole: String) {
        if let Some(field) = self.fields.get_mut(name) {
            field.before = Some(Some(whole.clone()));
            field.now = Some(Some(whole));
            field.whole_bytes = None;
        }
    }
}

#[component]
pub(super) fn RowFields(view: View, draft: Signal<Draft>, row_key: Option<RowKey>, can_edit: bool) -> Element {
    let columns = view.detail.read().columns.clone();
    rsx! {
        for (index, column) in columns.into_iter().enumerate() {
            RowField { key: "{column.name}", view, index, column, draft, row_key: row_key.clone(), can_edit }
        }
    }
}

#[component]
fn RowField(
    view: View,
    index: usize,
    column: ColumnDetail,
    draft: Signal<Draft>,
    row_key: Option<RowKey>,
    can_edit: bool,
) -> Element {
    let mut draft = draft;
    let name = column.name.clone();
    let Some(field) = draft.read().fields.get(&name).cloned() else { return rsx! {} };
    let is_new = row_key.is_none();
    let is_key = !is_new && column.primary_key;
    let is_made = column.generated.is_some() || column.identity == Some(api_types::IdentityKind::Always);
    let is_locked = !can_edit || is_made || (is_key && !can_edit) || field.whole_bytes.is_some();
    let now = field.now.clone().flatten();
    let is_null = field.now == Some(None);
    let reference = view.detail.read().foreign_keys.iter().find(|key| key.columns == [name.clone()]).cloned();
    let is_long = is_document(&column.data_type)
        || now.as_ref().is_some_and(|text| text.len() > LONG_TEXT_BYTES || text.contains('\n')) && !is_locked
        || now.as_ref().is_some_and(|text| text.contains('\n'));
    let choices = match (&column.enum_values, column.data_type.as_str()) {
        (Some(values), _) => Some(values.clone()),
        (None, "boolean") => Some(vec!["true".to_owned(), "false".to_owned()]),
        _ => None,
    };
    let placeholder = match (&field.now, &column.default) {
        (Some(None), _) => "NULL".to_owned(),
        (None, Some(default)) => format!("default: {default}"),
        (None, None) if column.has_default => "generated by the database".to_owned(),
        (None, None) if column.nullable => "NULL".to_owned(),
        _ => String::new(),
    };
    let id = format!("row-field-{index}");
    let mut change = {
        let name = name.clone();
        move |text: String| draft.write().set(&name, Some(Some(text)))
    };
    let was = field.before.clone().filter(|_| field.now != field.before && !is_new);
    rsx! {
        div { class: "field row-field",
            div { class: "row row-1",
                label { class: "lab", r#for: "{id}",
                    span { class: "mono", "{column.name}" }
                    span { class: "faint label", {describe(&column)} }
                }
                span { class: "push row row-1",
                    if let Some(reference) = &reference {
                        if let Some(text) = &now {
                            OpenReferenced { view, reference: reference.clone(), column: name.clone(), text: text.clone() }
                        }
                    }
                    if is_document(&column.data_type) && !is_locked {
                        button {
                            class: "btn btn-ghost btn-s",
                            r#type: "button",
                            onclick: {
                                let (name, now) = (name.clone(), now.clone());
                                move |_| {
                                    if let Some(text) = now.as_deref().and_then(format_json) {
                                        draft.write().set(&name, Some(Some(text)));
                                    }
                                }
                            },
                            "Format JSON"
                        }
                    }
                    if column.nullable && !is_locked && !is_null {
                        button {
                            class: "btn btn-ghost btn-s",
                            r#type: "button",
                            "aria-label": "Set {column.name} to NULL",
                            onclick: {
                                let name = name.clone();
                                move |_| draft.write().set(&name, Some(None))
                            },
                            "NULL"
                        }
                    }
                }
            }
            if let Some(bytes) = field.whole_bytes {
                WholeValue { view, column: name.clone(), bytes, row_key: row_key.clone(), draft, start: now.clone().unwrap_or_default() }
            } else if let (Some(reference), false) = (reference, is_locked) {
                ReferenceField { view, id: id.clone(), column: name.clone(), reference, text: now.clone().unwrap_or_default(), placeholder, onchange: move |text| change(text) }
            } else if let (Some(choices), false) = (choices, is_locked) {
                select {
                    id: "{id}",
                    class: "input mono",
                    onchange: move |event| change(event.value()),
                    option { value: "", disabled: true, selected: now.is_none(), "{placeholder}" }
                    for choice in choices {
                        option { key: "{choice}", value: "{choice}", selected: now.as_ref() == Some(&choice), "{choice}" }
                    }
                }
            } else if is_long {
                textarea {
                    id: "{id}",
                    class: "input mono",
                    rows: 6,
                    spellcheck: "false",
                    readonly: is_locked,
                    placeholder,
                    value: now.clone().unwrap_or_default(),
                    oninput: move |event| change(event.value()),
                }
            } else {
                input {
                    id: "{id}",
                    class: "input mono",
                    spellcheck: "false",
                    autocomplete: "off",
                    disabled: is_locked,
                    placeholder,
                    value: now.clone().unwrap_or_default(),
                    oninput: move |event| change(event.value()),
                }
            }
            if let Some(was) = was {
                p { class: "help", "Was " span { class: "mono cut", {was.map_or_else(|| "NULL".to_owned(), |text| crate::value::one_line(&text).0)} } }
            }
        }
    }
}

/// Returns the text beside a column's name: `int8 · key · default now()`.
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
        parts.push(format!("default {}", crate::value::one_line(default).0));
    }
    if column.nullable {
        parts.push("NULL ok".to_owned());
    }
    parts.join(" · ")
}

/// Indents a JSON text. Numbers are copied unchanged, so that no digit is lost.
fn format_json(text: &str) -> Option<String> {
    let mut formatted = String::new();
    let mut depth = 0_usize;
    let (mut in_string, mut escaped) = (false, false);
    serde_json::from_str::<&serde_json::value::RawValue>(text).ok()?;
    let mut characters = text.trim().chars().peekable();
    let newline = |formatted: &mut String, depth: usize| {
        formatted.push('\n');
        formatted.push_str(&"  ".repeat(depth));
    };
    while let Some(character) = characters.next() {
        if in_string {
            formatted.push(character);
            (in_string, escaped) = (character != '"' || escaped, character == '\\' && !escaped);
            continue;
        }
        match character {
            '"' => {
                in_string = true;
                formatted.push(character);
            }
            '{' | '[' => {
                formatted.push(character);
                while characters.peek().is_some_and(|next| next.is_whitespace()) {
                    characters.next();
                }
                if characters.peek().is_some_and(|next| matches!(next, '}' | ']')) {
                    formatted.extend(characters.next());
                } else {
                    depth += 1;
                    newline(&mut formatted, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                newline(&mut formatted, depth);
                formatted.push(character);
            }
            ',' => {
                formatted.push(',');
                newline(&mut formatted, depth);
            }
            ':' => formatted.push_str(": "),
            other if other.is_whitespace() => {}
            other => formatted.push(other),
        }
    }
    Some(formatted)
}

#[component]
fn OpenReferenced(view: View, reference: TableReference, column: String, text: String) -> Element {
    let to = foreign_key::target(&view.project.read(), &view.detail.read().0, &column, &text);
    let label = format!("Open row in {}", reference.references_table);
    rsx! {
        if let Some(to) = to {
            Link { to, class: "label muted link", "{label}" }
        }
    }
}

/// The beginning of a long value, and a button that loads all of it.
#[component]
fn WholeValue(view: View, column: String, bytes: u64, row_key: Option<RowKey>, draft: Signal<Draft>, start: String) -> Element {
    let mut draft = draft;
    let mut busy = use_signal(|| false);
    let mut failure = use_signal(|| None::<String>);
    rsx! {
        textarea { class: "input mono", rows: 4, readonly: true, "aria-label": "Beginning of {column}", value: "{start}…" }
        div { class: "row",
            button {
                class: "btn btn-s",
                r#type: "button",
                disabled: busy(),
                onclick: move |_| {
                    let filters = row_key.as_ref().map(RowKey::filters).unwrap_or_default();
                    let mut parameters: Vec<(&str, Option<&str>)> = vec![("column", Some(&column))];
                    parameters.extend(filters.iter().map(|(name, value)| (name.as_str(), Some(value.as_str()))));
                    let path = address::with_parameters(&format!("{}/cell", view.path()), &parameters);
                    let column = column.clone();
                    spawn(async move {
                        busy.set(true);
                        match remote::get_text(&path).await {
                            Ok(whole) => draft.write().load(&column, whole),
                            Err(refused) => failure.set(Some(refused.message())),
                        }
                        busy.set(false);
                    });
                },
                "Load all {text::bytes(bytes as i64)} to edit"
            }
            if let Some(failure) = failure() {
                span { class: "error", role: "alert", "{failure}" }
            }
        }
    }
}

/// A field that searches the table that the column refers to.
#[component]
fn ReferenceField(
    view: View,
    id: String,
    column: String,
    reference: TableReference,
    text: String,
    placeholder: String,
    onchange: EventHandler<String>,
) -> Element {
    let mut is_open = use_signal(|| false);
    let mut query = use_signal(|| text.clone());
    let detail = crate::remote::use_remote::<TableDetail>({
        let table = reference.references_table.clone();
        use_memo(move || super::super::table_page::detail_path(&view.project.read(), &table)).into()
    });
    let referenced = reference.references_columns.first().cloned().unwrap_or_default();
    let label = detail.value().and_then(|detail| {
        detail.columns.into_iter().find(|column| is_text(&column.data_type) && column.name != referenced).map(|column| column.name)
    });
    let table = reference.references_table.clone();
    let options = use_resource(use_reactive!(|label| {
        let (table, referenced) = (table.clone(), referenced.clone());
        let wanted = query.read().trim().to_owned();
        let is_open = *is_open.read();
        async move {
            if !is_open {
                return Vec::new();
            }
            gloo_timers::future::TimeoutFuture::new(150).await;
            search(&view.project.peek(), &table, &referenced, label.as_deref(), &wanted).await
        }
    }));
    let options = options.read().clone().unwrap_or_default();
    rsx! {
        div { class: "combo",
            input {
                id: "{id}",
                class: "input mono",
                role: "combobox",
                "aria-expanded": is_open().to_string(),
                "aria-controls": "{id}-list",
                "aria-autocomplete": "list",
                autocomplete: "off",
                placeholder,
                value: "{text}",
                onfocus: move |_| is_open.set(true),
                onblur: move |_| is_open.set(false),
                oninput: move |event| {
                    query.set(event.value());
                    is_open.set(true);
                    onchange.call(event.value());
                },
                onkeydown: move |event| {
                    if event.key() == Key::Escape && is_open() {
                        event.prevent_default();
                        event.stop_propagation();
                        is_open.set(false);
                    }
                },
            }
            if is_open() && !options.is_empty() {
                div { id: "{id}-list", class: "menu combo-list", role: "listbox", "aria-label": "Rows of {reference.references_table}",
                    for (key, label) in options {
                        div {
                            key: "{key}",
                            class: "option",
                            role: "option",
                            "aria-selected": (key == text).to_string(),
                            // `onclick` would come after the field has lost the focus and closed the list.
                            onmousedown: {
                                let key = key.clone();
                                move |event: MouseEvent| {
                                    event.prevent_default();
                                    onchange.call(key.clone());
                                    is_open.set(false);
                                }
                            },
                            span { class: "mono", "{key}" }
                            span { class: "muted cut", "{label}" }
                        }
                    }
                }
            }
        }
    }
}

/// Finds rows of a table by the start of their key or a part of their label. Returns keys and labels.
async fn search(project: &str, table: &str, key: &str, label: Option<&str>, wanted: &str) -> Vec<(String, String)> {
    let quoted = super::query::quoted_if_needed;
    let select = label.map_or_else(|| quoted(key), |label| format!("{},{}", quoted(key), quoted(label)));
    let pattern = format!("%{wanted}%");
    let filter = label.filter(|_| !wanted.is_empty()).map(|label| format!("ilike.{label}"));
    let is_number = !wanted.is_empty() && wanted.bytes().all(|byte| byte.is_ascii_digit());
    let by_key = format!("eq.{key}");
    let mut parameters = vec![("limit", Some("20")), ("select", Some(select.as_str())), ("maxCellBytes", Some("200"))];
    match &filter {
        _ if is_number => parameters.push((&by_key, Some(wanted))),
        Some(filter) => parameters.push((filter, Some(&pattern))),
        None => {}
    }
    let path = address::with_parameters(&format!("{}/rows", table_path(project, table)), &parameters);
    let Ok(page) = remote::get::<serde_json::Value>(&path).await else { return Vec::new() };
    let plain = |value: Option<&serde_json::Value>| match value {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(serde_json::Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let rows = page.get("rows").and_then(|rows| rows.as_array()).cloned().unwrap_or_default();
    rows.iter().map(|row| (plain(row.get(key)), label.map(|label| plain(row.get(label))).unwrap_or_default())).collect()
}
