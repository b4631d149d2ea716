//! Shows a plan as a tree, with times if they were measured, and with estimated costs otherwise.

use std::rc::Rc;

use api_types::{DatabaseSchema, SchemaTable};
use dioxus::prelude::*;

use super::{
    plan::{Advice, Node, Plan, exact_duration},
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
                                        let statement = create_index(schema_of(workspace).as_deref(), &advice);
                                        workspace.open(None, &statement, None);
                                    }
                                },
                                "Write index"
                            }
                            button {
                                class: "btn btn-ghost btn-s",
                                r#type: "button",
                                onclick: move |_| {
                                    let statement = analyze(schema_of(workspace).as_deref(), &advice);
                                    workspace.open(None, &statement, None);
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

/// Returns the names in the project's database, if they are loaded.
fn schema_of(workspace: Workspace) -> Option<Rc<DatabaseSchema>> {
    match &*workspace.schema.peek() {
        Some(Ok(schema)) => Some(Rc::clone(schema)),
        _ => None,
    }
}

/// Finds the table of an advice. Returns it with the name of its schema. Only a plan with `VERBOSE` names the schema.
/// For other plans, returns the first table with the name; the tables of `public` come first.
fn table_of<'s>(schema: Option<&'s DatabaseSchema>, advice: &Advice) -> Option<(&'s str, &'s SchemaTable)> {
    let schemas = schema.map(|schema| schema.schemas.as_slice()).unwrap_or_default();
    let mut possible = schemas.iter().filter(|each| advice.schema.as_ref().is_none_or(|schema| *schema == each.name));
    possible.find_map(|each| {
        let table = each.tables.iter().find(|table| table.name == advice.table)?;
        Some((each.name.as_str(), table))
    })
}

/// Returns the name of an advice's table for use in SQL.
fn qualified_table(schema: Option<&DatabaseSchema>, advice: &Advice) -> String {
    let found = table_of(schema, advice).map(|(schema, _)| schema);
    qualified(advice.schema.as_deref().or(found).unwrap_or("public"), &advice.table)
}

fn analyze(schema: Option<&DatabaseSchema>, advice: &Advice) -> String {
    format!("analyze {};\n", qualified_table(schema, advice))
}

/// Returns a statement that creates an index on the columns of an advice's condition. It contains a placeholder if none
/// is found.
fn create_index(schema: Option<&DatabaseSchema>, advice: &Advice) -> String {
    let is_word_end = |character: char| !(character.is_alphanumeric() || character == '_');
    let words: Vec<&str> = advice.condition.split(is_word_end).collect();
    let columns = table_of(schema, advice).map(|(_, table)| table.columns.as_slice()).unwrap_or_default();
    let names = columns.iter().filter(|column| words.contains(&column.name.as_str()));
    let names: Vec<String> = names.map(|column| identifier(&column.name)).collect();
    let names = if names.is_empty() { "column_name".to_owned() } else { names.join(", ") };
    format!("create index on {} ({names});\n", qualified_table(schema, advice))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn database() -> DatabaseSchema {
        let schema = |name: &str, tables: &[(&str, &str)]| {
            let tables = tables.iter().map(|(table, column)| {
                let columns = json!([{ "name": "id", "type": "int8" }, { "name": column, "type": "text" }]);
                json!({ "name": table, "kind": "table", "columns": columns })
            });
            json!({ "name": name, "tables": tables.collect::<Vec<_>>(), "functions": [], "enums": [] })
        };
        let schemas =
            [schema("public", &[("loans", "reader")]), schema("old", &[("loans", "borrower"), ("fines", "amount")])];
        serde_json::from_value(json!({ "schemas": schemas })).expect("a schema")
    }

    fn advice(schema: Option<&str>, table: &str, condition: &str) -> Advice {
        Advice {
            title: String::new(),
            text: String::new(),
            table: table.to_owned(),
            schema: schema.map(str::to_owned),
            condition: condition.to_owned(),
        }
    }

    #[test]
    fn index_has_the_columns_of_the_table_in_its_schema() {
        let database = database();
        let condition = "((reader = 'a'::text) OR (borrower = 'a'::text))";
        for (schema, table, expected) in [
            (Some("old"), "loans", "create index on old.loans (borrower);\n"),
            (Some("public"), "loans", "create index on loans (reader);\n"),
            (None, "loans", "create index on loans (reader);\n"),
            (None, "fines", "create index on old.fines (column_name);\n"),
            (None, "unknown", "create index on unknown (column_name);\n"),
        ] {
            let advice = advice(schema, table, condition);
            assert_eq!(create_index(Some(&database), &advice), expected, "{schema:?}");
        }
        assert_eq!(analyze(Some(&database), &advice(None, "fines", "")), "analyze old.fines;\n");
        assert_eq!(analyze(None, &advice(Some("old"), "loans", "")), "analyze old.loans;\n");
    }
}
