//! Paging by cursor visits every row once, in the order of the whole list, for every type of the ordering columns.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Client, TestApp};

const SCHEMA: &str = "
    create schema extensions; create extension citext schema extensions; create extension hstore schema extensions;
    create extension ltree schema extensions;
    create collation any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    create type extensions.mood as enum ('sad', 'ok', 'happy');
    create type pair as (label text, amount numeric);
    create domain score as float8; create domain folded as text collate any_case;
    create type folded_range as range (subtype = text, collation = any_case);";

/// Types, each with values in SQL. Some values of a type are equal but written differently.
const TYPES: &[(&str, &[&str])] = &[
    ("float8", &["'NaN'", "'-Infinity'", "'Infinity'", "-0.0", "0", "1e-300", "0.1", "-5e-324"]),
    ("float4", &["'NaN'", "'-Infinity'", "0.1", "3.4e38", "-1e-45", "16777216"]),
    ("score", &["'NaN'", "1.5", "'-Infinity'"]),
    ("numeric", &["'NaN'", "'Infinity'", "'-Infinity'", "1.0", "1.00", "12345678901234567890.123456789", "-0.5"]),
    ("float8[]", &["'{NaN}'", "'{1,NaN}'", "'{}'", "'{NULL}'", "'{-Infinity}'", "'{1}'", "'[2:3]={1,NaN}'"]),
    ("numeric[]", &["'{NaN,1}'", "'{1.0}'", "'{1.00}'", "'{{1,2},{3,4}}'"]),
    ("text collate any_case", &["'a'", "'A'", "'b'", "'B'", "'ab'", "'é'", "'É'", "''", "'a''b'"]),
    ("folded", &["'x'", "'X'", "'y'"]),
    ("text[] collate any_case", &["'{a}'", "'{A}'", "'{a,b}'", "'{B}'"]),
    ("folded_range", &["'[a,c)'", "'[A,C)'", "'[b,c)'", "'empty'", "'(,z)'"]),
    ("text collate \"C\"", &["'a'", "'A'", "'b'", "'é'", "'z'", "'Z'"]),
    ("text collate \"en-x-icu\"", &["'a'", "'A'", "'b'", "'é'", "'z'", "'Z'", "'a b'", "'ab'"]),
    ("char(3)", &["'a'", "'a  '", "'ab'", "''"]),
    ("varchar", &["'\"'", "'\\'", "E'\\n'", "'{}'", "'null'", "'NULL'"]),
    ("\"char\"", &["'a'", "'B'", "''"]),
    ("name", &["'a'", "'B'"]),
    ("bool", &["true", "false"]),
    ("int8", &["9223372036854775807", "-9223372036854775808", "0"]),
    ("interval", &["'1 day'", "'24:00'", "'1 month'", "'30 days'", "'-1 second'"]),
    ("timestamptz", &["'infinity'", "'-infinity'", "'0044-03-15 BC'", "'2024-01-01 10:00:00.123456'"]),
    ("date", &["'infinity'", "'-infinity'", "'0044-03-15 BC'", "'12024-01-01'"]),
    ("timetz", &["'12:00+00'", "'13:00+01'", "'24:00-12'"]),
    ("time", &["'24:00'", "'00:00:00.000001'"]),
    ("bytea", &["'\\x00'", "''", "'\\xff'"]),
    ("uuid", &["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "'00000000-0000-0000-0000-000000000000'"]),
    ("money", &["'-1'", "'1,000.50'"]),
    ("inet", &["'10.0.0.1/8'", "'10.0.0.1'", "'::1'"]),
    ("bit(3)", &["'101'", "'010'"]),
    ("varbit", &["''", "'0'", "'01'"]),
    ("jsonb", &["'null'", "'1.0'", "'1.00'", "'\"a\"'", "'[1]'", "'{\"a\":null}'", "'[]'", "'true'"]),
    ("jsonb[]", &["'{}'", "array['1', '[2]']::jsonb[]", "array[null]::jsonb[]"]),
    ("pair", &["('a', 'NaN')", "('a', 1)", "(null, null)", "('A', 1.0)", "('a,\"b', null)"]),
    ("pair[]", &["array[('a', 'NaN')::pair]", "'{}'"]),
    ("numrange", &["'[1,2)'", "'[1.0,2)'", "'empty'", "'(,)'", "'[1,NaN]'"]),
    ("nummultirange", &["'{[1,2)}'", "'{}'", "'{[1.0,2),[5,)}'"]),
    ("tsvector", &["'a:1'", "'b c'", "''"]),
    ("pg_lsn", &["'16/B374D848'", "'0/0'"]),
    ("extensions.mood", &["'sad'", "'happy'"]),
    ("extensions.mood[]", &["'{sad}'", "'{happy,ok}'", "'{}'"]),
    ("extensions.citext", &["'a'", "'A'", "'b'"]),
    ("extensions.citext[]", &["'{a}'", "'{A}'", "'{b}'"]),
    ("extensions.ltree", &["'a.b'", "'a'", "'b'"]),
    ("extensions.hstore", &["'a=>1'", "''", "'a=>NULL'", "'b=>1, a=>2'"]),
];

/// Returns the rows of all pages.
async fn all_pages(client: &Client, path: &str) -> Vec<Value> {
    let (mut rows, mut after) = (Vec::new(), String::new());
    loop {
        let (status, body) = client.get(&format!("{path}{after}")).await;
        assert_eq!(status, StatusCode::OK, "{path}{after}: {body}");
        rows.extend(body["rows"].as_array().unwrap().iter().cloned());
        assert!(rows.len() <= 100, "{path} does not end");
        match &body["page"]["nextCursor"] {
            Value::String(cursor) => after = format!("&after={cursor}"),
            Value::Null => {
                assert_eq!(body["page"]["nextOffset"], Value::Null, "{path}: {body}");
                assert!(body["page"].as_object().unwrap().contains_key("nextCursor"), "{path}: {body}");
                return rows;
            }
            other => panic!("{path}: {other}"),
        }
    }
}

#[tokio::test]
async fn pages_ordered_by_columns_of_many_types_visit_each_row_once() {
    let app = TestApp::start().await;
    let project = app.create_project("pages").await;
    if !project.has_icu().await {
        return;
    }
    project.sql(SCHEMA).await;
    let mut sql = String::new();
    for (number, (sql_type, values)) in TYPES.iter().enumerate() {
        let all = values.iter().chain(values.iter()).chain(&["null", "null"]);
        let rows: Vec<String> = all.enumerate().map(|(id, value)| format!("({id}, {value})")).collect();
        sql += &format!("create table p{number} (id int primary key, v {sql_type});");
        sql += &format!("insert into p{number} values {};", rows.join(", "));
    }
    project.sql(&sql).await;
    let secret = project.secret();
    for (number, (sql_type, values)) in TYPES.iter().enumerate() {
        for order in ["v,id", "v.desc,id", "v.nullsfirst,id.desc", "v.desc.nullslast,id"] {
            let list = format!("/v1/db/p{number}?order={order}");
            let (status, whole) = secret.get(&format!("{list}&limit=1000")).await;
            assert_eq!(status, StatusCode::OK, "{sql_type}: {whole}");
            let whole = whole["rows"].as_array().unwrap();
            assert_eq!(whole.len(), 2 * values.len() + 2, "{sql_type}");
            let ids: Vec<Value> = whole.iter().map(|row| json!({ "id": row["id"] })).collect();
            assert_eq!(&all_pages(&secret, &format!("{list}&limit=3")).await, whole, "{sql_type}, {order}");
            assert_eq!(all_pages(&secret, &format!("{list}&limit=1&select=id")).await, ids, "{sql_type}, {order}");
            let counted = all_pages(&secret, &format!("{list}&limit=5&count=exact")).await;
            assert_eq!(&counted, whole, "{sql_type}, {order}");
        }
    }
}

#[tokio::test]
async fn pages_ordered_by_keys_of_many_types_visit_each_row_once() {
    let app = TestApp::start().await;
    let project = app.create_project("pages by key").await;
    if !project.has_icu().await {
        return;
    }
    project.sql(SCHEMA).await;
    let mut sql = String::new();
    for (number, (sql_type, values)) in TYPES.iter().enumerate() {
        sql += &format!("create table k{number} (v {sql_type} primary key, n int not null, unique (n, v));");
        for (n, value) in values.iter().enumerate() {
            sql += &format!("insert into k{number} values ({value}, {}) on conflict do nothing;", n % 2);
        }
    }
    project.sql(&sql).await;
    let secret = project.secret();
    for (number, (sql_type, _)) in TYPES.iter().enumerate() {
        for order in ["v", "v.desc", "n,v", "n.desc,v", "n,v.desc"] {
            let list = format!("/v1/db/k{number}?order={order}");
            let (status, whole) = secret.get(&format!("{list}&limit=1000")).await;
            assert_eq!(status, StatusCode::OK, "{sql_type}: {whole}");
            let whole = whole["rows"].as_array().unwrap();
            assert!(whole.len() > 1, "{sql_type}");
            let numbers: Vec<Value> = whole.iter().map(|row| json!({ "n": row["n"] })).collect();
            assert_eq!(&all_pages(&secret, &format!("{list}&limit=1")).await, whole, "{sql_type}, {order}");
            assert_eq!(all_pages(&secret, &format!("{list}&limit=2&select=n")).await, numbers, "{sql_type}, {order}");
        }
    }
}
