//! Shows a plan as a tree, with times if they were measured, and with estimated costs otherwise.

use std::rc::Rc;

use dioxus::prelude::*;

use super::{
    plan::{Node, Plan, exact_duration},
    schema::qualified,
    workspace::Workspace,
};
use crate::{
    text,
    ui::{Mark, Shape},
    value::identifier,
};

#[component]
pub(super) fn PlanView(workspace: Workspace, plan: Rc<Plan>, note: Option<String>) -> Element {
    let is_measured = plan.is_measured;
    rsx! {
        div { class: "sql-plan-pane", tabindex: "0", role: "group", "aria-label": "Plan of the statement",
            if let Some(note) = note {
                p { class: "sql-note", role: "status", "{note}" }
            }
            dl { class: "facts-inline sql-facts",
                for (index, (name, value)) in plan.facts().into_iter().enumerate() {
                    div { key: "{index}", dt { "{name}" } dd { "{value}" } }
                }
            }
            table { class: "plan", "aria-label": "Plan",
                thead {
                    tr {
                        th { "Node" }
                        if is_measured {
                            th { class: "num", "Rows" }
                        }
                        th { class: "num", "Estimated" }
                        if is_measured {
                            th { span { class: "sr", "Misestimate" } }
                            th { class: "num", "Own time" }
                            th { class: "num", "Total" }
                            th { class: "num", "Loops" }
                        } else {
                            th { class: "num", "Own cost" }
                            th { class: "num", "Total cost" }
                        }
                        th { "Share" }
                    }
                }
                tbody {
                    for (index, node) in plan.nodes.iter().enumerate() {
                        PlanRow {
                            key: "{index}",
                            node: node.clone(),
                            is_measured,
                            is_slowest: index == plan.slowest && plan.nodes.len() > 1 && node.share >= 0.2,
                        }
                    }
                }
            }
            if let Some(advice) = plan.advice.clone() {
                div { class: "section sql-advice",
                    div { class: "banner t-warning",
                        Mark { shape: Shape::Attention }
                        div { strong { "{advice.title}" } p { "{advice.text}" } }
                        span { class: "row sql-close-row",
                            button {
                                class: "btn btn-s",
                                r#type: "button",
                                onclick: {
                                    let advice = advice.clone();
                                    move |_| {
                                        let columns = columns_in(workspace, &advice.table, &advice.condition);
                                        let schema = advice.schema.as_deref().unwrap_or("public");
                                        let table = qualified(schema, &advice.table);
                                        workspace.open(None, &format!("create index on {table} ({columns});\n"), None);
                                    }
                                },
                                "Write index"
                            }
                            button {
                                class: "btn btn-ghost btn-s",
                                r#type: "button",
                                onclick: move |_| {
                                    let schema = advice.schema.as_deref().unwrap_or("public");
                                    let table = qualified(schema, &advice.table);
                                    workspace.open(None, &format!("analyze {table};\n"), None);
                                },
                                "Write ANALYZE"
                            }
                        }
                    }
                }
            }
        }
    }
}

#[component]
fn PlanRow(node: Node, is_measured: bool, is_slowest: bool) -> Element {
    let percent = node.share * 100.0;
    let number = |value: f64| text::number(value.round() as i64);
    rsx! {
        tr { class: if is_slowest { "slow" },
            td { title: "{node.kind} {node.details}",
                span { class: "tw", "aria-hidden": "true", "{node.branch}" }
                "{node.kind} "
                span { class: "muted sql-what", "{node.details}" }
            }
            if is_measured {
                td { class: "num", {node.rows.map(number).unwrap_or_default()} }
            }
            td { class: "num muted", "{number(node.estimated)}" }
            if is_measured {
                td {
                    if let Some(factor) = node.misestimate() {
                        span { class: "badge", Mark { shape: Shape::Attention } "{number(factor)}× off" }
                    }
                }
                td { class: "num", {node.own_ms.map(exact_duration).unwrap_or_default()} }
                td { class: "num muted", {node.total_ms.map(exact_duration).unwrap_or_default()} }
                td { class: "num muted", "{number(node.loops)}" }
            } else {
                td { class: "num", "{node.own_cost:.2}" }
                td { class: "num muted", "{node.cost:.2}" }
            }
            td {
                span { class: "share", "aria-hidden": "true", style: "--p: {percent:.0}%", i {} }
                span { class: "tab-nums muted", " {percent:.0} %" }
            }
        }
    }
}

/// Returns the table's columns that occur in a condition, comma-separated. Returns a placeholder if none is found.
fn columns_in(workspace: Workspace, table: &str, condition: &str) -> String {
    let words: Vec<&str> =
        condition.split(|character: char| !(character.is_alphanumeric() || character == '_')).collect();
    let names = match &*workspace.schema.peek() {
        Some(Ok(schema)) => {
            let tables = schema.schemas.iter().flat_map(|schema| &schema.tables).filter(|each| each.name == table);
            let columns =
                tables.flat_map(|table| &table.columns).filter(|column| words.contains(&column.name.as_str()));
            columns.map(|column| identifier(&column.name)).collect::<Vec<_>>()
        }
        _ => Vec::new(),
    };
    if names.is_empty() { "column_name".to_owned() } else { names.join(", ") }
}
