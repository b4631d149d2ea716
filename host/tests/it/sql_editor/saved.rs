//! Saved queries and the history.

use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::support::TestApp;

#[tokio::test]
async fn queries_are_saved_changed_and_deleted() {
    let app = TestApp::start().await;
    let (project, other) = (app.create_project("Shop").await, app.create_project("Other").await);
    let admin = app.admin();
    let sql = format!("SELECT 1 -- {}", "é".repeat(100_000));
    let (status, created) = admin.post(&project.path("/queries"), json!({ "name": "Count", "sql": sql })).await;
    assert_eq!((status, &created["sql"], &created["version"]), (StatusCode::CREATED, &json!(sql), &json!(1)));
    admin.post(&project.path("/queries"), json!({ "name": "All", "sql": "TABLE t" })).await;
    let path = project.path(&format!("/queries/{}", created["id"].as_str().unwrap()));
    let (_, first) = admin.get(&project.path("/queries?limit=1")).await;
    assert_eq!(first["items"][0]["name"], "All");
    let cursor = first["nextCursor"].as_str().unwrap();
    let (_, second) = admin.get(&project.path(&format!("/queries?limit=1&cursor={cursor}"))).await;
    assert_eq!((&second["items"][0], &second["nextCursor"]), (&created, &Value::Null));

    let (status, updated) = admin.patch(&path, json!({ "sql": "SELECT 2" })).await;
    assert_eq!((status, &updated["version"], &updated["name"]), (StatusCode::OK, &json!(2), &json!("Count")));
    assert_eq!(admin.get(&path).await.1, updated);
    // The query is not visible in other projects.
    let elsewhere = other.path(&format!("/queries/{}", created["id"].as_str().unwrap()));
    assert_eq!(admin.get(&elsewhere).await.0, StatusCode::NOT_FOUND);
    assert_eq!(admin.delete(&elsewhere).await.0, StatusCode::NOT_FOUND);
    assert_eq!(admin.delete(&path).await.0, StatusCode::NO_CONTENT);
    let (_, audit) = admin.get("/admin/v1/audit?action=query.*&result=success").await;
    let names: Vec<_> = audit["items"].as_array().unwrap().iter().map(|entry| &entry["details"]["name"]).collect();
    assert_eq!(names, ["Count", "Count", "All", "Count"], "{audit}");
    for status in [admin.get(&path).await.0, admin.delete(&path).await.0, admin.patch(&path, json!({})).await.0] {
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
    for body in [json!({ "name": "", "sql": "" }), json!({ "name": "a\nb", "sql": "" }), json!({ "name": "a" })] {
        assert_eq!(admin.post(&project.path("/queries"), body.clone()).await.0, StatusCode::BAD_REQUEST, "{body}");
    }
}

#[tokio::test]
async fn query_changed_in_another_window_is_not_overwritten() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    let (_, created) = app.admin().post(&project.path("/queries"), json!({ "name": "q", "sql": "SELECT 1" })).await;
    let path = project.path(&format!("/queries/{}", created["id"].as_str().unwrap()));
    let read = app.admin().request(Method::GET, &path).send().await.unwrap();
    let tag = read.headers()[header::ETAG].to_str().unwrap().to_owned();
    let with_tag = app.admin().with_header("if-match", &tag);
    let (status, updated) = with_tag.patch(&path, json!({ "sql": "SELECT 2" })).await;
    assert_eq!((status, &updated["sql"]), (StatusCode::OK, &json!("SELECT 2")));
    for (status, response) in [with_tag.patch(&path, json!({ "sql": "SELECT 3" })).await, with_tag.delete(&path).await]
    {
        assert_eq!(
            (status, &response["error"]["code"]),
            (StatusCode::PRECONDITION_FAILED, &json!("precondition_failed")),
            "{response}"
        );
    }
    assert_eq!(app.admin().get(&path).await.1["sql"], "SELECT 2");
}

#[tokio::test]
async fn history_lists_sent_texts_with_their_outcome() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    let path = project.path("/queries/history");
    for (sql, script) in [
        ("SELECT * FROM generate_series(1, 3)", false),
        ("SELEC", false),
        ("SELECT 1; SELECT 2", true),
        ("BEGIN", false),
    ] {
        app.admin().post(&project.path("/sql"), json!({ "sql": sql, "script": script })).await;
    }
    let (_, page) = app.admin().get(&path).await;
    let entries: Vec<Value> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| json!([entry["sql"], entry["rowCount"], entry["error"].is_string()]))
        .collect();
    assert_eq!(
        entries,
        [
            json!(["BEGIN", null, true]),
            json!(["SELECT 1; SELECT 2", 2, false]),
            json!(["SELEC", null, true]),
            json!(["SELECT * FROM generate_series(1, 3)", 3, false]),
        ]
    );
    assert!(page["items"][1]["durationMs"].as_f64().unwrap() > 0.0);
    assert!(page["items"][1]["at"].is_string());
    let (_, first) = app.admin().get(&format!("{path}?limit=3")).await;
    let cursor = first["nextCursor"].as_str().unwrap();
    let (_, rest) = app.admin().get(&format!("{path}?limit=3&cursor={cursor}")).await;
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["nextCursor"]), (1, &Value::Null));

    assert_eq!(app.admin().delete(&path).await.0, StatusCode::NO_CONTENT);
    assert_eq!(app.admin().get(&path).await.1["items"], json!([]));
}

#[tokio::test]
async fn history_is_limited_by_number_and_age() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    sqlx::query(
        "INSERT INTO sql_history (project_id, sql, at, duration_ms)
         SELECT $1::text, 'old', now() - interval '91 days', 1 FROM generate_series(1, 5)
         UNION ALL SELECT $1::text, 'recent', now(), 1 FROM generate_series(1, 1200)",
    )
    .bind(&project.id)
    .execute(app.app.platform())
    .await
    .unwrap();
    app.admin().post(&project.path("/sql"), json!({ "sql": "SELECT 1" })).await;
    let kept: Vec<(String, i64)> =
        sqlx::query_as("SELECT sql, count(*) FROM sql_history WHERE project_id = $1 GROUP BY sql ORDER BY sql")
            .bind(&project.id)
            .fetch_all(app.app.platform())
            .await
            .unwrap();
    assert_eq!(kept, [("SELECT 1".to_owned(), 1), ("recent".to_owned(), 999)]);
}
