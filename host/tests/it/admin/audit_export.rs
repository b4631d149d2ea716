//! Search and export of the audit log.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{TestApp, code};

async fn export(app: &TestApp, query: &str) -> (reqwest::header::HeaderMap, Vec<Value>) {
    let path = format!("/admin/v1/audit/export{query}");
    let response = app.admin().request(Method::GET, &path).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let headers = response.headers().clone();
    let text = response.text().await.unwrap();
    (headers, text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[tokio::test]
async fn entries_are_found_by_target_and_text() {
    let app = TestApp::start().await;
    let project = app.create_project("Notebook").await;
    let (_, created) = app.admin().post(&project.path("/keys"), json!({ "type": "secret", "name": "Web App" })).await;
    let key = created["apiKey"]["id"].as_str().unwrap();
    app.admin().post(&project.path("/buckets"), json!({ "name": "photos" })).await;
    let actions = async |query: &str| -> Vec<String> {
        let (status, page) = app.admin().get(&format!("/admin/v1/audit{query}")).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let items = page["items"].as_array().unwrap().iter();
        items.map(|entry| entry["action"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(actions(&format!("?target={key}")).await, ["key.create"]);
    assert_eq!(actions("?q=web%20app").await, ["key.create"]);
    assert_eq!(actions("?q=PHOTOS").await, ["bucket.create"]);
    assert_eq!(actions("?q=notebook&action=bucket.*").await, ["bucket.create"], "not found by the project's name");
    assert_eq!(actions("?q=100%25_").await, Vec::<String>::new(), "`%` and `_` were not read as plain characters");
    assert_eq!(actions("?q=").await.len(), 3);
    for path in ["audit?q=%00", "audit?actor=a%00", "audit/export?target=%00"] {
        let (status, error) = app.admin().get(&format!("/admin/v1/{path}")).await;
        assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_request"), "{path}");
    }
    let (_, page) = app.admin().get("/admin/v1/audit?action=key.create").await;
    assert_eq!(page["items"][0]["projectName"], "Notebook");
}

/// Covers more than one batch.
#[tokio::test]
async fn export_contains_a_line_for_every_matching_entry() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    sqlx::query(
        "INSERT INTO audit_logs (id, at, actor, action, result, details)
         SELECT gen_random_uuid(), now() - interval '1 day' - make_interval(secs => n), 'cli', 'test.made', 'success',
                '{}'
         FROM generate_series(1, 2500) AS n",
    )
    .execute(app.app.platform())
    .await
    .unwrap();
    let (headers, all) = export(&app, "").await;
    assert_eq!(headers["content-type"], "application/x-ndjson");
    assert!(headers["content-disposition"].to_str().unwrap().starts_with("attachment; filename=\"audit-"));
    assert_eq!((all.len(), &all[0]["action"]), (2501, &json!("project.create")));
    let times: Vec<&str> = all.iter().map(|entry| entry["at"].as_str().unwrap()).collect();
    assert!(times[1..].is_sorted_by(|a, b| a > b), "the entries are not sorted from newest to oldest");
    let (_, of_project) = export(&app, &format!("?projectId={}&q=shop", project.id)).await;
    assert_eq!(of_project.len(), 1);
    let (_, none) = export(&app, "?action=nothing.*").await;
    assert!(none.is_empty());
    let (status, error) = app.admin().get("/admin/v1/audit/export?limit=5").await;
    assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_request"));
}
