//! The toolbar above the rows: filters as chips, order, columns, insert.

use dioxus::prelude::*;

use super::{
    View,
    data::RowKey,
    filters::FilterDialog,
    orders::SortDialog,
    query::{self, Filter, RowQuery},
    sheet::open_new_row,
    transfer::TransferActs,
};
use crate::{
    address,
    pages::tables::view_as,
    ui::{Icon, IconName, Popover},
};

#[component]
pub(super) fn Toolbar(view: View) -> Element {
    let filters = address::use_parameters("where");
    let mut filtering = use_signal(|| false);
    let mut sorting = use_signal(|| false);
    let mut deleting = view.deleting;
    let selected = view.selected.read().len();
    let can_insert = view.detail.read().supports.insert;
    let order_count = RowQuery::current().orders().len();
    rsx! {
        div { class: "toolbar table-toolbar", role: "toolbar", "aria-label": "Rows of {view.table}",
            button {
                class: "btn btn-ghost",
                r#type: "button",
                "aria-haspopup": "dialog",
                onclick: move |_| filtering.set(true),
                Icon { name: IconName::Filter }
                "Filter"
                if !filters.is_empty() {
                    span { class: "tag", "aria-hidden": "true", "{filters.len()}" }
                }
            }
            button {
                class: "btn btn-ghost",
                r#type: "button",
                "aria-haspopup": "dialog",
                onclick: move |_| sorting.set(true),
                Icon { name: IconName::Sort }
                "Sort"
                if order_count > 0 {
                    span { class: "tag", "aria-hidden": "true", "{order_count}" }
                }
            }
            ColumnChoice { view }
            for (index, text) in filters.into_iter().enumerate() {
                Chip { key: "{index}-{text}", text, onedit: move |()| filtering.set(true), index }
            }
            span { class: "push row row-1",
                if selected > 0 {
                    button {
                        class: "btn btn-ghost",
                        r#type: "button",
                        onclick: move |_| {
                            let columns = query::key_columns(&view.detail.peek()).unwrap_or_default();
                            let key = |key: &String| RowKey::from_parameter(key, &columns);
                            deleting.set(view.selected.peek().iter().filter_map(key).collect());
                        },
                        Icon { name: IconName::Trash }
                        {if selected == 1 { "Delete 1 row".to_owned() } else { format!("Delete {selected} rows") }}
                    }
                }
                button {
                    // Phones hide this button, because the line under the rows also contains it.
                    class: "btn btn-ghost btn-icon only-wide",
                    r#type: "button",
                    "aria-label": "Refresh",
                    title: "Refresh",
                    onclick: move |_| view.refresh(),
                    Icon { name: IconName::Refresh }
                }
                // An export contains the rows that the owner can read.
                if view_as::viewer().is_none() {
                    TransferActs { view }
                }
                if can_insert {
                    button {
                        class: "btn",
                        r#type: "button",
                        "data-create": "true",
                        onclick: |_| open_new_row(),
                        Icon { name: IconName::Plus }
                        "Insert row"
                    }
                }
            }
        }
        if filtering() {
            FilterDialog { view, on_close: move |()| filtering.set(false) }
        }
        if sorting() {
            SortDialog { view, on_close: move |()| sorting.set(false) }
        }
    }
}

#[component]
fn Chip(text: String, index: usize, onedit: EventHandler<()>) -> Element {
    let filter = Filter::parse(&text);
    let words = filter.as_ref().map_or_else(|| text.clone(), Filter::words);
    rsx! {
        span { class: "chip chip-x",
            button {
                r#type: "button",
                class: "chip-edit",
                "aria-label": "Edit filter {words}",
                onclick: move |_| onedit.call(()),
                match filter {
                    Some(filter) => rsx! {
                        span { class: "mono", "{filter.column}" }
                        span { class: "what", "{filter.sign()}" }
                        span { class: "mono cut chip-value", "{filter.shown_value()}" }
                    },
                    None => rsx! { span { class: "mono cut chip-value", "{text}" } },
                }
            }
            button {
                r#type: "button",
                "aria-label": "Remove filter {words}",
                onclick: move |_| {
                    let mut filters = address::parameters("where");
                    if index < filters.len() {
                        filters.remove(index);
                    }
                    query::set_filters(filters);
                },
                Icon { name: IconName::Close, small: true }
            }
        }
    }
}

/// The choice of shown columns. All columns are shown if the address names none.
#[component]
fn ColumnChoice(view: View) -> Element {
    let shown = address::use_parameters("columns");
    let names: Vec<String> = view.detail.read().columns.iter().map(|column| column.name.clone()).collect();
    let all = names.clone();
    rsx! {
        Popover { name: "Columns", icon: IconName::Columns, label: "Columns", count: shown.len(),
            div { class: "options popover-list", role: "group", "aria-label": "Columns",
                for name in names {
                    label { key: "{name}", class: "check",
                        input {
                            class: "box",
                            r#type: "checkbox",
                            checked: shown.is_empty() || shown.contains(&name),
                            // At least one column stays shown.
                            disabled: shown == [name.as_str()],
                            onchange: {
                                let (name, all) = (name.clone(), all.clone());
                                move |event: FormEvent| {
                                    let mut shown = address::parameters("columns");
                                    if shown.is_empty() {
                                        shown.clone_from(&all);
                                    }
                                    if event.checked() {
                                        shown.push(name.clone());
                                    } else if shown.len() > 1 {
                                        shown.retain(|other| *other != name);
                                    }
                                    if all.iter().all(|name| shown.contains(name)) {
                                        shown.clear();
                                    }
                                    address::replace_parameters(&[("columns", shown)]);
                                }
                            },
                        }
                        span { class: "mono", "{name}" }
                    }
                }
            }
            button {
                class: "btn btn-s",
                r#type: "button",
                onclick: |_| address::replace_parameters(&[("columns", Vec::new())]),
                "Show all"
            }
        }
    }
}
