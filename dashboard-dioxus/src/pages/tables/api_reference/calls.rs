//! The requests for one table, with values that fit its columns.

use api_types::{ColumnDetail, TableDetail};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::{
    pages::tables::rows::query::{key_columns, write_order},
    value::{is_document, is_number, is_text, short_type},
};

/// The characters that are encoded in a part of an address.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Maximum number of columns that the example of an insert sets.
const MAX_INSERTED_COLUMNS: usize = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Read,
    Insert,
    Update,
    Delete,
}

/// A request.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    pub(super) name: &'static str,
    pub(super) operation: Operation,
    pub(super) method: &'static str,
    /// Path and query, encoded.
    pub(super) path: String,
    /// The body as JSON.
    pub(super) body: Option<String>,
}

/// Returns the requests that the table supports. Requests for one row need a key.
pub(super) fn calls(detail: &TableDetail) -> Vec<Call> {
    let path = format!("/v1/db/{}", encoded(&detail.name));
    let key = key_columns(detail).unwrap_or_default();
    let of_key: Vec<&ColumnDetail> =
        key.iter().filter_map(|name| detail.columns.iter().find(|column| column.name == *name)).collect();
    let one_row = of_key.iter().map(|column| filter("eq", column)).collect::<Vec<_>>().join("&");
    let call = |name, operation, method, query: String, body| {
        let path = if query.is_empty() { path.clone() } else { format!("{path}?{query}") };
        Call { name, operation, method, path, body }
    };
    let is_key = |column: &ColumnDetail| key.contains(&column.name);
    let mut calls = vec![call("List rows", Operation::Read, "GET", list_query(detail, &key), None)];
    if !of_key.is_empty() {
        calls.push(call("Read one row by its key", Operation::Read, "GET", one_row.clone(), None));
    }
    if detail.supports.insert {
        let body = format!("{{\"rows\": [{}]}}", object(&inserted(detail)));
        calls.push(call("Insert a row", Operation::Insert, "POST", String::new(), Some(body)));
    }
    let changed = detail.columns.iter().find(|column| is_settable(column) && !is_key(column));
    if let (false, true, Some(changed)) = (of_key.is_empty(), detail.supports.update, changed) {
        let body = format!("{{\"values\": {}}}", object(&[changed]));
        calls.push(call("Update a row", Operation::Update, "PATCH", one_row.clone(), Some(body)));
    }
    if !of_key.is_empty() && detail.supports.delete {
        calls.push(call("Delete a row", Operation::Delete, "DELETE", one_row, None));
    }
    calls
}

/// Returns a query with a filter, an order and a limit.
fn list_query(detail: &TableDetail, key: &[String]) -> String {
    let comparable = || detail.columns.iter().filter(|column| is_comparable(column));
    let filtered = comparable().find(|column| !key.contains(&column.name)).or_else(|| comparable().next());
    let order = match (key, filtered) {
        ([], Some(column)) => vec![(column.name.clone(), false)],
        (key, _) => key.iter().map(|name| (name.clone(), false)).collect(),
    };
    let mut parts = Vec::new();
    if let Some(column) = filtered {
        let has_order = is_number(&column.data_type) || short_type(&column.data_type).starts_with("timestamp");
        parts.push(filter(if has_order { "gte" } else { "eq" }, column));
    }
    if !order.is_empty() {
        parts.push(format!("order={}", encoded(&write_order(&order))));
    }
    parts.push("limit=10".to_owned());
    parts.join("&")
}

/// Returns the columns that the example of an insert sets: those without a default, or else the first one that can be
/// set.
fn inserted(detail: &TableDetail) -> Vec<&ColumnDetail> {
    let settable = || detail.columns.iter().filter(|column| is_settable(column));
    let needed: Vec<&ColumnDetail> =
        settable().filter(|column| !column.has_default).take(MAX_INSERTED_COLUMNS).collect();
    if needed.is_empty() { settable().take(1).collect() } else { needed }
}

/// Returns whether a request may set the column. Values of identity columns come from the database.
fn is_settable(column: &ColumnDetail) -> bool {
    column.generated.is_none() && column.identity.is_none()
}

fn is_comparable(column: &ColumnDetail) -> bool {
    let data_type = &column.data_type;
    let is_simple = is_number(data_type) || is_text(data_type) || data_type == "boolean" || data_type == "uuid";
    (is_simple || short_type(data_type).starts_with("timestamp") || data_type == "date") && !is_document(data_type)
}

fn filter(operator: &str, column: &ColumnDetail) -> String {
    let value = match sample(column) {
        Value::String(text) => text,
        other => other.to_string(),
    };
    format!("{operator}.{}={}", encoded(&column.name), encoded(&value))
}

/// Returns a JSON object with a value for each column, in their order.
fn object(columns: &[&ColumnDetail]) -> String {
    let member = |column: &&ColumnDetail| format!("{}: {}", Value::from(column.name.as_str()), sample(column));
    format!("{{{}}}", columns.iter().map(member).collect::<Vec<_>>().join(", "))
}

/// Returns a valid value of the column's type, if the type is a common one.
fn sample(column: &ColumnDetail) -> Value {
    if let Some(label) = column.enum_values.as_ref().and_then(|labels| labels.first()) {
        return Value::from(label.as_str());
    }
    let data_type = short_type(&column.data_type);
    if data_type.ends_with("[]") {
        return json!([]);
    }
    match data_type.split('(').next().unwrap_or_default() {
        "int2" | "int4" | "int8" => json!(1),
        "numeric" | "float4" | "float8" => json!(9.99),
        "bool" => json!(true),
        "json" | "jsonb" => json!({}),
        "uuid" => json!("00000000-0000-4000-8000-000000000000"),
        "date" => json!("2024-12-31"),
        "timestamp" | "timestamptz" => json!("2024-12-31T18:30:00Z"),
        "time" | "timetz" => json!("18:30:00"),
        "interval" => json!("1 day"),
        "inet" | "cidr" => json!("192.0.2.1"),
        "bytea" => json!("\\x00"),
        _ => json!("text"),
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}
