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

/// Moves the expiry of a key to now, as if the time until then had passed.
async fn expire(app: &TestApp, id: &str) {
    let sql = "UPDATE api_keys SET expires_at = now() WHERE id = $1::uuid AND expires_at > now()";
    let expired = sqlx::query(sql).bind(id).execute(app.app.platform()).await.unwrap();
    assert_eq!(expired.rows_affected(), 1, "the key does not expire");
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
    eventually("the other node refuses the key", async || !is_accepted(&there).await).await;
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

/// Returns the seconds from the creation of a response's key to its expiry, or `None` if it does not expire.
fn lifetime(rotated: &Value) -> Option<i64> {
    let time = |field: &str| rotated["apiKey"][field].as_str().map(|at| at.parse::<chrono::DateTime<Utc>>().unwrap());
    Some((time("expiresAt")? - time("createdAt").unwrap()).num_seconds())
}

#[tokio::test]
async fn key_rotated_again_passes_on_its_original_lifetime() {
    let app = TestApp::start().await;
    let project = app.create_project("Rotated again").await;
    let in_nine_days = (Utc::now() + TimeDelta::days(9)).to_rfc3339();
    for expires_at in [Value::Null, json!(in_nine_days)] {
        let body = json!({ "type": "secret", "name": "worker", "expiresAt": expires_at });
        let (id, _) = create(&app, &project, body).await;
        let rotate = async |id: &str| {
            let path = project.path(&format!("/keys/{id}/rotate"));
            let (status, rotated) = app.admin().post(&path, json!({ "overlapSeconds": 60 })).await;
            assert_eq!(status, StatusCode::CREATED, "{rotated}");
            rotated
        };
        let first = rotate(&id).await;
        // The successor is rotated, too, so its own expiry is the end of an overlap.
        rotate(first["apiKey"]["id"].as_str().unwrap()).await;
        let (second, third) = tokio::join!(rotate(&id), rotate(&id));
        for rotated in [first, second, third] {
            assert_eq!(lifetime(&rotated).is_some(), expires_at.is_string(), "{rotated}");
            assert!(lifetime(&rotated).is_none_or(|seconds| seconds > 8 * 24 * 3600), "{rotated}");
        }
    }
}

#[tokio::test]
async fn key_that_expires_at_the_latest_possible_time_is_rotated() {
    let app = TestApp::start().await;
    let project = app.create_project("Latest").await;
    let body = json!({ "type": "secret", "name": "worker", "expiresAt": "+262142-12-31T23:59:59.999999Z" });
    let (id, _) = create(&app, &project, body).await;
    let path = project.path(&format!("/keys/{id}/rotate"));
    let (status, rotated) = app.admin().post(&path, json!({ "overlapSeconds": 0 })).await;
    assert_eq!(status, StatusCode::CREATED, "{rotated}");
}

#[tokio::test]
async fn rotation_without_a_body_has_no_overlap() {
    let app = TestApp::start().await;
    let project = app.create_project("No body").await;
    let (id, old) = create(&app, &project, json!({ "type": "secret", "name": "worker" })).await;
    let path = project.path(&format!("/keys/{id}/rotate"));
    let (status, rotated) = app.admin().send(reqwest::Method::POST, &path, None).await;
    assert_eq!(status, StatusCode::CREATED, "{rotated}");
    assert!(!is_accepted(&old).await);
}

#[tokio::test]
async fn expired_key_returns_401() {
    let app = TestApp::start().await;
    let project = app.create_project("Expired").await;
    let past = (Utc::now() - TimeDelta::hours(1)).to_rfc3339();
    let (status, error) =
        app.admin().post(&project.path("/keys"), json!({ "type": "secret", "name": "k", "expiresAt": past })).await;
    assert_eq!((status, error["error"]["code"].as_str()), (StatusCode::BAD_REQUEST, Some("invalid_request")));
    let later = (Utc::now() + TimeDelta::hours(1)).to_rfc3339();
    let (id, client) = create(&app, &project, json!({ "type": "secret", "name": "k", "expiresAt": later })).await;
    assert!(is_accepted(&client).await);
    expire(&app, &id).await;
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

#[tokio::test]
async fn name_and_expiry_of_a_key_can_be_changed() {
    let app = TestApp::start().await;
    let project = app.create_project("Changed").await;
    let later = (Utc::now() + TimeDelta::days(9)).to_rfc3339();
    let (id, client) = create(&app, &project, json!({ "type": "secret", "name": "worker", "expiresAt": later })).await;
    let path = project.path(&format!("/keys/{id}"));
    let (status, key) = app.admin().patch(&path, json!({ "name": " queue " })).await;
    assert_eq!((status, &key["name"]), (StatusCode::OK, &json!("queue")), "{key}");
    assert!(key["expiresAt"].is_string(), "a field that is absent from the request changed: {key}");
    let (_, key) = app.admin().patch(&path, json!({ "expiresAt": null })).await;
    assert_eq!(key["expiresAt"], Value::Null);
    assert!(is_accepted(&client).await);
    let refused = [
        (json!({ "name": "" }), "invalid_request"),
        (json!({ "expiresAt": "2001-01-01T00:00:00Z" }), "invalid_request"),
        (json!({ "type": "secret" }), "invalid_json"),
    ];
    for (body, code) in refused {
        let (status, error) = app.admin().patch(&path, body).await;
        assert_eq!((status, error["error"]["code"].as_str()), (StatusCode::BAD_REQUEST, Some(code)));
    }
    let (status, key) = app.admin().patch(&path, json!({ "expiresAt": later })).await;
    assert_eq!(status, StatusCode::OK, "{key}");
    assert!(key["expiresAt"].is_string() && is_accepted(&client).await, "{key}");
    expire(&app, &id).await;
    eventually("the key expires", async || (!is_accepted(&client).await).then_some(())).await;
    let (status, error) = app.admin().patch(&path, json!({ "name": "late" })).await;
    assert_eq!((status, error["error"]["code"].as_str()), (StatusCode::CONFLICT, Some("conflict")));
    let (status, _) = app.admin().patch(&project.path("/keys/none"), json!({ "name": "x" })).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn rotated_keys_name_each_other() {
    let app = TestApp::start().await;
    let project = app.create_project("Pair").await;
    let (id, _) = create(&app, &project, json!({ "type": "secret", "name": "worker" })).await;
    let (_, rotated) = app.admin().post(&project.path(&format!("/keys/{id}/rotate")), json!({})).await;
    assert_eq!((&rotated["apiKey"]["replaces"], &rotated["apiKey"]["replacedBy"]), (&json!(id), &Value::Null));
    let (_, list) = app.admin().get(&project.path("/keys")).await;
    let old = list["items"].as_array().unwrap().iter().find(|key| key["id"] == id).unwrap();
    assert_eq!((&old["replacedBy"], &old["replaces"]), (&rotated["apiKey"]["id"], &Value::Null));
}

#[tokio::test]
async fn requests_of_a_key_are_counted() {
    let app = TestApp::start().await;
    let project = app.create_project("Counted").await;
    let (id, client) = create(&app, &project, json!({ "type": "secret", "name": "worker" })).await;
    for _ in 0..3 {
        assert!(is_accepted(&client).await);
    }
    app.app.projects().keys.store_usage().await;
    assert!(is_accepted(&client).await);
    app.app.projects().keys.store_usage().await;
    let count = async || {
        let (_, list) = app.admin().get(&project.path("/keys")).await;
        let key = list["items"].as_array().unwrap().iter().find(|key| key["id"] == id).unwrap().clone();
        key["requests24h"].as_i64().unwrap()
    };
    assert_eq!(count().await, 4);
    sqlx::query("UPDATE api_key_usage SET hour = hour - interval '25 hours'")
        .execute(app.app.platform())
        .await
        .unwrap();
    assert_eq!(count().await, 0);
}
