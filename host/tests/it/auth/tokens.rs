//! Access tokens: their claims, their signing keys and their verification.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::Jwk};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::Connection as _;

use super::{change_settings, execute, log_in, refresh, schema::pretend_restore, sign_up, signed_in, start};
use crate::support::{TestApp, TestProject, code, eventually};

async fn public_keys(app: &TestApp, project: &TestProject) -> Vec<Value> {
    let path = format!("/v1/auth/jwks/{}", project.id);
    let response = app.public().request(Method::GET, &path).header("origin", "https://a.example.com").send().await;
    let response = response.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    let body: Value = response.json().await.unwrap();
    body["keys"].as_array().unwrap().clone()
}

fn access_token(body: &Value) -> &str {
    body["session"]["accessToken"].as_str().unwrap()
}

fn part(token: &str, index: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap()).unwrap()
}

#[tokio::test]
async fn access_token_contains_the_documented_claims_and_verifies_with_the_published_key() {
    let (app, project) = start("Claims").await;
    let body = sign_up(&project, "ada@example.com").await;
    let token = access_token(&body);
    let header = part(token, 0);
    assert_eq!((&header["alg"], &header["typ"]), (&json!("ES256"), &json!("JWT")));
    let keys = public_keys(&app, &project).await;
    assert_eq!((keys.len(), &keys[0]["kid"]), (1, &header["kid"]));
    assert!(keys[0].get("d").is_none(), "the private part is published: {keys:?}");
    let key = DecodingKey::from_jwk(&serde_json::from_value::<Jwk>(keys[0].clone()).unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&[&project.id]);
    validation.set_issuer(&[format!("{}/v1/auth/{}", app.app.config().public_url, project.id)]);
    let claims = jsonwebtoken::decode::<Value>(token, &key, &validation).unwrap().claims;
    let names: std::collections::BTreeSet<_> = claims.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = ["aal", "amr", "app_role", "aud", "email", "exp", "iat", "iss", "role", "session_id", "sub"];
    assert_eq!(names, expected.into());
    assert_eq!((&claims["aal"], &claims["amr"][0]["method"]), (&json!("aal1"), &json!("password")));
    assert_eq!(claims["amr"][0]["timestamp"], claims["iat"]);
    assert_eq!(
        (&claims["sub"], &claims["email"], &claims["role"], &claims["app_role"]),
        (&body["user"]["id"], &json!("ada@example.com"), &json!("authenticated"), &json!("member"))
    );
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 900);
    assert_eq!(claims["exp"], body["session"]["expiresAt"]);
}

#[tokio::test]
async fn rotation_of_the_signing_key_ends_no_session() {
    let (app, project) = start("Rotation of keys").await;
    let before = sign_up(&project, "a@example.com").await;
    let old = part(access_token(&before), 0)["kid"].clone();
    let (status, body) = app.admin().post(&project.path("/auth/rotate-key"), json!({})).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_ne!(body["kid"], old);
    assert_eq!(signed_in(&project, &before).get("/v1/auth/me").await.0, StatusCode::OK);
    let (_, after) = refresh(&project, &before["session"]["refreshToken"]).await;
    assert_eq!(part(access_token(&after), 0)["kid"], body["kid"]);
    assert_eq!(signed_in(&project, &after).get("/v1/auth/me").await.0, StatusCode::OK);
    let published: Vec<_> = public_keys(&app, &project).await.iter().map(|key| key["kid"].clone()).collect();
    assert_eq!(published, [body["kid"].clone(), old.clone()]);
    // A key verifies nothing once every token that it signed has expired.
    sqlx::query("UPDATE signing_keys SET retired_at = retired_at - interval '26 hours' WHERE retired_at IS NOT NULL")
        .execute(app.app.platform())
        .await
        .unwrap();
    app.app.gate().tokens.forget(&project.id);
    assert_eq!(signed_in(&project, &before).get("/v1/auth/me").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(signed_in(&project, &after).get("/v1/auth/me").await.0, StatusCode::OK);
}

#[tokio::test]
async fn configured_issuer_is_in_tokens_and_accepted() {
    let (_app, project) = start("Issuer").await;
    let before = sign_up(&project, "a@example.com").await;
    let settings = change_settings(&project, json!({ "issuer": "https://id.example.com/x" })).await;
    assert_eq!(settings["issuer"], "https://id.example.com/x");
    let (_, after) = log_in(&project, "a@example.com", super::PASSWORD).await;
    assert_eq!(part(access_token(&after), 1)["iss"], "https://id.example.com/x");
    for body in [before, after] {
        assert_eq!(signed_in(&project, &body).get("/v1/auth/me").await.0, StatusCode::OK);
    }
}

#[tokio::test]
async fn api_key_as_bearer_token_is_refused_with_a_hint() {
    let (_app, project) = start("Two headers").await;
    for key in [&project.publishable_key, &project.secret_key] {
        let client = project.publishable().with_header("authorization", &format!("Bearer {key}"));
        let (status, body) = client.get("/v1/db/tables").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        let hint = body["error"]["hint"].as_str().unwrap();
        assert!(hint.contains("x-api-key"), "{hint}");
    }
}

#[tokio::test]
async fn ended_session_loses_access_to_tables_at_once_only_if_sessions_are_checked() {
    let (_app, project) = start("Checked").await;
    let body = sign_up(&project, "a@example.com").await;
    let client = signed_in(&project, &body);
    let tables = async || client.get("/v1/db/tables").await.0;
    assert_eq!(client.post("/v1/auth/logout", json!({})).await.0, StatusCode::NO_CONTENT);
    // By default, an access token works until it expires, even after a logout.
    assert_eq!(tables().await, StatusCode::OK);
    change_settings(&project, json!({ "checkSession": true })).await;
    assert_eq!(tables().await, StatusCode::UNAUTHORIZED);
    let (_, body) = log_in(&project, "a@example.com", super::PASSWORD).await;
    assert_eq!(signed_in(&project, &body).get("/v1/db/tables").await.0, StatusCode::OK);
}

#[tokio::test]
async fn checked_requests_do_not_wait_while_another_one_prepares_the_schema() {
    let (app, project) = start("Repaired").await;
    change_settings(&project, json!({ "checkSession": true })).await;
    let client = signed_in(&project, &sign_up(&project, "a@example.com").await);
    pretend_restore(&project).await;
    // The request that prepares the schema waits for the lock of the role for login.
    let mut connection = sqlx::PgConnection::connect(app.services.database_url.expose()).await.unwrap();
    let role = format!("atlashub auth role {}", project.id);
    let lock = sqlx::query("SELECT pg_advisory_lock(hashtextextended($1, 0))").bind(&role);
    lock.execute(&mut connection).await.unwrap();
    let preparing = tokio::spawn({
        let client = client.clone();
        async move { client.get("/v1/db/tables").await }
    });
    eventually("a request waits for the lock", async || {
        let waits = sqlx::query_scalar::<_, bool>(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
                            AND (classid::bigint << 32) | objid::bigint = hashtextextended($1, 0))",
        );
        waits.bind(&role).fetch_one(app.app.platform()).await.unwrap()
    })
    .await;
    let (status, body) = client.get("/v1/db/tables").await;
    assert_eq!((status, code(&body)), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"), "{body}");
    connection.close().await.unwrap();
    // The restore has ended the session.
    let (status, body) = preparing.await.unwrap();
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{body}");
    assert_eq!(client.get("/v1/db/tables").await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn checked_request_returns_503_if_the_schema_cannot_be_taken_over() {
    let (_app, project) = start("Changed").await;
    change_settings(&project, json!({ "checkSession": true })).await;
    let client = signed_in(&project, &sign_up(&project, "a@example.com").await);
    pretend_restore(&project).await;
    execute(&project, "ALTER TABLE auth.users ADD COLUMN spied text GENERATED ALWAYS AS (lower(email)) STORED").await;
    let (status, body) = client.get("/v1/db/tables").await;
    assert_eq!((status, code(&body)), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"), "{body}");
}
