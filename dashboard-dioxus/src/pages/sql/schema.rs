//! Names in the project's schema, for completion and the tree.

use api_types::{DatabaseSchema, SchemaObjects, SchemaTable, TableKind};
use serde_json::{Value, json};

use crate::value::{identifier, short_type};

/// Returns the names that completion suggests, as JSON for `web/sql/completion.js`.
pub(super) fn for_completion(schema: &DatabaseSchema) -> String {
    let tables: Vec<Value> =
        schema.schemas.iter().flat_map(|each| each.tables.iter().map(|table| completion_of(each, table))).collect();
    let functions = schema.schemas.iter().flat_map(|each| {
        each.functions.iter().map(|function| {
            json!({
                "schema": each.name, "name": function.name, "insert": qualified(&each.name, &function.name),
                "arguments": function.arguments, "returns": function.returns,
            })
        })
    });
    let functions: Vec<Value> = functions.collect();
    let types = schema.schemas.iter().flat_map(|each| {
        each.enums.iter().map(|kind| json!({ "name": kind.name, "insert": qualified(&each.name, &kind.name) }))
    });
    let types: Vec<Value> = types.collect();
    json!({ "tables": tables, "functions": functions, "types": types }).to_string()
}

fn completion_of(schema: &SchemaObjects, table: &SchemaTable) -> Value {
    let columns: Vec<Value> = table
        .columns
        .iter()
        .map(|column| {
            let insert = identifier(&column.name);
            json!({ "name": column.name, "insert": insert, "type": short_type(&column.data_type) })
        })
        .collect();
    json!({
        "schema": schema.name, "name": table.name, "insert": qualified(&schema.name, &table.name),
        "insertBare": identifier(&table.name), "kind": kind_name(table.kind), "columns": columns,
    })
}

pub(super) fn kind_name(kind: TableKind) -> &'static str {
    match kind {
        TableKind::View => "view",
        TableKind::MaterializedView => "materialized view",
        TableKind::ForeignTable => "foreign table",
        _ => "table",
    }
}

/// Returns the name of an object for use in SQL. Objects in `public` need no schema.
pub(super) fn qualified(schema: &str, name: &str) -> String {
    if schema == "public" { identifier(name) } else { format!("{}.{}", identifier(schema), identifier(name)) }
}
