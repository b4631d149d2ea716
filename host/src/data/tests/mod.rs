//! Requests against a fixed schema: from the query string to SQL, without a database.

mod exports;
mod hostile;
mod reads;
mod writes;

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::{
    DataLimits,
    plan::{plan_delete, plan_export, plan_insert, plan_read, plan_update},
    render::{render_delete, render_export, render_insert, render_read, render_update},
    request::{DeleteRequest, ExportRequest, InsertRequest, ReadRequest, RowSelection, UpdateRequest},
    schema::{Schema, from_catalogue_json},
};
use crate::{db::Statement, error::ApiError};

/// Types of the fixture: oid, qualified name, built-in name, kind, category, element or subtype, range.
const TYPES: &[(u32, &str, &str, char, char, u32, u32)] = &[
    (16, "pg_catalog.bool", "bool", 'b', 'B', 0, 0),
    (20, "pg_catalog.int8", "int8", 'b', 'N', 0, 0),
    (23, "pg_catalog.int4", "int4", 'b', 'N', 0, 0),
    (25, "pg_catalog.text", "text", 'b', 'S', 0, 0),
    (114, "pg_catalog.json", "json", 'b', 'U', 0, 0),
    (600, "pg_catalog.point", "point", 'b', 'G', 0, 0),
    (603, "pg_catalog.box", "box", 'b', 'G', 0, 0),
    (1009, "pg_catalog._text", "_text", 'b', 'A', 25, 0),
    (1042, "pg_catalog.bpchar", "bpchar", 'b', 'S', 0, 0),
    (1184, "pg_catalog.timestamptz", "timestamptz", 'b', 'D', 0, 0),
    (1700, "pg_catalog.\"numeric\"", "numeric", 'b', 'N', 0, 0),
    (3614, "pg_catalog.tsvector", "tsvector", 'b', 'U', 0, 0),
    (3802, "pg_catalog.jsonb", "jsonb", 'b', 'U', 0, 0),
    (3904, "pg_catalog.int4range", "int4range", 'r', 'R', 23, 3904),
    (9000, "public.mood", "", 'e', 'E', 0, 0),
    (9001, "extensions.citext", "", 'b', 'S', 0, 0),
];

/// Name, oid of the type, declared type, flags.
type ColumnLine = (&'static str, u32, &'static str, &'static str);

/// Name, kind and columns of each table. Flags of a column: `!` not null, `d` default, `a` always-generated identity,
/// `g` generated, `-` not readable, `r` read-only.
const TABLES: &[(&str, char, &[ColumnLine])] = &[
    ("authors", 'r', &[("id", 20, "bigint", "!a"), ("name", 25, "text", "!"), ("boss_id", 20, "bigint", "")]),
    (
        "books",
        'r',
        &[
            ("id", 20, "bigint", "!d"),
            ("author_id", 20, "bigint", "!"),
            ("editor_id", 20, "bigint", ""),
            ("title", 25, "text", "!"),
            ("price", 1700, "numeric(10,2)", ""),
            ("tags", 1009, "text[]", ""),
            ("details", 3802, "jsonb", ""),
            ("raw", 114, "json", ""),
            ("pages", 3904, "int4range", ""),
            ("active", 16, "boolean", ""),
            ("created_at", 1184, "timestamp with time zone", "!d"),
            ("code", 1042, "character(5)", ""),
            ("mood", 9000, "mood", ""),
            ("place", 600, "point", ""),
            ("words", 3614, "tsvector", "g"),
        ],
    ),
    ("odd \"table", 'r', &[("select", 25, "text", "!"), ("a\"b", 23, "integer", ""), ("r", 23, "integer", "")]),
    ("secrets", 'r', &[("id", 20, "bigint", "!-"), ("note", 25, "text", "-")]),
    ("cities", 'r', &[("country", 25, "text", "!"), ("name", 25, "text", "!"), ("rank", 23, "integer", "")]),
    ("streets", 'r', &[("id", 20, "bigint", "!"), ("country", 25, "text", ""), ("city", 25, "text", "")]),
    ("profiles", 'r', &[("author_id", 20, "bigint", "!"), ("bio", 25, "text", "")]),
    ("titles", 'v', &[("title", 25, "text", "r")]),
    ("users", 'r', &[("email", 9001, "extensions.citext", "!"), ("country", 25, "text", "!")]),
    ("empty", 'r', &[]),
    ("rooms", 'r', &[("area", 603, "box", "")]),
    ("lefts", 'r', &[("id", 20, "bigint", "!"), ("pair_id", 20, "bigint", "")]),
    ("rights", 'r', &[("id", 20, "bigint", "!"), ("pair_id", 20, "bigint", "")]),
];

pub(super) fn schema() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(build_schema);
    &SCHEMA
}

fn build_schema() -> Schema {
    let types: Vec<Value> = TYPES
        .iter()
        .map(|(oid, name, builtin, kind, category, part, range)| {
            json!({ "oid": oid, "name": name, "builtin": builtin, "jsonCast": false, "textCast": false,
                "ordered": true, "operators": operators(name), "attributes": [], "kind": kind, "category": category,
                "base": 0, "notNull": false, "hasDefault": false,
                "element": if *category == 'A' { *part } else { 0 }, "range": range,
                "subtype": if *kind == 'r' { *part } else { 0 } })
        })
        .collect();
    let mut tables = Vec::new();
    let mut columns = Vec::new();
    for (table, (name, kind, table_columns)) in TABLES.iter().enumerate() {
        let writes = if *kind == 'v' { 0 } else { 28 };
        tables.push(json!({ "oid": table, "name": name, "kind": kind, "writes": writes,
            "select": table_columns.is_empty(), "insert": false, "update": false, "delete": true,
            "readsRunCode": false, "writesRunCode": false }));
        for (number, (name, type_oid, data_type, flags)) in table_columns.iter().enumerate() {
            let has_flag = |flag: char| flags.contains(flag);
            columns.push(
                json!({ "table": table, "number": number + 1, "name": name, "type": type_oid, "dataType": data_type,
                "notNull": has_flag('!'), "hasDefault": has_flag('d'), "identity": if has_flag('a') { "a" } else { "" },
                "generated": if has_flag('g') { "s" } else { "" },
                "select": !has_flag('-'), "insert": !has_flag('r'), "update": !has_flag('r') }),
            );
        }
    }
    let catalogue = json!({
        "version": "1", "serverVersion": 150_000, "types": types, "tables": tables, "columns": columns,
        "keys": [
            key(0, "authors_pkey", &[1], true), key(0, "authors_name_key", &[2], false),
            key(1, "books_pkey", &[1], true), key(1, "books_code_key", &[12], false),
            key(4, "cities_pkey", &[1, 2], true), key(6, "profiles_pkey", &[1], true),
            key(8, "users_pkey", &[2, 1], true), key(8, "users_email_key", &[1], false),
            { "table": 10, "name": "rooms_area_key", "columns": [1], "primary": false, "deferrable": true,
                "identifies": false },
        ],
        "foreignKeys": [
            reference("books_author_id_fkey", 1, &[2], 0, &[1]), reference("books_editor_id_fkey", 1, &[3], 0, &[1]),
            reference("authors_boss_id_fkey", 0, &[3], 0, &[1]), reference("streets_city_fkey", 5, &[2, 3], 4, &[1, 2]),
            reference("profiles_author_id_fkey", 6, &[1], 0, &[1]),
            reference("lefts_pair_id_fkey", 11, &[2], 12, &[1]), reference("rights_pair_id_fkey", 12, &[2], 11, &[1]),
        ],
        "unusableSchemas": [], "lacksPrivileges": false,
    });
    from_catalogue_json(&catalogue.to_string()).unwrap()
}

/// Returns the operators of a type that is not built in.
fn operators(name: &str) -> Value {
    let Some((schema @ "extensions", _)) = name.split_once('.') else { return json!({}) };
    let names = ["=", "<>", "<", "<=", ">", ">=", "~~", "~~*"];
    names.iter().map(|name| ((*name).to_owned(), json!(format!("OPERATOR({schema}.{name})")))).collect()
}

fn key(table: usize, name: &str, columns: &[i16], primary: bool) -> Value {
    json!({ "table": table, "name": name, "columns": columns, "primary": primary, "deferrable": false,
        "identifies": true })
}

fn reference(name: &str, table: usize, columns: &[i16], to: usize, to_columns: &[i16]) -> Value {
    let operators = vec![""; columns.len()];
    json!({ "name": name, "table": table, "columns": columns, "referencesTable": to, "referencesColumns": to_columns,
        "operators": operators })
}

pub(super) fn read(table: &str, query: &str) -> Result<Statement, ApiError> {
    let schema = schema();
    let request = ReadRequest::parse(query)?;
    Ok(render_read(&plan_read(schema, table, &request, &DataLimits::default())?).statement)
}

pub(super) fn insert(table: &str, query: &str, body: &str) -> Result<Statement, ApiError> {
    let schema = schema();
    let request = InsertRequest::parse(query, body.as_bytes(), 1000)?;
    Ok(render_insert(&plan_insert(schema, table, &request)?, 1000).statement)
}

pub(super) fn update(table: &str, query: &str, body: &str) -> Result<Statement, ApiError> {
    let schema = schema();
    let request = UpdateRequest::parse(query, body.as_bytes())?;
    Ok(render_update(&plan_update(schema, table, &request)?, 1000).statement)
}

pub(super) fn delete(table: &str, query: &str) -> Result<Statement, ApiError> {
    let schema = schema();
    let request = DeleteRequest::parse(query)?;
    Ok(render_delete(&plan_delete(schema, table, &request)?, 1000).statement)
}

pub(super) fn export(table: &str, selection: RowSelection<'_>) -> Result<Statement, ApiError> {
    let schema = schema();
    let request = ExportRequest::parse(selection)?;
    Ok(render_export(&plan_export(schema, table, &request)?).statement)
}

/// Returns SQL and parameters on one line.
pub(super) fn sql_and_params(statement: &Statement) -> String {
    let params: Vec<&str> = statement.params.iter().map(|param| param.as_deref().unwrap_or("NULL")).collect();
    match params.is_empty() {
        true => statement.text.to_string(),
        false => format!("{} -- {}", statement.text, params.join(" | ")),
    }
}

/// Returns `code: message`.
pub(super) fn code_and_message(error: &ApiError) -> String {
    format!("{}: {}", error.code().as_str(), error.message())
}
