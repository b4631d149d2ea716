//! Lists of tables: with all fields or as summaries, by part of a name, in pages.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{TestApp, TestProject, eventually};

async fn list(app: &TestApp, project: &TestProject, query: &str) -> Value {
    let (status, body) = app.admin().get(&project.path(&format!("/tables{query}"))).await;
    assert_eq!(status, StatusCode::OK, "{query}: {body}");
    body
}

fn names(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|table| table["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn summaries_have_a_column_count_instead_of_columns() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    project
        .sql(
            "CREATE TABLE items (id int PRIMARY KEY, name text); COMMENT ON TABLE items IS 'For sale';
             ALTER TABLE items ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON items USING (true);
             INSERT INTO items SELECT g, 'n' FROM generate_series(1, 500) g; ANALYZE items;
             CREATE VIEW recent AS SELECT * FROM items;",
        )
        .await;
    project.expose("items", "read", "write").await;
    let page = list(&app, &project, "?fields=summary").await;
    assert_eq!(page["nextCursor"], Value::Null);
    let bytes = page["items"][0]["totalBytes"].as_i64().unwrap();
    assert!(bytes > 8192, "{bytes}");
    assert_eq!(
        page["items"],
        json!([
            { "name": "items", "kind": "table", "columnCount": 2, "hasPrimaryKey": true,
              "exposure": { "publishable": "read", "signedIn": "write" }, "rowLevelSecurity": true, "policyCount": 1,
              "estimatedRows": 500, "totalBytes": bytes, "comment": "For sale" },
            { "name": "recent", "kind": "view", "columnCount": 2, "hasPrimaryKey": false,
              "exposure": { "publishable": "none", "signedIn": "none" }, "rowLevelSecurity": false, "policyCount": 0,
              "estimatedRows": null, "totalBytes": 0, "comment": null },
        ])
    );
    let full = list(&app, &project, "?q=ITEM").await;
    assert_eq!(names(&full), ["items"]);
    assert_eq!(full["items"][0]["columns"][0]["name"], "id");
}

#[tokio::test]
async fn small_tables_that_were_never_analyzed_have_a_row_count() {
    let app = TestApp::start().await;
    let project = app.create_project("Small").await;
    // Without autovacuum, no table is analyzed while the test runs.
    project
        .sql(
            "CREATE TABLE empty (id int) WITH (autovacuum_enabled = false);
             CREATE TABLE few (id int) WITH (autovacuum_enabled = false);
             CREATE TABLE many (id int, text text) WITH (autovacuum_enabled = false);
             CREATE TABLE parted (id int) PARTITION BY LIST (id);
             INSERT INTO few VALUES (1), (2), (3); DELETE FROM few WHERE id = 2;
             INSERT INTO many SELECT g, repeat('x', 1000) FROM generate_series(1, 2000) g;",
        )
        .await;
    let counts = async |query: &str| -> Vec<Value> {
        let page = list(&app, &project, query).await;
        page["items"].as_array().unwrap().iter().map(|table| table["estimatedRows"].clone()).collect()
    };
    let expected = json!([0, 2, null, null]);
    // Postgres publishes the counts of a session with a delay.
    eventually("the count of inserted rows", async || json!(counts("").await) == expected).await;
    assert_eq!(json!(counts("?fields=summary").await), expected);
    let (_, few) = app.admin().get(&project.path("/tables/few")).await;
    assert_eq!(few["estimatedRows"], 2, "{few}");
}

#[tokio::test]
async fn tables_are_found_by_part_of_the_name_and_paged() {
    let app = TestApp::start().await;
    let project = app.create_project("Many").await;
    project
        .sql(
            "DO $$ BEGIN FOR i IN 1..1203 LOOP EXECUTE format('CREATE TABLE %I ()', 't' || lpad(i::text, 4, '0'));
             END LOOP; END $$; CREATE TABLE \"100%_sure\" ();",
        )
        .await;
    let first = list(&app, &project, "?fields=summary&limit=1000").await;
    assert_eq!(names(&first).len(), 1000);
    assert_eq!(names(&first)[..2], ["100%_sure", "t0001"]);
    let cursor = first["nextCursor"].as_str().unwrap();
    let second = list(&app, &project, &format!("?fields=summary&cursor={cursor}")).await;
    assert_eq!((names(&second).len(), names(&second)[0]), (204, "t1000"));
    assert_eq!(names(&list(&app, &project, "?fields=summary&q=T120").await), ["t1200", "t1201", "t1202", "t1203"]);
    // `%` and `_` are ordinary characters.
    assert_eq!(names(&list(&app, &project, "?fields=summary&q=%25_").await), ["100%_sure"]);
    for query in ["?fields=summary&limit=1001", "?fields=summary&limit=0", "?limit=201", "?fields=some", "?q=%00"] {
        let (status, body) = app.admin().get(&project.path(&format!("/tables{query}"))).await;
        assert_eq!((status, &body["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_request")), "{query}");
    }
}
