//! API keys: creation, rotation, revocation, expiry.

use chrono::{TimeDelta, Utc};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Client, TestApp, TestProject, eventually};

async fn create(app: &TestApp, project: &TestProject, body: Value) -> (String, Client) {
    let (status, created) = app.admin().post(&project.path("/keys"), body).await;
    assert_eq!(status, StatusCode::CREATED, "{created}");
    let id = created["apiKey"]["id"].as_str().unwrap().to_owned();
    (id, app.public().with_header("x-api-key", created["key"].as_str().unwrap()))
}

async fn is_accepted(client: &Client) -> bool {
    let (status, body) = client.get("/v1/db/tables").await;
    assert!(status == StatusCode::OK || status == StatusCode::UNAUTHORIZED, "{status}: {body}");
    status == StatusCode::OK
}

#[tokio::test]
async fn key_is_shown_once_and_only_its_hash_is_stored() {
    let app = TestApp::start().await;
    let project = app.create_project("Keys").await;
    let (_, client) = create(&app, &project, json!({ "type": "secret", "name": "worker" })).await;
    assert!(is_accepted(&client).await);
    let (_, list) = app.admin().get(&project.path("/keys")).await;
    let names: Vec<_> = list["items"].as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["default", "default", "worker"]);
    assert!(!list.to_string().contains(&project.secret_key), "{list}");
    assert!(list["items"][2]["prefix"].as_str().unwrap().starts_with("ah_sec_"));
    let stored: Vec<String> =
        sqlx::query_scalar("SELECT row_to_json(k)::text FROM api_keys k").fetch_all(app.app.platform()).await.unwrap();
    assert!(stored.iter().all(|row| !row.contains(&project.secret_key)));
}

#[tokio::test]
async fn revoked_key_stops_working_on_every_node() {
    let app = TestApp::start().await;
    let project = app.create_project("Revoked").await;
    let other = TestApp::builder()
        .database_url(app.services.database_url.expose())
        .master_keys(&app.services.master_key, None)
        .start()
        .await;
    let (id, here) = create(&app, &project, json!({ "type": "secret", "name": "k" })).await;
    let (_, body) = app.admin().get(&project.path("/keys")).await;
    assert_eq!(body["items"][2]["lastUsedAt"], Value::Null);
    let key =
        here.request(reqwest::Method::GET, "/").build().unwrap().headers()["x-api-key"].to_str().unwrap().to_owned();
    let there = other.public().with_header("x-api-key", &key);
    assert!(is_accepted(&here).await && is_accepted(&there).await);
    let (status, _) = app.admin().delete(&project.path(&format!("/keys/{id}"))).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert!(!is_accepted(&here).await);
    let revoked = std::time::Instant::now();
    while is_accepted(&there).await {
        assert!(revoked.elapsed().as_secs_f64() < 1.1, "the other node still accepts the key");
    }
    let (_, body) = app.admin().get(&project.path("/keys")).await;
    assert!(body["items"][2]["revokedAt"].is_string() && body["items"][2]["lastUsedAt"].is_string(), "{body}");
}

#[tokio::test]
async fn rotated_key_works_until_the_overlap_ends() {
    let app = TestApp::start().await;
    let project = app.create_project("Rotated").await;
    for (overlap, old_works) in [(3600, true), (0, false)] {
        let (id, old) = create(&app, &project, json!({ "type": "publishable", "name": "web" })).await;
        let path = project.path(&format!("/keys/{id}/rotate"));
        let (status, rotated) = app.admin().post(&path, json!({ "overlapSeconds": overlap })).await;
        assert_eq!(status, StatusCode::CREATED, "{rotated}");
        assert_eq!(rotated["apiKey"]["name"], "web");
        let new = app.public().with_header("x-api-key", rotated["key"].as_str().unwrap());
        assert!(is_accepted(&new).await);
        assert_eq!(is_accepted(&old).await, old_works);
    }
}

#[tokio::test]
async fn expired_key_returns_401() {
    let app = TestApp::start().await;
    let project = app.create_project("Expired").await;
    let past = (Utc::now() - TimeDelta::hours(1)).to_rfc3339();
    let (status, error) =
        app.admin().post(&project.path("/keys"), json!({ "type": "secret", "name": "k", "expiresAt": past })).await;
    assert_eq!((status, error["error"]["code"].as_str()), (StatusCode::BAD_REQUEST, Some("invalid_request")));
    let soon = (Utc::now() + TimeDelta::milliseconds(1500)).to_rfc3339();
    let (_, client) = create(&app, &project, json!({ "type": "secret", "name": "k", "expiresAt": soon })).await;
    assert!(is_accepted(&client).await);
    eventually("the key has expired", async || (!is_accepted(&client).await).then_some(())).await;
}

#[tokio::test]
async fn wrong_keys_return_401() {
    let app = TestApp::start().await;
    let project = app.create_project("Wrong").await;
    let mut tampered = project.secret_key.clone();
    tampered.replace_range(tampered.len() - 4.., "AAAA");
    for key in ["", "x", "ah_sec_short", &tampered, &format!("{}x", project.secret_key), "ah_pub_\u{e9}"] {
        let (status, error) = app.public().with_header("x-api-key", key).get("/v1/db/tables").await;
        assert_eq!(
            (status, error["error"]["code"].as_str()),
            (StatusCode::UNAUTHORIZED, Some("unauthorized")),
            "{key}"
        );
    }
    let (status, error) = app.public().get("/v1/db/tables").await;
    assert_eq!((status, error["error"]["code"].as_str()), (StatusCode::UNAUTHORIZED, Some("unauthorized")));
    assert!(error["error"]["requestId"].as_str().unwrap().len() >= 16);
}
