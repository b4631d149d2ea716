//! The dialog "Sort": the columns that rows are ordered by.

use dioxus::prelude::*;

use super::{
    View,
    query::{RowQuery, write_order},
};
use crate::{
    address,
    ui::{Dialog, Icon, IconName},
};

#[component]
pub(super) fn SortDialog(view: View, on_close: EventHandler<()>) -> Element {
    let columns: Vec<String> =
        use_hook(|| view.detail.peek().columns.iter().map(|column| column.name.clone()).collect());
    let first = columns.first().cloned().unwrap_or_default();
    let mut orders = use_signal(|| {
        let orders = RowQuery::current().orders();
        if orders.is_empty() { vec![(first.clone(), false)] } else { orders }
    });
    rsx! {
        Dialog {
            title: "Sort",
            on_close: move |()| on_close.call(()),
            footer: rsx! {
                button { class: "btn btn-l", r#type: "button", onclick: move |_| on_close.call(()), "Cancel" }
                button { class: "btn btn-primary btn-l", r#type: "submit", form: "orders", "Apply sort" }
            },
            form {
                id: "orders",
                class: "stack stack-3",
                onsubmit: move |event| {
                    event.prevent_default();
                    let order = write_order(&orders.peek());
                    let order = if order.is_empty() { Vec::new() } else { vec![order] };
                    address::replace_parameters(&[("order", order), ("after", Vec::new()), ("offset", Vec::new())]);
                    on_close.call(());
                },
                for (position, (column, descending)) in orders().into_iter().enumerate() {
                    div { key: "{position}", class: "row condition",
                        select {
                            class: "input",
                            "aria-label": "Column",
                            onchange: move |event| {
                                if let Some(order) = orders.write().get_mut(position) {
                                    order.0 = event.value();
                                }
                            },
                            for name in columns.clone() {
                                option { key: "{name}", value: "{name}", selected: name == column, "{name}" }
                            }
                        }
                        select {
                            class: "input",
                            "aria-label": "Direction",
                            onchange: move |event| {
                                if let Some(order) = orders.write().get_mut(position) {
                                    order.1 = event.value() == "desc";
                                }
                            },
                            option { value: "asc", selected: !descending, "Ascending" }
                            option { value: "desc", selected: descending, "Descending" }
                        }
                        button {
                            class: "btn btn-ghost btn-icon",
                            r#type: "button",
                            "aria-label": "Remove column {position + 1}",
                            onclick: move |_| {
                                orders.write().remove(position);
                            },
                            Icon { name: IconName::Close }
                        }
                    }
                }
                div { class: "row",
                    button {
                        class: "btn btn-s",
                        r#type: "button",
                        onclick: move |_| orders.write().push((first.clone(), false)),
                        Icon { name: IconName::Plus }
                        "Add column"
                    }
                }
            }
        }
    }
}
