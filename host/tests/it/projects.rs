//! Projects come whole and go whole; their databases are closed to one another.

use reqwest::StatusCode;
use serde_json::json;

use crate::support::TestApp;

#[tokio::test]
async fn a_project_is_made_listed_renamed_and_removed() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    assert!(project.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()));
    assert!(project.publishable_key.starts_with("ah_pub_") && project.secret_key.starts_with("ah_sec_"));

    let (status, list) = app.admin().get("/admin/v1/projects").await;
    assert_eq!((status, list["items"][0]["name"].as_str()), (StatusCode::OK, Some("Shop")));
    let (status, detail) = app.admin().get(&project.path("")).await;
    assert_eq!((status, detail["activeKeyCount"].as_i64()), (StatusCode::OK, Some(2)));
    assert!(detail["databaseBytes"].as_i64() > Some(1_000_000), "{detail}");

    let (status, error) = app.admin().post("/admin/v1/projects", json!({ "name": "shop" })).await;
    assert_eq!((status, error["error"]["code"].as_str()), (StatusCode::CONFLICT, Some("conflict")));

    let (status, renamed) = app.admin().patch(&project.path(""), json!({ "name": "Store" })).await;
    assert_eq!((status, renamed["name"].as_str()), (StatusCode::OK, Some("Store")));

    let (status, error) = app.admin().delete_with(&project.path(""), json!({ "confirm": "Shop" })).await;
    assert_eq!((status, error["error"]["code"].as_str()), (StatusCode::BAD_REQUEST, Some("confirmation_required")));
    let (status, _) = app.admin().delete_with(&project.path(""), json!({ "confirm": "Store" })).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, _) = app.admin().get(&project.path("")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = project.secret().get("/v1/db/tables").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let left: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM pg_roles WHERE rolname LIKE $1) + (SELECT count(*) FROM pg_database WHERE datname LIKE $1)",
    )
    .bind(format!("proj\\_{}%", project.id))
    .fetch_one(app.app.platform())
    .await
    .unwrap();
    assert_eq!(left, 0);
}
