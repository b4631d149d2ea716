//! Exports of the rows and columns that a filter, an order and a selection of columns choose.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{download_text, export, get_export, start};
use crate::{
    jobs::end_to_end::ended,
    support::{TestApp, TestProject, code},
};

/// SQL that creates a table with a column of every kind of type, and rows whose texts look like SQL.
const ROWS: &str = r#"
    CREATE TYPE mood AS ENUM ('glad', 'so, so');
    CREATE TYPE pair AS (a int, b text);
    CREATE DOMAIN cents AS bigint CHECK (VALUE >= 0);
    CREATE TABLE "Odd ""names"", t" (
        id bigint PRIMARY KEY, "te,xt" text, n numeric, f float8, b bytea, at timestamptz, day date, span interval,
        list int[], texts text[], docb jsonb, mood mood, pair pair, flag boolean, range int4range, code char(3),
        cost cents, kind "char", ident name, bits bit(3), address inet, key uuid);
    INSERT INTO "Odd ""names"", t" VALUES
        (9007199254740993, E'a\'); DROP TABLE x; --\n"\\', 1.50, 0.1, '\x00ff', '2026-11-28 12:00+00', '2026-11-28',
         '1 day', '{1,2}', '{"a,b",c}', '{"a": 1}', 'so, so', '(1,"x,y")', true, '[1,5)', 'ab', 5, 'k', 'n', '101',
         '10.0.0.1', '0198c0de-0000-7000-8000-000000000001'),
        (2, '$1', 2, 'NaN', '', 'infinity', '-infinity', '2 days', '{3}', '{}', '[]', 'glad', '(2,z)', false, 'empty',
         'b', 0, 'l', 'm', '000', '::1', '0198c0de-0000-7000-8000-000000000002'),
        (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
         NULL, NULL, NULL);
"#;

const TABLE: &str = r#"Odd "names", t"#;
const FIRST: i64 = 9_007_199_254_740_993;

fn request(project: &TestProject, table: &str, selection: Value, format: &str) -> Value {
    let mut source = json!({ "kind": "table", "projectId": project.id, "table": table });
    if let (Value::Object(source), Value::Object(selection)) = (&mut source, selection) {
        source.extend(selection);
    }
    json!({ "source": source, "format": format })
}

/// Returns the content of an export's file.
async fn exported(app: &TestApp, project: &TestProject, table: &str, selection: Value, format: &str) -> String {
    let ready = export(app, request(project, table, selection, format)).await;
    assert_eq!(ready["state"], "ready", "{ready}");
    download_text(app, &ready).await
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[tokio::test]
async fn rows_that_match_a_filter_are_exported_exactly_in_their_order() {
    let app = start().await;
    let project = app.create_project("Selected").await;
    project.sql(ROWS).await;
    let selection =
        json!({ "filter": "gte.n=1.5&not.is.id=null", "order": "n.desc,id", "select": "id,amount:n,\"te,xt\"" });
    let csv = exported(&app, &project, TABLE, selection.clone(), "csv").await;
    assert_eq!(csv, format!("id,amount,\"te,xt\"\n2,2,$1\n{FIRST},1.50,\"a'); DROP TABLE x; --\n\"\"\\\"\n"));
    let ndjson = exported(&app, &project, TABLE, selection.clone(), "ndjson").await;
    let last = format!(r#"{{"id":{FIRST},"amount":1.50,"te,xt":"a'); DROP TABLE x; --\n\"\\"}}"#);
    assert_eq!(ndjson, format!("{{\"id\":2,\"amount\":2,\"te,xt\":\"$1\"}}\n{last}\n"));
    let (_, page) = app.admin().get(&format!("/admin/v1/exports?projectId={}", project.id)).await;
    let saved = &page["items"][0];
    assert_eq!((&saved["source"]["filter"], &saved["rowCount"]), (&selection["filter"], &json!(2)), "{saved}");

    // A filter without a match, and an order and columns without a filter.
    let none = exported(&app, &project, TABLE, json!({ "filter": "eq.id=4", "select": "id" }), "csv").await;
    assert_eq!(none, "id\n");
    let all = exported(&app, &project, TABLE, json!({ "order": "n.asc.nullsfirst", "select": "id" }), "csv").await;
    assert_eq!(all, format!("id\n3\n{FIRST}\n2\n"));
}

#[tokio::test]
async fn filters_of_an_export_select_the_rows_that_a_request_returns() {
    let app = start().await;
    let project = app.create_project("Filtered").await;
    project.sql(ROWS).await;
    let hostile = encoded("a'); DROP TABLE x; --\n\"\\");
    let path = format!("/admin/v1/projects/{}/tables/{}/rows", project.id, encoded(TABLE).replace('+', "%20"));
    for filter in [
        format!("eq.te,xt={hostile}"),
        format!("in.te,xt=\"{}\",x", encoded("a'); DROP TABLE x; --\n\\\"\\\\")),
        "eq.te,xt=$1".to_owned(),
        "eq.te,xt=".to_owned(),
        "like.te,xt=%25DROP%25".to_owned(),
        "fts.te,xt=drop table".to_owned(),
        format!("eq.id={FIRST}"),
        "in.id=2,3".to_owned(),
        "lt.n=1.5000001".to_owned(),
        "eq.f=NaN".to_owned(),
        "eq.b=\\x00ff".to_owned(),
        "gt.at=2026-11-28 11:59".to_owned(),
        "lte.day=2026-11-28".to_owned(),
        "gt.span=25 hours".to_owned(),
        "cs.list={1}".to_owned(),
        "ov.texts=[\"a,b\"]".to_owned(),
        "cs.docb={\"a\":1}".to_owned(),
        "in.mood=\"so, so\"".to_owned(),
        "is.flag=true".to_owned(),
        "cs.range=4".to_owned(),
        "eq.code=ab".to_owned(),
        "gte.cost=5".to_owned(),
        "eq.kind=k".to_owned(),
        "eq.ident=m".to_owned(),
        "eq.bits=101".to_owned(),
        "lt.address=10.0.0.2".to_owned(),
        "eq.key=0198c0de-0000-7000-8000-000000000002".to_owned(),
        "or=(is.n:null,and(gt.n:1,lt.n:1.9))&neq.id=7".to_owned(),
    ] {
        let url = format!("{path}?select=id&order=id&{}", filter.replace(' ', "%20").replace('"', "%22"));
        let (status, page) = app.admin().get(&url).await;
        assert_eq!(status, StatusCode::OK, "{filter}: {page}");
        let expected: Vec<i64> =
            page["rows"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect();
        let selection = json!({ "filter": filter, "order": "id", "select": "id" });
        let csv = exported(&app, &project, TABLE, selection, "csv").await;
        let found: Vec<i64> = csv.lines().skip(1).map(|line| line.parse().unwrap()).collect();
        assert_eq!(found, expected, "{filter}");
    }
}

#[tokio::test]
async fn selected_rows_include_those_that_policies_hide_and_rows_of_views() {
    let app = start().await;
    let project = app.create_project("Hidden").await;
    project
        .sql(
            "CREATE TABLE secret (id int PRIMARY KEY, owner text);
             INSERT INTO secret SELECT g, 'o' || g % 2 FROM generate_series(1, 20000) g;
             ALTER TABLE secret ENABLE ROW LEVEL SECURITY; ALTER TABLE secret FORCE ROW LEVEL SECURITY;
             CREATE FUNCTION label(n int) RETURNS text LANGUAGE sql AS 'SELECT ''n'' || n';
             CREATE VIEW labels AS SELECT g AS id, label(g) FROM generate_series(1, 3) g",
        )
        .await;
    let secret = export(&app, request(&project, "secret", json!({ "filter": "eq.owner=o1" }), "csv")).await;
    assert_eq!((&secret["state"], &secret["rowCount"]), (&json!("ready"), &json!(10000)), "{secret}");
    assert_eq!(download_text(&app, &secret).await.lines().count(), 10001);
    let labels = exported(&app, &project, "labels", json!({ "filter": "gt.id=1", "order": "id.desc" }), "csv").await;
    assert_eq!(labels, "id,label\n3,n3\n2,n2\n");
}

#[tokio::test]
async fn table_that_changed_since_the_request_fails_the_run_with_the_reason() {
    let app = start().await;
    let project = app.create_project("Changed").await;
    project
        .sql(
            "CREATE TABLE items (id int, price int); INSERT INTO items VALUES (1, 0);
             CREATE VIEW ratios AS SELECT id, price, 1 / price AS ratio FROM items",
        )
        .await;
    let failed = export(&app, request(&project, "ratios", json!({ "filter": "gte.price=0" }), "csv")).await;
    assert!(failed["errorText"].as_str().unwrap().contains("division by zero"), "{failed}");
    project.sql("ALTER VIEW ratios RENAME price TO cost").await;
    let again = format!("/admin/v1/runs/{}/again", failed["runId"].as_str().unwrap());
    let (status, started) = app.admin().post(&again, json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{started}");
    ended(&app.admin(), started["runId"].as_str().unwrap()).await;
    let failed = get_export(&app, &failed["id"]).await;
    assert_eq!(failed["state"], "failed", "{failed}");
    // If the cached schema is less than a second old, the message comes from Postgres. Otherwise, it comes from the
    // check of the columns. Both name the column.
    let error = failed["errorText"].as_str().unwrap();
    assert!(error.contains("price") && !error.contains("division by zero"), "{failed}");
}

#[tokio::test]
async fn invalid_selections_are_refused_with_their_field_and_start_nothing() {
    let app = TestApp::start().await;
    let project = app.create_project("Refused").await;
    project.sql("CREATE TABLE items (id int, place point, tags text[])").await;
    for (selection, expected, field, words) in [
        (json!({ "filter": "eq.nowhere=1" }), "unknown_column", "source.filter", "no column `nowhere`"),
        (json!({ "filter": "same.id=1" }), "unknown_operator", "source.filter", "Unknown operator `same`"),
        (json!({ "filter": "limit=1" }), "invalid_request", "source.filter", "Unknown parameter `limit`."),
        (json!({ "filter": "eq.id=one" }), "invalid_value", "source.filter", "`id`"),
        (json!({ "filter": "in.id=1,99999999999" }), "invalid_value", "source.filter", "`id`"),
        (json!({ "filter": "eq.place=(1,2)" }), "invalid_request", "source.filter", "place"),
        (json!({ "filter": "eq.id=1; DROP TABLE items" }), "invalid_value", "source.filter", "`id`"),
        (json!({ "filter": "cs.tags=\u{0}" }), "invalid_request", "source.filter", "NUL"),
        (json!({ "order": "nowhere" }), "unknown_column", "source.order", "no column `nowhere`"),
        (json!({ "order": "place" }), "invalid_request", "source.order", "has no order"),
        (json!({ "select": "id,nowhere" }), "unknown_column", "source.select", "no column `nowhere`"),
        (json!({ "select": "id,id" }), "invalid_request", "source.select", "twice"),
        (json!({ "select": "id,others(id)" }), "invalid_request", "source.select", "can't be embedded"),
    ] {
        let (status, body) =
            app.admin().post("/admin/v1/exports", request(&project, "items", selection.clone(), "csv")).await;
        assert_eq!((status, code(&body)), (StatusCode::BAD_REQUEST, expected), "{selection}: {body}");
        assert_eq!(body["error"]["details"]["field"], field, "{selection}: {body}");
        assert!(body["error"]["message"].as_str().unwrap().contains(words), "{selection}: {body}");
    }
    let (_, page) = app.admin().get("/admin/v1/exports").await;
    assert_eq!(page["items"], json!([]));
    // An unknown table is reported before a filter on it.
    let unknown = request(&project, "nowhere", json!({ "filter": "eq.id=1" }), "csv");
    let (status, body) = app.admin().post("/admin/v1/exports", unknown).await;
    assert_eq!((status, code(&body)), (StatusCode::NOT_FOUND, "unknown_table"), "{body}");
}

#[tokio::test]
async fn export_with_a_filter_does_not_silently_lack_columns() {
    let app = start().await;
    let project = app.create_project("Hidden").await;
    project.sql("CREATE TABLE people (id int, name text, ssn text); INSERT INTO people VALUES (1, 'a', 'x')").await;
    let role = format!("proj_{}_app", project.id);
    project.sql(&format!("REVOKE SELECT ON people FROM {role}; GRANT SELECT (id, name) ON people TO {role}")).await;
    let all = exported(&app, &project, "people", json!({}), "csv").await;
    assert_eq!(all, "id,name,ssn\n1,a,x\n");
    let filtered = request(&project, "people", json!({ "filter": "eq.id=1" }), "csv");
    let (status, body) = app.admin().post("/admin/v1/exports", filtered).await;
    assert_eq!((status, code(&body)), (StatusCode::FORBIDDEN, "forbidden"), "{body}");
    assert!(body["error"]["message"].as_str().unwrap().contains("`ssn`"), "{body}");
    let some = exported(&app, &project, "people", json!({ "filter": "eq.id=1", "select": "id,name" }), "csv").await;
    assert_eq!(some, "id,name\n1,a\n");
}
