//! The dialog "Filter": conditions on columns, and recent filters.

use api_types::ColumnDetail;
use dioxus::prelude::*;

use super::{
    View,
    query::{self, Filter, OPERATORS, operators_for},
};
use crate::{
    address,
    ui::{Dialog, Icon, IconName},
    value::is_text,
};

/// Maximum number of recent filters per table.
const MAX_RECENT_FILTERS: usize = 8;

#[component]
pub(super) fn FilterDialog(view: View, on_close: EventHandler<()>) -> Element {
    let columns = use_hook(|| view.detail.peek().columns.clone());
    let first = columns.first().map(|column| column.name.clone()).unwrap_or_default();
    // Conditions that this dialog can't show stay as they are.
    let mut kept = use_signal(Vec::<String>::new);
    let mut conditions = use_signal(|| {
        let mut conditions = Vec::new();
        for text in address::parameters("where") {
            match Filter::parse(&text) {
                Some(filter) => conditions.push(Draft { filter, is_touched: true }),
                None => kept.write().push(text),
            }
        }
        if conditions.is_empty() {
            conditions.push(Draft::new(&first));
        }
        conditions
    });
    let mut applied = view.applied;
    let mut apply = {
        let columns = columns.clone();
        move || {
            let conditions = conditions.peek();
            let complete = conditions.iter().filter(|draft| draft.is_complete(&columns));
            let filters: Vec<String> =
                kept.peek().iter().cloned().chain(complete.map(|draft| draft.filter.write())).collect();
            applied.set(filters.clone());
            query::set_filters(filters);
            on_close.call(());
        }
    };
    let recent = use_hook(|| recent(&view.filters_name()));
    rsx! {
        Dialog {
            title: "Filter",
            wide: true,
            on_close: move |()| on_close.call(()),
            footer: rsx! {
                button { class: "btn btn-l", r#type: "button", onclick: move |_| on_close.call(()), "Cancel" }
                button { class: "btn btn-primary btn-l", r#type: "submit", form: "filters", "Apply filters" }
            },
            form {
                id: "filters",
                class: "stack stack-3",
                onsubmit: move |event| {
                    event.prevent_default();
                    apply();
                },
                for (position, draft) in conditions().into_iter().enumerate() {
                    Condition { key: "{position}", columns: columns.clone(), position, draft, conditions }
                }
                div { class: "row",
                    button {
                        class: "btn btn-s",
                        r#type: "button",
                        onclick: move |_| {
                            conditions.write().push(Draft::new(&first));
                        },
                        Icon { name: IconName::Plus }
                        "Add condition"
                    }
                }
            }
            if !recent.is_empty() {
                section { class: "stack stack-1", "aria-label": "Recent filters",
                    h3 { class: "label muted", "Recent filters" }
                    div { class: "rows",
                        for filters in recent {
                            button {
                                key: "{filters:?}",
                                r#type: "button",
                                onclick: {
                                    let filters = filters.clone();
                                    move |_| {
                                        applied.set(filters.clone());
                                        query::set_filters(filters.clone());
                                        on_close.call(());
                                    }
                                },
                                span { class: "cut mono", {words(&filters)} }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[component]
fn Condition(columns: Vec<ColumnDetail>, position: usize, draft: Draft, conditions: Signal<Vec<Draft>>) -> Element {
    let mut conditions = conditions;
    let mut change = move |act: &dyn Fn(&mut Draft)| {
        if let Some(draft) = conditions.write().get_mut(position) {
            act(draft);
        }
    };
    let filter = draft.filter;
    let about = columns.iter().find(|column| column.name == filter.column).cloned();
    let data_type = about.as_ref().map_or("text", |column| column.data_type.as_str()).to_owned();
    let operators = operators_for(&data_type);
    let choices = choices(&filter.operator, about.as_ref());
    rsx! {
        div { class: "row condition",
            select {
                class: "input",
                "aria-label": "Column",
                onchange: move |event| {
                    let name = event.value();
                    change(&|draft| *draft = Draft::new(&name));
                },
                // The column of an old filter may have been renamed.
                if about.is_none() {
                    option { value: "{filter.column}", selected: true, "{filter.column}" }
                }
                for column in columns {
                    option {
                        key: "{column.name}",
                        value: "{column.name}",
                        selected: column.name == filter.column,
                        "{column.name}"
                    }
                }
            }
            select {
                class: "input",
                "aria-label": "Operator",
                onchange: move |event| {
                    let name = event.value();
                    change(&|draft| draft.choose_operator(&name));
                },
                for (name, _, words) in OPERATORS {
                    // The address may contain an operator that the dialog does not offer for the type.
                    if operators.contains(&name) || name == filter.operator {
                        option { key: "{name}", value: "{name}", selected: name == filter.operator, "{words}" }
                    }
                }
            }
            match choices {
                Some(choices) => rsx! {
                    select {
                        class: "input",
                        "aria-label": "Value",
                        onchange: move |event| {
                            let value = event.value();
                            change(&|draft| draft.give(&value));
                        },
                        if !choices.contains(&filter.value) {
                            option { value: "{filter.value}", selected: true, "{filter.value}" }
                        }
                        for choice in choices {
                            option { key: "{choice}", value: "{choice}", selected: choice == filter.value,
                                if choice == "null" { "NULL" } else { "{choice}" }
                            }
                        }
                    }
                },
                None => rsx! {
                    input {
                        class: "input mono",
                        "aria-label": "Value",
                        autocomplete: "off",
                        spellcheck: "false",
                        autofocus: true,
                        value: "{filter.value}",
                        oninput: move |event| {
                            let value = event.value();
                            change(&|draft| draft.give(&value));
                        },
                    }
                },
            }
            button {
                class: "btn btn-ghost btn-icon",
                r#type: "button",
                "aria-label": "Remove condition {position + 1}",
                onclick: move |_| {
                    conditions.write().remove(position);
                },
                Icon { name: IconName::Close }
            }
        }
    }
}

/// Returns filters as one line of text: `price ≥ 10 and stock = 0`.
fn words(filters: &[String]) -> String {
    let words = |text: &String| Filter::parse(text).map_or_else(|| text.clone(), |filter| filter.words());
    filters.iter().map(words).collect::<Vec<_>>().join(" and ")
}

/// Returns the values to choose from, for booleans, enums and `is`.
fn choices(operator: &str, column: Option<&ColumnDetail>) -> Option<Vec<String>> {
    let column = column?;
    let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
    match operator {
        "is" | "not.is" if column.data_type == "boolean" => words(&["null", "true", "false"]),
        "is" | "not.is" => words(&["null"]),
        "eq" | "neq" if column.data_type == "boolean" => words(&["true", "false"]),
        "eq" | "neq" => column.enum_values.clone(),
        _ => None,
    }
}

/// A condition in the dialog.
#[derive(Debug, Clone, PartialEq)]
struct Draft {
    filter: Filter,
    /// Whether the owner has given a value, which may be the empty text.
    is_touched: bool,
}

impl Draft {
    /// Returns a condition without a value.
    fn new(column: &str) -> Self {
        let filter = Filter { operator: "eq".to_owned(), column: column.to_owned(), value: String::new() };
        Self { filter, is_touched: false }
    }

    fn give(&mut self, value: &str) {
        value.clone_into(&mut self.filter.value);
        self.is_touched = true;
    }

    /// Changes the operator. Also changes the value if the old or the new operator is `is` or `not.is`, which have
    /// their own values.
    fn choose_operator(&mut self, name: &str) {
        let had_word = compares_with_word(&self.filter.operator);
        name.clone_into(&mut self.filter.operator);
        if compares_with_word(name) {
            self.give("null");
        } else if had_word {
            self.filter.value.clear();
            self.is_touched = false;
        }
    }

    /// Returns whether the condition can be applied. Only text can be compared with the empty text.
    fn is_complete(&self, columns: &[ColumnDetail]) -> bool {
        let column = columns.iter().find(|column| column.name == self.filter.column);
        let can_be_empty = column.is_none_or(|column| is_text(&column.data_type));
        self.is_touched && (can_be_empty || !self.filter.value.is_empty())
    }
}

/// Returns whether an operator compares with `NULL`, `true` or `false`.
fn compares_with_word(operator: &str) -> bool {
    matches!(operator, "is" | "not.is")
}

fn storage() -> Option<web_sys::Storage> {
    web_sys::window()?.local_storage().ok().flatten()
}

fn recent(table: &str) -> Vec<Vec<String>> {
    let text = storage().and_then(|storage| storage.get_item(&format!("atlashub.filters.{table}")).ok().flatten());
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

/// Adds filters to the recent ones of a table.
pub(super) fn remember(table: &str, filters: &[String]) {
    if filters.is_empty() {
        return;
    }
    let mut all = recent(table);
    all.retain(|other| other != filters);
    all.insert(0, filters.to_vec());
    all.truncate(MAX_RECENT_FILTERS);
    if let (Some(storage), Ok(text)) = (storage(), serde_json::to_string(&all)) {
        let _ = storage.set_item(&format!("atlashub.filters.{table}"), &text);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::fixtures::column, *};

    #[test]
    fn only_conditions_with_a_value_are_applied() {
        let columns = [column("id", "bigint"), column("title", "text")];
        let is_complete = |draft: &Draft| draft.is_complete(&columns);
        let (mut id, mut title) = (Draft::new("id"), Draft::new("title"));
        assert!(!is_complete(&id) && !is_complete(&title), "untouched");
        id.give("");
        title.give("");
        assert!(!is_complete(&id), "a number is never empty");
        assert!(is_complete(&title), "the empty text");
        id.choose_operator("is");
        assert!(is_complete(&id) && id.filter.value == "null");
        id.choose_operator("eq");
        assert!(!is_complete(&id), "the word is no number");
        id.give("0");
        assert!(is_complete(&id));
    }
}
