//! Shows a plan as a tree, with times if they were measured, and with estimated costs otherwise.

use std::rc::Rc;

use api_types::{SchemaObjects, SchemaTable};
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

/// The plan of the statement `sql`.
#[component]
pub(super) fn PlanView(workspace: Workspace, plan: Rc<Plan>, sql: String, note: Option<String>) -> Element {
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
                                    let (advice, sql) = (advice.clone(), sql.clone());
                                    move |_| {
                                        let Target { table, columns } = target(workspace, &advice, &sql);
                                        workspace.open(None, &format!("create index on {table} ({columns});\n"), None);
                                    }
                                },
                                "Write index"
                            }
                            button {
                                class: "btn btn-ghost btn-s",
                                r#type: "button",
                                onclick: move |_| {
                                    let Target { table, .. } = target(workspace, &advice, &sql);
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

/// What an advice is about, for use in SQL.
#[derive(Debug, PartialEq)]
struct Target {
    table: String,
    /// The columns in the condition, comma-separated. A placeholder if none is found.
    columns: String,
}

fn target(workspace: Workspace, advice: &Advice, sql: &str) -> Target {
    match &*workspace.schema.peek() {
        Some(Ok(schema)) => target_among(&schema.schemas, advice, sql),
        _ => target_among(&[], advice, sql),
    }
}

fn target_among(schemas: &[SchemaObjects], advice: &Advice, sql: &str) -> Target {
    let found = scanned_table(schemas, advice, sql);
    let schema = found.map(|(schema, _)| schema.name.as_str()).or(advice.schema.as_deref()).unwrap_or("public");
    let columns = found.map(|(_, table)| columns_in(table, &advice.condition)).filter(|columns| !columns.is_empty());
    Target { table: qualified(schema, &advice.table), columns: columns.unwrap_or_else(|| "column_name".to_owned()) }
}

/// Returns the table that an advice is about, with its schema.
///
/// A plan contains the schemas of tables only if it was made with `VERBOSE`. Otherwise, if several schemas have a table
/// of this name, this is the one that the statement names with its schema, or else that of `public`.
fn scanned_table<'a>(
    schemas: &'a [SchemaObjects],
    advice: &Advice,
    sql: &str,
) -> Option<(&'a SchemaObjects, &'a SchemaTable)> {
    let tables = schemas.iter().filter_map(|schema| {
        let table = schema.tables.iter().find(|table| table.name == advice.table)?;
        Some((schema, table))
    });
    tables.min_by_key(|(schema, table)| {
        let is_known = advice.schema.as_ref() == Some(&schema.name);
        (!is_known, !names(sql, &schema.name, &table.name), schema.name != "public")
    })
}

/// Returns whether a statement names a table with its schema. Quotes and case are ignored.
fn names(sql: &str, schema: &str, table: &str) -> bool {
    let sql = sql.replace('"', "").to_lowercase();
    let name = format!("{schema}.{table}").to_lowercase();
    let is_in_word = |character: char| character.is_alphanumeric() || character == '_';
    sql.match_indices(name.as_str()).any(|(start, found)| {
        let before = sql.get(..start).unwrap_or_default();
        let after = sql.get(start + found.len()..).unwrap_or_default();
        !before.ends_with(is_in_word) && !after.starts_with(is_in_word)
    })
}

/// Returns the table's columns that occur in a condition, comma-separated.
fn columns_in(table: &SchemaTable, condition: &str) -> String {
    let words: Vec<&str> =
        condition.split(|character: char| !(character.is_alphanumeric() || character == '_')).collect();
    let columns = table.columns.iter().filter(|column| words.contains(&column.name.as_str()));
    columns.map(|column| identifier(&column.name)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use api_types::{SchemaColumn, TableKind};

    use super::*;

    fn schema(name: &str, columns: &[&str]) -> SchemaObjects {
        let column = |name: &&str| SchemaColumn { name: (*name).to_owned(), data_type: "text".to_owned() };
        let table = SchemaTable {
            name: "items".to_owned(),
            kind: TableKind::Table,
            columns: columns.iter().map(column).collect(),
        };
        SchemaObjects { name: name.to_owned(), tables: vec![table], functions: Vec::new(), enums: Vec::new() }
    }

    #[test]
    fn advice_is_about_the_table_that_the_statement_names() {
        let schemas = [schema("public", &["id", "state"]), schema("Shop", &["id", "Owner"])];
        let advice = |condition: &str, schema: Option<&str>| Advice {
            title: String::new(),
            text: String::new(),
            table: "items".to_owned(),
            schema: schema.map(str::to_owned),
            condition: condition.to_owned(),
        };
        let of = |schemas: &[SchemaObjects], sql: &str, advice: Advice| {
            let Target { table, columns } = target_among(schemas, &advice, sql);
            format!("{table} ({columns})")
        };
        let owner = r#"("Owner" = 'x'::text)"#;
        for (sql, condition, expected) in [
            ("select * from items where state = 'x'", "(state = 'x'::text)", "items (state)"),
            (r#"select * from "Shop".items where "Owner" = 'x'"#, owner, r#""Shop".items ("Owner")"#),
            ("select * from workshop.items where state = 'x'", "(state = 'x'::text)", "items (state)"),
            ("select * from public.items where 1 = id % 2", "((id % 2) = 1)", "items (id)"),
        ] {
            assert_eq!(of(&schemas, sql, advice(condition, None)), expected, "{sql}");
        }
        let [_, shop] = &schemas;
        assert_eq!(of(std::slice::from_ref(shop), "select", advice(owner, None)), r#""Shop".items ("Owner")"#);
        assert_eq!(of(&schemas, "select", advice(owner, Some("Shop"))), r#""Shop".items ("Owner")"#);
        assert_eq!(of(&[], "select", advice(owner, None)), "items (column_name)");
    }
}
