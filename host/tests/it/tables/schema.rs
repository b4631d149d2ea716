//! The schema of a project's database: all names, for completion.

use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::support::{TestApp, TestProject};

async fn schema(app: &TestApp, project: &TestProject, seen: Option<&str>) -> (StatusCode, Option<String>, Value) {
    let mut request = app.admin().request(Method::GET, &project.path("/schema"));
    if let Some(seen) = seen {
        request = request.header(header::IF_NONE_MATCH, seen);
    }
    let response = request.send().await.unwrap();
    let entity_tag = response.headers().get(header::ETAG).map(|tag| tag.to_str().unwrap().to_owned());
    let status = response.status();
    let body = response.bytes().await.unwrap();
    (status, entity_tag, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn schema_lists_tables_functions_and_enums() {
    let app = TestApp::start().await;
    let project = app.create_project("Names").await;
    project
        .sql(
            "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE items (id int, price numeric(10,2)[]);
             CREATE VIEW recent AS TABLE items; CREATE SCHEMA extra; CREATE TABLE extra.\"A b\" ();
             CREATE FUNCTION area(width int, height int DEFAULT 1) RETURNS bigint LANGUAGE sql RETURN width * height;
             CREATE PROCEDURE tidy() LANGUAGE sql AS '';",
        )
        .await;
    let (status, _, body) = schema(&app, &project, None).await;
    assert_eq!(status, StatusCode::OK);
    let schemas = body["schemas"].as_array().unwrap();
    assert_eq!(
        schemas[0],
        json!({
            "name": "public",
            "tables": [
                { "name": "items", "kind": "table", "columns": [
                    { "name": "id", "type": "integer" }, { "name": "price", "type": "numeric(10,2)[]" }] },
                { "name": "recent", "kind": "view", "columns": [
                    { "name": "id", "type": "integer" }, { "name": "price", "type": "numeric(10,2)[]" }] },
            ],
            "functions": [
                { "name": "area", "kind": "function", "arguments": "width integer, height integer DEFAULT 1",
                  "returns": "bigint" },
                { "name": "tidy", "kind": "procedure", "arguments": "", "returns": null },
            ],
            "enums": [{ "name": "mood", "values": ["sad", "ok"] }],
        })
    );
    let extra = schemas.iter().find(|schema| schema["name"] == "extra").unwrap();
    assert_eq!(extra["tables"][0]["name"], "A b");
    assert!(schemas.iter().all(|schema| !schema["name"].as_str().unwrap().starts_with("pg_")), "{body}");
}

#[tokio::test]
async fn entity_tag_changes_with_the_schema() {
    let app = TestApp::start().await;
    let project = app.create_project("Tags").await;
    project.sql("CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE items (id int)").await;
    let (_, mut tag, _) = schema(&app, &project, None).await;
    for sql in [
        "ALTER TABLE items ADD price int",
        "ALTER TABLE items RENAME price TO cost",
        "ALTER TYPE mood ADD VALUE 'ok'",
        "ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'",
        "CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql RETURN a",
        "CREATE OR REPLACE FUNCTION f(a int DEFAULT 1) RETURNS int LANGUAGE sql RETURN a",
        "CREATE SCHEMA extra",
        "CREATE STATISTICS doubled ON (id * 2), cost FROM items",
        "DROP TABLE items",
    ] {
        let seen = tag.unwrap();
        for if_none_match in [format!("\"other\", W/{seen}"), "*".to_owned()] {
            let (status, unchanged, _) = schema(&app, &project, Some(&if_none_match)).await;
            assert_eq!((status, unchanged.as_ref()), (StatusCode::NOT_MODIFIED, Some(&seen)), "before {sql}");
        }
        project.sql(sql).await;
        let (status, changed, body) = schema(&app, &project, Some(&seen)).await;
        assert_eq!(status, StatusCode::OK, "{sql}: {body}");
        assert_ne!(changed.as_deref(), Some(&*seen), "{sql}");
        tag = changed;
    }
}
