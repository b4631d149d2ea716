//! The requests for one table, with values that fit its columns.

use api_types::{ApiCaller, ColumnDetail, TableDetail};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::callers;
use crate::{
    pages::tables::rows::query::{key_columns, write_order},
    value::{is_number, is_text, short_type},
};

/// The characters that are encoded in a part of an address.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Number of columns that the example of an insert sets at most, unless more columns need a value.
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
    /// The caller as which the code sends the request.
    pub(super) caller: ApiCaller,
    /// The member of the response that matters: `rows` or `count`.
    pub(super) result: &'static str,
}

/// Returns why the API has no address for a table of this name. `None` if it has one.
pub(super) fn missing_address(table: &str) -> Option<&'static str> {
    match table {
        "tables" => Some("The address /v1/db/tables lists the tables of the project."),
        "." | ".." => Some("HTTP clients read . and .. in a path as folders, and remove them."),
        _ => None,
    }
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
        let caller = callers::shown(detail, operation);
        let has_rows = match operation {
            Operation::Read | Operation::Update => true,
            Operation::Insert => callers::reads(detail, caller),
            Operation::Delete => false,
        };
        Call { name, operation, method, path, body, caller, result: if has_rows { "rows" } else { "count" } }
    };
    let is_key = |column: &ColumnDetail| key.contains(&column.name);
    let mut calls = vec![call("List rows", Operation::Read, "GET", list_query(detail, &key), None)];
    if !of_key.is_empty() {
        calls.push(call("Read one row by its key", Operation::Read, "GET", one_row.clone(), None));
    }
    if detail.supports.insert {
        let body = format!("{{\"rows\": [{}]}}", object(&inserted(detail)));
        // Postgres refuses to return a row that no policy lets the caller read.
        let is_returned = callers::reads(detail, callers::shown(detail, Operation::Insert));
        let query = if is_returned { String::new() } else { "returning=minimal".to_owned() };
        calls.push(call("Insert a row", Operation::Insert, "POST", query, Some(body)));
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
        let has_order = is_number(&column.data_type) || is_timestamp(&column.data_type);
        parts.push(filter(if has_order { "gte" } else { "eq" }, column));
    }
    if !order.is_empty() {
        parts.push(format!("order={}", encoded(&write_order(&order))));
    }
    parts.push("limit=10".to_owned());
    parts.join("&")
}

/// Returns the columns that the example of an insert sets: all that need a value, and some others without a default. If
/// there are none, the first one that the examples may set.
fn inserted(detail: &TableDetail) -> Vec<&ColumnDetail> {
    let settable = || detail.columns.iter().filter(|column| is_settable(column));
    let without_default = || settable().filter(|column| !column.has_default);
    let needed = without_default().filter(|column| !column.nullable).count();
    let others = without_default().filter(|column| column.nullable).take(MAX_INSERTED_COLUMNS.saturating_sub(needed));
    let others: Vec<&str> = others.map(|column| column.name.as_str()).collect();
    let is_shown = |column: &&ColumnDetail| !column.nullable || others.contains(&column.name.as_str());
    let shown: Vec<&ColumnDetail> = without_default().filter(is_shown).collect();
    if shown.is_empty() { settable().take(1).collect() } else { shown }
}

/// Returns whether the examples may set the column. Values of generated and identity columns come from the database.
fn is_settable(column: &ColumnDetail) -> bool {
    column.generated.is_none() && column.identity.is_none()
}

fn is_comparable(column: &ColumnDetail) -> bool {
    let data_type = &column.data_type;
    let is_simple = matches!(data_type.as_str(), "boolean" | "uuid" | "date");
    is_simple || is_number(data_type) || is_text(data_type) || is_timestamp(data_type)
}

fn is_timestamp(data_type: &str) -> bool {
    data_type.starts_with("timestamp") && !data_type.ends_with("[]")
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

/// Returns a valid value of the column's type, if the type is a common one. Otherwise returns `text`.
fn sample(column: &ColumnDetail) -> Value {
    if let Some(label) = column.enum_values.as_ref().and_then(|labels| labels.first()) {
        return Value::from(label.as_str());
    }
    let data_type = short_type(&column.data_type);
    if data_type.ends_with("[]") {
        return json!([]);
    }
    let (base, length) = data_type.split_once('(').unwrap_or((data_type.as_str(), ""));
    match base {
        "int2" | "int4" | "int8" | "oid" => json!(1),
        "money" => json!("9.99"),
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
        "varchar" | "char" => {
            let length = length.trim_end_matches(')').parse().unwrap_or(usize::MAX);
            Value::from("text".chars().take(length).collect::<String>())
        }
        _ => json!("text"),
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, data_type: &str, nullable: bool) -> Value {
        json!({"name": name, "type": data_type, "nullable": nullable, "hasDefault": false, "primaryKey": false})
    }

    /// Returns a table from which only the secret key can read, and into which the publishable key can insert.
    fn table(name: &str, columns: &[Value], key: &[&str]) -> TableDetail {
        let access = |caller: &str, select: &str, insert: &str| {
            json!({"caller": caller, "select": select, "insert": insert, "update": select, "delete": select,
                "policies": []})
        };
        serde_json::from_value(json!({
            "name": name, "kind": "table", "exposure": {"publishable": "write", "signedIn": "none"},
            "access": [access("secretKey", "all", "all"), access("publishable", "none", "policies")],
            "rowLevelSecurity": true, "forceRowLevelSecurity": false,
            "supports": {"insert": true, "update": true, "delete": true}, "totalBytes": 0, "indexBytes": 0,
            "columns": columns, "primaryKey": key, "uniqueKeys": [], "constraints": [], "foreignKeys": [],
            "referencedBy": [], "indexes": [], "triggers": [], "policies": [], "definition": "",
        }))
        .unwrap()
    }

    #[test]
    fn names_are_encoded_and_composite_keys_are_complete() {
        let columns = [column("a", "integer", false), column("b c", "text", false), column("it's", "text", true)];
        let calls = calls(&table("x/y \"q\"", &columns, &["a", "b c"]));
        let paths: Vec<&str> = calls.iter().map(|call| call.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "/v1/db/x%2Fy%20%22q%22?eq.it%27s=text&order=a%2C%22b%20c%22&limit=10",
                "/v1/db/x%2Fy%20%22q%22?eq.a=1&eq.b%20c=text",
                "/v1/db/x%2Fy%20%22q%22?returning=minimal",
                "/v1/db/x%2Fy%20%22q%22?eq.a=1&eq.b%20c=text",
                "/v1/db/x%2Fy%20%22q%22?eq.a=1&eq.b%20c=text",
            ]
        );
    }

    #[test]
    fn caller_that_may_not_read_inserts_without_reading_and_changes_nothing() {
        let calls = calls(&table("notes", &[column("id", "integer", false), column("v", "text", true)], &["id"]));
        let found: Vec<_> = calls.iter().map(|call| (call.operation, call.caller, call.result)).collect();
        let secret_key = ApiCaller::SecretKey;
        assert_eq!(
            found,
            [
                (Operation::Read, secret_key, "rows"),
                (Operation::Read, secret_key, "rows"),
                (Operation::Insert, ApiCaller::Publishable, "count"),
                (Operation::Update, secret_key, "rows"),
                (Operation::Delete, secret_key, "count"),
            ]
        );
    }

    #[test]
    fn insert_sets_every_column_that_needs_a_value() {
        let optional = (0..9).map(|index| column(&format!("o{index}"), "text", true));
        let needed = (0..4).map(|index| column(&format!("n{index}"), "varchar(2)", false));
        let detail = table("wide", &optional.chain(needed).collect::<Vec<_>>(), &[]);
        let names: Vec<&str> = inserted(&detail).iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["o0", "o1", "n0", "n1", "n2", "n3"]);
    }

    #[test]
    fn samples_fit_their_types() {
        for (data_type, expected) in [
            ("character varying(2)", json!("te")),
            ("character varying", json!("text")),
            ("money", json!("9.99")),
            ("timestamp with time zone[]", json!([])),
        ] {
            let column: ColumnDetail = serde_json::from_value(column("v", data_type, true)).unwrap();
            assert_eq!(sample(&column), expected, "{data_type}");
            assert_eq!(is_comparable(&column), !data_type.ends_with("[]"), "{data_type}");
        }
    }
}
