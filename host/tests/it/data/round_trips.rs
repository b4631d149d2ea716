//! Values of every kind of type: what `GET` returns for them can be sent back.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Client, TestApp, code};

const SCHEMA: &str = "
    create schema extensions; create extension hstore schema extensions; create extension ltree schema extensions;
    create extension cube schema extensions; create extension isn schema extensions;
    create extension seg schema extensions; create extension citext; create extension intarray;
    create type mood as enum ('sad', 'very \"ok\", {x}');
    create type inner_pair as (a numeric, extra extensions.hstore, list jsonb[]);
    create type pair as (
        id int8, label text, at timestamptz, inner_value inner_pair, many inner_pair[], span int4range);
    create domain email as text check (value like '%@%');
    create domain emails as email[];
    create domain some_pair as pair check ((value).id > 0);
    create domain span as int4range; create domain tags as extensions.hstore; create domain doc as jsonb;
    create type text_range as range (subtype = text, collation = \"C\");
    create type moods_range as range (subtype = mood);
    create table note (id int, body text);";

/// Type and value as SQL.
const VALUES: &[(&str, &str)] = &[
    ("extensions.hstore", "'a=>1, \"b \\\\ \\\"q\\\"\"=>NULL, c=>\"\", d=>\"{x,y}\"'"),
    ("extensions.hstore", "''"),
    ("extensions.hstore[]", "array['a=>1', NULL, 'b=>\"x, y\"']::extensions.hstore[]"),
    ("extensions.hstore[]", "array[array['a=>1'::extensions.hstore], array[''::extensions.hstore]]"),
    ("extensions.hstore[]", "'{}'"),
    ("tags", "'a=>NULL'"),
    ("tags[]", "array['a=>b']::tags[]"),
    ("extensions.ltree", "'a.b_c'"),
    ("extensions.cube", "'(1,2),(3,4)'"),
    ("extensions.isbn13", "'978-0-393-04002-9'"),
    ("extensions.seg", "'1.0 .. 2.50'"),
    ("citext", "'Ann'"),
    ("citext[]", "'{Ann,\"b,c\"}'"),
    ("inner_pair", "(1.50, 'k=>v'::extensions.hstore, array['[1]', '[2,3]', NULL, '{\"a\": 1}']::jsonb[])"),
    ("inner_pair", "(NULL, NULL, NULL)"),
    (
        "pair",
        "(9223372036854775807, 'x, \"y\" \\ (z)', '2024-02-29T12:00:00.5Z', (1, 'a=>1', '{}'), \
         array[(2, 'b=>NULL', NULL)]::inner_pair[], '[1,5)')",
    ),
    ("pair[]", "array[(1, 'a', NULL, NULL, NULL, 'empty'), NULL]::pair[]"),
    ("some_pair", "(1, 'a', NULL, (1, 'h=>1', NULL), NULL, NULL)::pair"),
    ("note", "(1, 'a row type')"),
    ("note[]", "array[(1, 'a'), (2, NULL)]::note[]"),
    ("email[]", "'{a@b,c@d}'"),
    ("emails", "'{a@b}'"),
    ("span", "'[3,7)'"),
    ("span[]", "array['[1,2)', 'empty']::span[]"),
    ("doc", "'{\"a\": [1, 2.50]}'"),
    ("doc[]", "array['[1,2]', '[3]', '\"x\"', '5']::doc[]"),
    ("json[]", "array['[1, 2]', '{\"b\" : 1}', '[[]]']::json[]"),
    ("jsonb[]", "array['[1]', '[2,3]', 'true', '\"null\"']::jsonb[]"),
    ("int4range", "'(,5)'"),
    ("int4range", "'empty'"),
    ("numrange", "'[1.10,2.0]'"),
    ("tstzrange", "'[2024-01-01 00:00:00+00,)'"),
    ("daterange[]", "array['[2024-01-01,2024-02-01)', NULL]::daterange[]"),
    ("text_range", "'[\"a,b\",\"c\\\"d\")'"),
    ("moods_range", "'[sad,sad]'"),
    ("int4multirange", "'{[1,3),[7,9)}'"),
    ("text_multirange", "'{[a,b)}'"),
    ("int8multirange[]", "array['{[1,2)}', '{}']::int8multirange[]"),
    ("mood[]", "array['very \"ok\", {x}', 'sad']::mood[]"),
    ("point", "'(1.5,-2)'"),
    ("point[]", "array['(1,2)', '(3,4)']::point[]"),
    ("line", "'{1,2,3}'"),
    ("lseg", "'[(0,0),(1,1)]'"),
    ("box", "'(1,1),(0,0)'"),
    ("box[]", "'{(1,1),(0,0);(2,2),(1,1)}'"),
    ("path", "'[(0,0),(1,1),(2,0)]'"),
    ("path", "'((0,0),(1,1),(2,0))'"),
    ("polygon", "'((0,0),(1,1),(2,0))'"),
    ("circle", "'<(1,2),3.5>'"),
    ("xml", "'<a b=\"c\">\n&amp;</a>'"),
    ("xml[]", "array['<a/>', '<b>x</b>']::xml[]"),
    ("tsvector", "'''a b'':1A,3 c:2'"),
    ("tsvector[]", "array['a:1', 'b']::tsvector[]"),
    ("tsquery", "'a & !(b | c:*)'"),
    ("inet", "'10.0.0.1/8'"),
    ("inet", "'::1'"),
    ("cidr", "'10.0.0.0/8'"),
    ("macaddr", "'08:00:2b:01:02:03'"),
    ("macaddr8[]", "'{08:00:2b:01:02:03:04:05}'"),
    ("bit(5)", "'10101'"),
    ("bit(3)[]", "'{101,010}'"),
    ("varbit", "''"),
    ("varbit[]", "'{1,101}'"),
    ("money", "'-1234.50'"),
    ("money[]", "'{1,\"1,234.50\"}'"),
    ("interval", "'-1 year 2 mons -3 days 04:05:06.789'"),
    ("interval[]", "'{1 day,-00:00:01}'"),
    ("interval day to second(1)", "'3 04:05:06.7'"),
    ("time", "'24:00'"),
    ("timetz", "'12:00:00+05:30'"),
    ("timetz[]", "'{12:00:00-08}'"),
    ("timestamp", "'0044-03-15 12:00:00 BC'"),
    ("timestamptz", "'0044-03-15 12:00:00+00 BC'"),
    ("timestamptz", "'-infinity'"),
    ("timestamptz[]", "'{2024-01-01 10:00:00.123456+00,infinity}'"),
    ("date[]", "'{0044-03-15 BC,infinity}'"),
    ("uuid[]", "'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'"),
    ("bytea", "'\\x00ff'"),
    ("bytea[]", "'{\"\\\\x00ff\",\"\\\\x\"}'"),
    ("numeric", "'NaN'"),
    ("numeric(10,2)[]", "'{1.10,NaN,NULL}'"),
    ("float8[]", "'{NaN,-Infinity,1e300,5e-324}'"),
    ("float4", "'3.4e38'"),
    ("char(4)[]", "'{ab,\"a b\"}'"),
    ("varchar(3)[]", "'{abc,\"\"}'"),
    ("\"char\"", "'x'"),
    ("name", "'a name'"),
    ("oid", "'4294967295'"),
    ("regclass", "'pg_class'"),
    ("pg_lsn", "'16/B374D848'"),
    ("xid8", "'123'"),
    ("pg_snapshot", "'10:20:10,14'"),
    ("jsonpath", "'$.\"a\"[*]'"),
    ("int2vector", "'1 2'"),
    ("bool[]", "'{t,f,NULL}'"),
    ("text[]", "'{{a,\"b,c\"},{NULL,\"NULL\"}}'"),
    ("text[]", "'{}'"),
    ("int4[]", "'{1,2}'"),
];

async fn send(client: &Client, method: Method, path: &str, body: String) -> String {
    let mut request = client.request(method.clone(), path);
    if method != Method::GET {
        request = request.header("content-type", "application/json").body(body.clone());
    }
    let response = request.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    assert!(status.is_success(), "{method} {path} {body}: {status} {text}");
    text
}

#[tokio::test]
async fn returned_values_are_accepted_for_every_type() {
    let app = TestApp::start().await;
    let project = app.create_project("round trips").await;
    project.sql(SCHEMA).await;
    let columns: Vec<String> =
        VALUES.iter().enumerate().map(|(number, (sql_type, _))| format!("c{number} {sql_type}")).collect();
    let values: Vec<String> = VALUES.iter().map(|(_, value)| (*value).to_owned()).collect();
    let names: Vec<String> = (0..VALUES.len()).map(|number| format!("c{number}")).collect();
    project
        .sql(&format!(
            "create table t (id int primary key, {}); insert into t values (1, {})",
            columns.join(", "),
            values.join(", ")
        ))
        .await;
    let secret = project.secret();
    for (number, (sql_type, value)) in VALUES.iter().enumerate() {
        let name = &names[number];
        let read = async |id: i32| {
            send(&secret, Method::GET, &format!("/v1/db/t?select={name}&eq.id={id}"), String::new()).await
        };
        let original = read(1).await;
        let value_json = original
            .strip_prefix(&format!("{{\"rows\":[{{\"{name}\":"))
            .and_then(|rest| rest.split_once("}],\"page\""))
            .unwrap_or_else(|| panic!("{original}"))
            .0;
        // One row is sent as a parameter per value, several as one JSON parameter.
        let row = |id: i32| format!("{{\"id\":{id},\"{name}\":{value_json}}}");
        let post = "/v1/db/t?returning=minimal&onConflict=id";
        send(&secret, Method::POST, post, format!("{{\"rows\":[{}]}}", row(2))).await;
        send(&secret, Method::POST, post, format!("{{\"rows\":[{},{}]}}", row(3), row(4))).await;
        send(&secret, Method::POST, post, "{\"rows\":[{\"id\":5}]}".to_owned()).await;
        send(&secret, Method::PATCH, "/v1/db/t?eq.id=5", format!("{{\"values\":{{\"{name}\":{value_json}}}}}")).await;
        for id in 2..=5 {
            assert_eq!(read(id).await, original, "{sql_type} {value}, row {id}");
        }
    }
    // All columns at once, like a client that copies a row.
    let whole = send(&secret, Method::GET, "/v1/db/t?eq.id=1", String::new()).await;
    let row = whole.strip_prefix("{\"rows\":[").unwrap().split_once("],\"page\"").unwrap().0;
    let copy = |id: i32| row.replacen("{\"id\":1,", &format!("{{\"id\":{id},"), 1);
    send(&secret, Method::POST, "/v1/db/t?returning=minimal", format!("{{\"rows\":[{}]}}", copy(6))).await;
    send(&secret, Method::POST, "/v1/db/t?returning=minimal", format!("{{\"rows\":[{},{}]}}", copy(7), copy(8))).await;
    for id in 6..=8 {
        let copied = send(&secret, Method::GET, &format!("/v1/db/t?eq.id={id}"), String::new()).await;
        assert_eq!(copied.replacen(&format!("{{\"id\":{id},"), "{\"id\":1,", 1), whole, "row {id}");
    }
}

#[tokio::test]
async fn invalid_objects_for_hstore_are_rejected_with_the_column() {
    let app = TestApp::start().await;
    let project = app.create_project("hstore").await;
    project
        .sql(
            "create extension hstore; create type p as (h hstore, n int);
             create table t (id int primary key, h hstore, l hstore[], p p)",
        )
        .await;
    let secret = project.secret();
    for (column, value) in [
        ("h", "{\"a\":{\"b\":1}}"),
        ("h", "{\"a\":[1]}"),
        ("h", "\"not an hstore =\""),
        ("h", "{\"a\":\"\\u0000\"}"),
        ("l", "[{\"a\":{}}]"),
        ("l", "[1]"),
        ("p", "{\"h\":{\"a\":[]}}"),
        ("p", "{\"h\":{\"a\":1},\"n\":\"x\"}"),
    ] {
        for rows in [
            format!("[{{\"id\":1,\"{column}\":{value}}}]"),
            format!("[{{\"id\":1,\"{column}\":null}},{{\"id\":2,\"{column}\":{value}}}]"),
        ] {
            let request = secret.request(Method::POST, "/v1/db/t").header("content-type", "application/json");
            let response = request.body(format!("{{\"rows\":{rows}}}")).send().await.unwrap();
            let status = response.status();
            let body: Value = response.json().await.unwrap();
            assert_eq!(
                (status, &body["error"]["code"]),
                (StatusCode::BAD_REQUEST, &"invalid_value".into()),
                "{rows}: {body}"
            );
            assert_eq!(body["error"]["details"]["column"], column, "{rows}: {body}");
        }
    }
    let (status, body) = secret.post("/v1/db/t", json!({ "rows": [{ "id": 3, "h": { "n": 1.5, "b": true } }] })).await;
    assert_eq!((status, &body["rows"][0]["h"]), (StatusCode::CREATED, &json!({ "n": "1.5", "b": "true" })));
}

#[tokio::test]
async fn unknown_members_of_composite_values_are_rejected_with_the_column() {
    let app = TestApp::start().await;
    let project = app.create_project("members").await;
    project
        .sql(
            "create type point3 as (x int, y int, z int); create domain named as point3;
             create type segment as (a point3, \"end\" point3);
             create table t (id int primary key, p point3, l segment, ps point3[], n named)",
        )
        .await;
    let secret = project.secret();
    for (column, value, member) in [
        ("p", json!({ "x": 1, "w": 2 }), "w"),
        ("p", json!({ "X": 1 }), "X"),
        ("l", json!({ "a": { "x": 1, "w": 2 } }), "w"),
        ("ps", json!([{ "x": 1 }, { "w": 2 }]), "w"),
        ("n", json!({ "w": 1 }), "w"),
    ] {
        let bad = |id: i32| {
            let mut row = json!({ "id": id });
            row[column] = value.clone();
            row
        };
        for rows in [json!([bad(1)]), json!([bad(1), bad(2)]), json!([{ "id": 1 }, bad(2)])] {
            let (status, body) = secret.post("/v1/db/t", json!({ "rows": rows })).await;
            assert_eq!((status, code(&body)), (StatusCode::BAD_REQUEST, "invalid_value"), "{rows}: {body}");
            let message = body["error"]["message"].as_str().unwrap();
            let expected = [format!("Column `{column}` expects "), format!("unknown member `{member}`. Supported: ")];
            assert!(expected.iter().all(|part| message.contains(part)), "{message}");
            assert_eq!(body["error"]["details"]["column"], column, "{body}");
        }
    }
    let row = json!({ "id": 1, "p": { "x": 1 }, "l": { "end": {} }, "ps": [null, { "z": 3 }], "n": null });
    let (status, body) = secret.post("/v1/db/t", json!({ "rows": [row] })).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    let point = |x: Value, z: Value| json!({ "x": x, "y": null, "z": z });
    assert_eq!(body["rows"][0]["p"], point(json!(1), Value::Null));
    assert_eq!(body["rows"][0]["ps"], json!([null, point(Value::Null, json!(3))]));
}
