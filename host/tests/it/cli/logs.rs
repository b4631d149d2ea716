//! The log contains no secrets and no values at any level.

use reqwest::StatusCode;
use serde_json::json;

use crate::support::{ADMIN_TOKEN, Client, Postgres, ProgramVars};

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_or_value_is_logged_at_any_level() {
    let url = Postgres::shared().platform_database().await;
    let vars = ProgramVars::external(&url).set("ATLASHUB_LOG", "trace");
    let serving = vars.serve(&[]);
    let admin = Client::new(&*serving.admin_url).with_header("x-dev-admin-token", ADMIN_TOKEN);
    let (status, project) = admin.post("/admin/v1/projects", json!({ "name": "Quiet" })).await;
    assert_eq!(status, StatusCode::CREATED);
    let id = project["project"]["id"].as_str().unwrap();
    let (secret, publishable) = (project["secretKey"].as_str().unwrap(), project["publishableKey"].as_str().unwrap());
    let sql = json!({ "sql": "CREATE TABLE items (id int PRIMARY KEY, body text DEFAULT 'value-in-a-statement')" });
    assert_eq!(admin.post(&format!("/admin/v1/projects/{id}/sql"), sql).await.0, StatusCode::OK);
    let client = Client::new(&*serving.public_url).with_header("x-api-key", secret);
    let rows = json!({ "rows": [{ "id": 1, "body": "value-in-a-row" }] });
    assert_eq!(client.post("/v1/db/items", rows.clone()).await.0, StatusCode::CREATED);
    assert_eq!(client.post("/v1/db/items", rows).await.0, StatusCode::CONFLICT);
    assert_eq!(client.get("/v1/db/items?eq.body=value-in-a-filter").await.0, StatusCode::OK);
    assert_eq!(client.get("/v1/db/items?eq.id=value-of-a-wrong-type").await.0, StatusCode::BAD_REQUEST);
    let upload = json!({ "bucket": "uploads", "path": "a.txt", "contentType": "text/plain" });
    assert_eq!(client.post("/v1/storage/signed-upload", upload).await.0, StatusCode::OK);
    let token = client.with_header("authorization", "Bearer token-of-somebody");
    assert_eq!(token.get("/v1/db/items").await.0, StatusCode::UNAUTHORIZED);
    let guess = Client::new(&*serving.admin_url).with_header("x-dev-admin-token", "guessed-admin-token");
    assert_eq!(guess.get("/admin/v1/projects").await.0, StatusCode::UNAUTHORIZED);

    let log = serving.end();
    assert!(log.iter().any(|line| line.contains("request completed")), "nothing was logged at debug");
    let secrets = [
        secret,
        publishable,
        ADMIN_TOKEN,
        "guessed-admin-token",
        "token-of-somebody",
        "password-of-the-tests",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "value-in-a-statement",
        "value-in-a-row",
        "value-in-a-filter",
        "X-Amz-Signature",
        "SCRAM-SHA-256$",
    ];
    for line in &log {
        for secret in secrets {
            assert!(!line.contains(secret), "the log contains `{secret}`: {line}");
        }
    }
}
