//! A field for a foreign key, which searches the referenced table.

use api_types::{TableDetail, TableReference};
use dioxus::prelude::*;
use gloo_timers::future::TimeoutFuture;

use crate::{
    dom,
    pages::tables::{
        rows::{
            View,
            query::{containing, quoted_if_needed},
        },
        table_page::{detail_path, table_path},
    },
    remote::{self, use_remote},
    value::is_text,
};

/// Milliseconds between the last keystroke and the search.
const SEARCH_DELAY_MS: u32 = 150;

/// A row that can be chosen.
#[derive(Debug, Clone, PartialEq)]
struct Choice {
    key: String,
    label: String,
}

#[component]
pub(super) fn ReferenceField(
    view: View,
    id: String,
    reference: TableReference,
    text: String,
    placeholder: String,
    is_required: bool,
    is_wrong: bool,
    autofocus: bool,
    onchange: EventHandler<String>,
) -> Element {
    let mut is_open = use_signal(|| false);
    // The text to search for. It is empty until the owner types, so that opening the list shows the first rows.
    let mut query = use_signal(String::new);
    let mut at = use_signal(|| None::<usize>);
    let detail = use_remote::<TableDetail>({
        let table = reference.references_table.clone();
        use_memo(move || detail_path(&view.project.read(), &table)).into()
    });
    let referenced = reference.references_columns.first().cloned().unwrap_or_default();
    let search = detail.value().map(|detail| Search::of(&detail, &referenced));
    let table = reference.references_table.clone();
    let choices = use_resource(use_reactive!(|search| {
        let table = table.clone();
        let wanted = query.read().trim().to_owned();
        let is_open = *is_open.read();
        async move {
            let Some(search) = search.filter(|_| is_open) else { return Vec::new() };
            TimeoutFuture::new(SEARCH_DELAY_MS).await;
            search.run(&view.project.peek(), &table, &wanted).await
        }
    }));
    let choices = choices.read().clone().unwrap_or_default();
    let shown = is_open() && !choices.is_empty();
    let active = at().filter(|at| shown && *at < choices.len());
    let mut choose = move |choice: &Choice| {
        onchange.call(choice.key.clone());
        query.set(String::new());
        is_open.set(false);
        at.set(None);
    };
    let onkeydown = {
        let choices = choices.clone();
        let id = id.clone();
        move |event: KeyboardEvent| {
            let count = choices.len();
            let next = match (event.key(), active) {
                (Key::Escape, _) if is_open() => {
                    event.stop_propagation();
                    is_open.set(false);
                    None
                }
                (Key::Enter, Some(index)) => {
                    if let Some(choice) = choices.get(index) {
                        choose(choice);
                    }
                    None
                }
                (Key::ArrowDown, _) if !shown => {
                    is_open.set(true);
                    Some(0)
                }
                (Key::ArrowDown, Some(index)) => Some((index + 1) % count.max(1)),
                (Key::ArrowDown, None) => Some(0),
                (Key::ArrowUp, Some(index)) => Some((index + count - 1) % count.max(1)),
                (Key::ArrowUp, None) => Some(count.saturating_sub(1)),
                _ => return,
            };
            event.prevent_default();
            at.set(next);
            if let Some(next) = next {
                dom::scroll_into_view(&format!("{id}-{next}"));
            }
        }
    };
    rsx! {
        div { class: "combo",
            input {
                id: "{id}",
                class: "input mono",
                role: "combobox",
                "aria-expanded": shown.to_string(),
                "aria-controls": if shown { "{id}-list" },
                "aria-activedescendant": active.map(|active| format!("{id}-{active}")),
                "aria-autocomplete": "list",
                autofocus,
                "aria-required": is_required.then_some("true"),
                "aria-invalid": if is_wrong { "true" },
                "aria-describedby": is_wrong.then(|| format!("{id}-error")),
                autocomplete: "off",
                placeholder,
                value: "{text}",
                // The focus alone does not open the list, because it would cover the next fields.
                onclick: move |_| is_open.set(true),
                onblur: move |_| {
                    is_open.set(false);
                    query.set(String::new());
                },
                oninput: move |event| {
                    query.set(event.value());
                    at.set(None);
                    is_open.set(true);
                    onchange.call(event.value());
                },
                onkeydown,
            }
            if shown {
                div {
                    id: "{id}-list",
                    class: "menu combo-list",
                    role: "listbox",
                    "aria-label": "Rows of {reference.references_table}",
                    for (index, choice) in choices.into_iter().enumerate() {
                        div {
                            key: "{choice.key}",
                            id: "{id}-{index}",
                            class: if active == Some(index) { "option is-on" } else { "option" },
                            role: "option",
                            "aria-selected": (choice.key == text).to_string(),
                            // On `mousedown`, because a click comes after the field has lost the focus and closed the
                            // list.
                            onmousedown: {
                                let choice = choice.clone();
                                move |event: MouseEvent| {
                                    event.prevent_default();
                                    choose(&choice);
                                }
                            },
                            span { class: "mono", "{choice.key}" }
                            span { class: "muted cut", "{choice.label}" }
                        }
                    }
                }
            }
        }
    }
}

/// The columns with which to search the referenced table.
#[derive(Debug, Clone, PartialEq)]
struct Search {
    /// The referenced column.
    key: String,
    key_is_text: bool,
    /// The first other column with text, which describes a row.
    label: Option<String>,
}

impl Search {
    fn of(detail: &TableDetail, key: &str) -> Self {
        let key_is_text = detail.columns.iter().any(|column| column.name == key && is_text(&column.data_type));
        let label = detail.columns.iter().find(|column| is_text(&column.data_type) && column.name != key);
        Self { key: key.to_owned(), key_is_text, label: label.map(|column| column.name.clone()) }
    }

    /// Finds rows by a part of their label. If the key is not text, digits are searched as a whole key instead. Without
    /// a label, finds rows by a part of their key, if it is text.
    async fn run(&self, project: &str, table: &str, wanted: &str) -> Vec<Choice> {
        let mut select = quoted_if_needed(&self.key);
        if let Some(label) = &self.label {
            select = format!("{select},{}", quoted_if_needed(label));
        }
        let is_number = wanted.bytes().all(|byte| byte.is_ascii_digit());
        let pattern = containing(wanted);
        let filter = match (&self.label, self.key_is_text) {
            _ if wanted.is_empty() => None,
            (_, false) if is_number => Some((format!("eq.{}", self.key), wanted)),
            (Some(label), _) => Some((format!("ilike.{label}"), pattern.as_str())),
            (None, true) => Some((format!("ilike.{}", self.key), pattern.as_str())),
            (None, false) => return Vec::new(),
        };
        let order = quoted_if_needed(&self.key);
        let mut parameters = vec![
            ("limit", Some("20")),
            ("order", Some(order.as_str())),
            ("select", Some(select.as_str())),
            ("maxCellBytes", Some("200")),
        ];
        if let Some((name, value)) = &filter {
            parameters.push((name, Some(*value)));
        }
        let Ok(page) = remote::get::<serde_json::Value>(&table_path(project, table, "rows", &parameters)).await else {
            return Vec::new();
        };
        let plain = |value: Option<&serde_json::Value>| match value {
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(serde_json::Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        };
        let rows = page.get("rows").and_then(|rows| rows.as_array()).cloned().unwrap_or_default();
        let choice = |row: &serde_json::Value| Choice {
            key: plain(row.get(&self.key)),
            label: self.label.as_ref().map(|label| plain(row.get(label))).unwrap_or_default(),
        };
        rows.iter().map(choice).collect()
    }
}
