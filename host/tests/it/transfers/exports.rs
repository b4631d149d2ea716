//! Exports: their content in every format, invalid and cancelled ones, and their expiry.

use async_compression::tokio::bufread::GzipDecoder;
use atlashub::object_store::PLATFORM_BUCKET;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use super::{download, download_text, export, get_export, start};
use crate::{
    backups::dump::restored,
    jobs::end_to_end::ended,
    sql_editor::limits::wait_for_statements,
    support::{TestApp, TestProject, code, eventually},
};

/// SQL that creates a table with values that an inexact export or import would change.
const VALUES: &str = r#"
    CREATE TYPE mood AS ENUM ('glad', 'so, so');
    CREATE TYPE pair AS (a int, b text);
    CREATE TABLE "Odd ""names"", t" (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "te,xt" text, n numeric, f float8, b bytea, at timestamptz,
        day date, span interval, list int[], texts text[], doc json, docb jsonb, mood mood, pair pair, flag boolean,
        bits bit(3), range int4range, twice numeric GENERATED ALWAYS AS (n * 2) STORED, "t" text);
    INSERT INTO "Odd ""names"", t"
        ("te,xt", n, f, b, at, day, span, list, texts, doc, docb, mood, pair, flag, bits, range)
    VALUES
        (E'a "quoted",\r\nline\\n', 1e20, 0.1, '\x00ff', '2026-11-28 12:00:00.123456+05:30', '0044-03-15 BC',
         '1 mon -2 days', '{1,NULL,3}', '{"a,b",NULL,"","NULL"}', E'{"a": 1e2,\n "b":  -0}', '{"a": 1e2}', 'so, so',
         '(1,"x,y")', true, '101', '[1,5)'),
        ('', 'NaN', 'Infinity', '', 'infinity', '-infinity', 'PT0S', '{}', '[0:1]={a,b}', 'null', 'null',
         NULL, '(,)', false, '000', 'empty'),
        (NULL, 0.10, '-0', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'glad', NULL, NULL, NULL, NULL),
        (E'\\.', -1.5, 5e-324, NULL, NULL, NULL, NULL, NULL, NULL, '"\u00fc\n"', NULL, NULL, NULL, NULL, NULL, NULL);
"#;

const TABLE: &str = r#"Odd "names", t"#;

fn table(project: &TestProject, table: &str, format: &str) -> Value {
    json!({ "source": { "kind": "table", "projectId": project.id, "table": table }, "format": format })
}

fn query(project: &TestProject, sql: &str, format: &str) -> Value {
    json!({ "source": { "kind": "query", "projectId": project.id, "sql": sql }, "format": format })
}

/// Returns the output of Postgres's `COPY`, with the settings of exports.
async fn copied(project: &TestProject, copy: &str) -> String {
    use futures_util::TryStreamExt as _;
    let mut connection = project.connect().await;
    sqlx::raw_sql("SET timezone = 'UTC'; SET extra_float_digits = 1").execute(&mut connection).await.unwrap();
    let chunks = connection.copy_out_raw(copy).await.unwrap().try_collect::<Vec<_>>().await.unwrap();
    String::from_utf8(chunks.concat()).unwrap()
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

#[tokio::test]
async fn table_is_exported_exactly_in_every_format() {
    let app = start().await;
    let project = app.create_project("My shop").await;
    project.sql(VALUES).await;
    let ready = export(&app, table(&project, TABLE, "csv")).await;
    assert_eq!((&ready["rowCount"], &ready["errorText"]), (&json!(4), &Value::Null), "{ready}");
    let csv = download_text(&app, &ready).await;
    let select = r#"SELECT * FROM "Odd ""names"", t""#;
    assert_eq!(csv, copied(&project, &format!("COPY ({select}) TO STDOUT (FORMAT csv, HEADER true)")).await);
    assert!(csv.starts_with("id,\"te,xt\",n,"), "{csv}");

    let ndjson = export(&app, table(&project, TABLE, "ndjson")).await;
    let ndjson_text = download_text(&app, &ndjson).await;
    assert_eq!((lines(&ndjson_text).len(), &ndjson["rowCount"]), (4, &json!(4)));
    let sql = format!("SELECT r::text FROM (SELECT row_to_json(whole) r FROM ({select}) whole) s");
    let rows: Vec<String> =
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_all(&mut project.connect().await).await.unwrap();
    let expected: Vec<String> = rows.iter().map(|row| row.replace('\n', " ")).collect();
    assert_eq!(lines(&ndjson_text), expected);

    let json_text = download_text(&app, &export(&app, table(&project, TABLE, "json")).await).await;
    let values: Vec<Value> = serde_json::from_str(&json_text).unwrap();
    let of_lines: Vec<Value> = lines(&ndjson_text).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(values, of_lines);
    assert!(json_text.contains("\"n\":100000000000000000000,"), "{json_text}");

    // A compressed file, and an empty table.
    project.sql("CREATE TABLE nothing (id int)").await;
    let mut request = table(&project, "nothing", "csv");
    request["gzip"] = true.into();
    let gzipped = export(&app, request).await;
    assert!(gzipped["fileName"].as_str().unwrap().starts_with("My-shop-nothing-"), "{gzipped}");
    assert!(gzipped["fileName"].as_str().unwrap().ends_with(".csv.gz"), "{gzipped}");
    assert_eq!(gunzip(&download(&app, &gzipped).await).await, b"id\n");
    let empty = export(&app, table(&project, "nothing", "json")).await;
    assert_eq!((download_text(&app, &empty).await.as_str(), &empty["rowCount"]), ("[]\n", &json!(0)));
}

async fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    GzipDecoder::new(bytes).read_to_end(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn tables_queries_and_databases_are_exported() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project
        .sql(
            "CREATE TABLE secret (id int PRIMARY KEY, owner text); ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
             ALTER TABLE secret FORCE ROW LEVEL SECURITY; ALTER TABLE secret NO FORCE ROW LEVEL SECURITY;
             INSERT INTO secret SELECT g, 'o' || g FROM generate_series(1, 20000) g;
             ALTER TABLE secret FORCE ROW LEVEL SECURITY;
             CREATE FUNCTION label(n int) RETURNS text LANGUAGE sql AS 'SELECT ''n'' || n';
             CREATE VIEW labels AS SELECT label(g) FROM generate_series(1, 2) g;
             CREATE TABLE parted (id int) PARTITION BY RANGE (id);
             CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10); INSERT INTO parted VALUES (1), (2)",
        )
        .await;
    // Row-level security hides no rows of a table, and views can call functions of schema `public`.
    for (name, rows) in [("secret", 20000), ("labels", 2), ("parted", 2)] {
        let ready = export(&app, table(&project, name, "csv")).await;
        assert_eq!(ready["rowCount"], rows, "{ready}");
        assert_eq!(lines(&download_text(&app, &ready).await).len(), rows + 1);
    }
    let sql = "-- first\nSELECT 1 AS a, 'x' AS b UNION ALL SELECT 2, 'y' ORDER BY a DESC; -- last";
    let ready = export(&app, query(&project, sql, "ndjson")).await;
    assert_eq!(download_text(&app, &ready).await, "{\"a\":2,\"b\":\"y\"}\n{\"a\":1,\"b\":\"x\"}\n");
    let ready = export(&app, query(&project, "TABLE labels", "csv")).await;
    assert_eq!(download_text(&app, &ready).await, "label\nn1\nn2\n");

    let database =
        |format: &str| json!({ "source": { "kind": "database", "projectId": project.id }, "format": format });
    let archive = export(&app, database("custom")).await;
    assert_eq!(archive["rowCount"], 20002, "{archive}");
    let mut connection = restored(&download(&app, &archive).await).await;
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM secret").fetch_one(&mut connection).await.unwrap();
    assert_eq!(rows, 20000);
    let mut request = database("sql");
    request["gzip"] = true.into();
    let script = export(&app, request).await;
    let script = String::from_utf8(gunzip(&download(&app, &script).await).await).unwrap();
    assert!(script.contains("CREATE TABLE public.secret") && script.contains("20000\to20000\n"));
    assert!(!script.contains("OWNER TO") && !script.contains("GRANT"));

    let platform = json!({ "source": { "kind": "database", "projectId": null }, "format": "sql" });
    let platform = export(&app, platform).await;
    assert!(download_text(&app, &platform).await.contains("COPY public.projects"));
    let (_, page) = app.admin().get(&format!("/admin/v1/exports?limit=3&projectId={}", project.id)).await;
    assert_eq!(page["items"].as_array().unwrap().len(), 3);
    assert!(
        page["nextCursor"].is_string()
            && page["items"][0]["createdAt"].as_str() > page["items"][2]["createdAt"].as_str()
    );
}

#[tokio::test]
async fn invalid_exports_are_refused_and_start_nothing() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    // Postgres cuts longer names to this length.
    let longest = "t".repeat(63);
    project.sql(&format!("CREATE TABLE items (id int); CREATE TABLE {longest} (id int)")).await;
    let source = json!({ "kind": "database", "projectId": project.id });
    let database = |format: &str, gzip: bool| json!({ "source": source, "format": format, "gzip": gzip });
    let of_project =
        |id: &str| json!({ "source": { "kind": "table", "projectId": id, "table": "t" }, "format": "csv" });
    let cases = [
        (table(&project, "nowhere", "csv"), 404, "unknown_table", None),
        (table(&project, "pg_class", "csv"), 404, "unknown_table", None),
        (table(&project, &format!("{longest}x"), "csv"), 404, "unknown_table", None),
        (table(&project, "items", "sql"), 400, "invalid_request", Some("format")),
        (table(&project, "items", "xlsx"), 400, "invalid_json", Some("format")),
        (query(&project, "SELECT nowhere", "csv"), 400, "sql_error", Some("source.sql")),
        (query(&project, "SELEC 1", "csv"), 400, "sql_error", Some("source.sql")),
        (query(&project, "SELECT 1; SELECT 2", "csv"), 400, "sql_refused", Some("source.sql")),
        (query(&project, "DELETE FROM items", "csv"), 400, "sql_refused", Some("source.sql")),
        (query(&project, "SELECT $1::int", "csv"), 400, "sql_refused", Some("source.sql")),
        (query(&project, "SELECT 1) TO PROGRAM 'x'; --", "csv"), 400, "sql_error", Some("source.sql")),
        (database("csv", false), 400, "invalid_request", Some("format")),
        (database("custom", true), 400, "invalid_request", Some("gzip")),
        (of_project("aaaaaaaaaaaa"), 404, "not_found", None),
        // The plugin is not loaded.
        (table(&project, "items", "csv"), 422, "unprocessable", None),
    ];
    for (request, status, expected, field) in cases {
        let (found, body) = app.admin().post("/admin/v1/exports", request.clone()).await;
        assert_eq!((found.as_u16(), code(&body)), (status, expected), "{request}: {body}");
        assert_eq!(body["error"]["details"]["field"].as_str(), field, "{request}: {body}");
    }
    let (_, page) = app.admin().get("/admin/v1/exports").await;
    assert_eq!(page["items"], json!([]));
    assert_eq!(
        app.admin().get("/admin/v1/exports/0198c0de-0000-7000-8000-000000000001").await.0,
        StatusCode::NOT_FOUND
    );
}

async fn has_file(app: &TestApp, id: &Value) -> bool {
    let prefix = format!("exports/{}", id.as_str().unwrap());
    app.app.store().list_page(PLATFORM_BUCKET, &prefix, 10, None).await.is_ok_and(|page| !page.objects.is_empty())
}

#[tokio::test]
async fn cancelled_and_failed_exports_leave_nothing() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    let failed = export(&app, query(&project, "SELECT 1 / (g - 50000) FROM generate_series(1, 100000) g", "csv")).await;
    assert_eq!(failed["state"], "failed", "{failed}");
    assert!(failed["errorText"].as_str().unwrap().contains("division by zero"), "{failed}");
    assert!(!has_file(&app, &failed["id"]).await);
    let path = format!("/admin/v1/exports/{}/download", failed["id"].as_str().unwrap());
    assert_eq!(app.admin().post(&path, Value::Null).await.0, StatusCode::CONFLICT);

    let endless = query(&project, "SELECT generate_series(1, 10000000000)", "csv");
    let (_, started) = app.admin().post("/admin/v1/exports", endless.clone()).await;
    let run = started["runId"].as_str().unwrap().to_owned();
    let progress = eventually("progress", async || {
        let (_, run) = app.admin().get(&format!("/admin/v1/runs/{run}")).await;
        (run["progress"]["done"].as_u64() > Some(0)).then_some(run)
    });
    assert_eq!(progress.await["status"], "running");
    assert_eq!(get_export(&app, &started["exportId"]).await["state"], "running");
    assert_eq!(app.admin().post(&path, Value::Null).await.0, StatusCode::CONFLICT);
    assert!(app.admin().post(&format!("/admin/v1/runs/{run}/cancel"), json!({})).await.0.is_success());
    assert_eq!(ended(&app.admin(), &run).await["status"], "cancelled");
    assert_eq!(get_export(&app, &started["exportId"]).await["state"], "cancelled");
    assert!(!has_file(&app, &started["exportId"]).await);
    wait_for_statements(&app, &project.id, 0).await;

    // Deleting a running export cancels its run.
    let (_, started) = app.admin().post("/admin/v1/exports", endless).await;
    let path = format!("/admin/v1/exports/{}", started["exportId"].as_str().unwrap());
    assert_eq!(app.admin().delete(&path).await.0, StatusCode::NO_CONTENT);
    assert_eq!(ended(&app.admin(), started["runId"].as_str().unwrap()).await["status"], "cancelled");
    assert_eq!(app.admin().get(&path).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn expired_exports_are_removed_with_their_files() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    let kept = export(&app, query(&project, "SELECT 1", "csv")).await;
    let gone = export(&app, query(&project, "SELECT 2", "csv")).await;
    sqlx::query("UPDATE exports SET expires_at = now() WHERE id = $1::uuid")
        .bind(gone["id"].as_str().unwrap())
        .execute(app.app.platform())
        .await
        .unwrap();
    let (status, _) = app.admin().get(&format!("/admin/v1/exports/{}", gone["id"].as_str().unwrap())).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(has_file(&app, &gone["id"]).await);
    assert_eq!(atlashub::transfers::sweep(app.app.transfers()).await.unwrap(), 1);
    assert!(!has_file(&app, &gone["id"]).await);
    assert_eq!(download_text(&app, &kept).await, "?column?\n1\n");
}
