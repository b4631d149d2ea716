//! Refresh tokens: their exchange, their reuse, and their expiry.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::Value;

use super::{change_settings, enable, events, execute, query, refresh, sign_up, signed_in, start};
use crate::support::{ProgramVars, TestApp, TestProject, code, eventually};

fn token(body: &Value) -> &Value {
    &body["session"]["refreshToken"]
}

/// Makes used tokens look as if they had been used earlier.
async fn age_used_tokens(project: &TestProject, seconds: u32) {
    execute(project, &format!("UPDATE auth.refresh_tokens SET used_at = used_at - interval '{seconds} s'")).await;
}

#[tokio::test]
async fn refresh_returns_a_new_token_of_the_same_session() {
    let (_app, project) = start("Rotation").await;
    let first = sign_up(&project, "a@example.com").await;
    let (status, second) = refresh(&project, token(&first)).await;
    assert_eq!(status, StatusCode::OK, "{second}");
    assert_ne!(token(&first), token(&second));
    assert_eq!(first["user"]["id"], second["user"]["id"]);
    let (status, third) = refresh(&project, token(&second)).await;
    assert_eq!(status, StatusCode::OK, "{third}");
    assert_eq!(signed_in(&project, &third).get("/v1/auth/me").await.0, StatusCode::OK);
    assert_eq!(query::<i64>(&project, "SELECT count(*) FROM auth.sessions").await, 1);
    // Only hashes are stored.
    let text = token(&third).as_str().unwrap();
    let found = format!("SELECT count(*) FROM auth.refresh_tokens t WHERE t::text LIKE '%{}%'", &text[8..20]);
    assert_eq!(query::<i64>(&project, &found).await, 0);
}

#[tokio::test]
async fn refresh_above_the_accounts_limit_leaves_the_token_unused() {
    let app = TestApp::builder().var("ATLASHUB_RATE_LIMIT_PUBLISHABLE", "0").start().await;
    let project = app.create_project("Refresh limit").await;
    enable(&project).await;
    let first = sign_up(&project, "a@example.com").await;
    let (mut session, mut exchanged) = (first.clone(), 0);
    let (status, error) = loop {
        let (status, body) = refresh(&project, token(&session)).await;
        if status != StatusCode::OK {
            break (status, body);
        }
        session = body;
        exchanged += 1;
    };
    assert_eq!((status, code(&error)), (StatusCode::TOO_MANY_REQUESTS, "rate_limited"), "{error}");
    assert_eq!(query::<i64>(&project, "SELECT count(*) FROM auth.refresh_tokens").await, exchanged + 1);
    // The reuse of a token ends the session even above the limit.
    age_used_tokens(&project, 60).await;
    let (status, error) = refresh(&project, token(&first)).await;
    assert_eq!((status, code(&error)), (StatusCode::UNAUTHORIZED, "invalid_refresh_token"), "{error}");
    assert_eq!(query::<i64>(&project, "SELECT count(*) FROM auth.sessions").await, 0);
}

#[tokio::test]
async fn same_token_within_the_grace_period_gives_the_same_successor_on_every_node() {
    let (app, project) = start("Grace").await;
    let node = TestApp::builder()
        .database_url(app.services.database_url.expose())
        .master_keys(&app.services.master_key, None)
        .start()
        .await;
    let other = node.public().with_header("x-api-key", &project.publishable_key);
    let mut session = sign_up(&project, "a@example.com").await;
    for _ in 0..5 {
        let body = serde_json::json!({ "refreshToken": token(&session) });
        let attempts = join_all((0..12).map(|number| {
            let client = if number % 2 == 0 { project.publishable() } else { other.clone() };
            let body = body.clone();
            async move { client.post("/v1/auth/refresh", body).await }
        }));
        let responses = attempts.await;
        assert!(responses.iter().all(|(status, _)| *status == StatusCode::OK), "{responses:?}");
        let tokens: BTreeSet<_> = responses.iter().map(|(_, body)| token(body).to_string()).collect();
        assert_eq!(tokens.len(), 1, "{tokens:?}");
        let times: BTreeSet<_> = responses.iter().map(|(_, body)| body["session"]["expiresAt"].to_string()).collect();
        assert_eq!(times.len(), 1, "{times:?}");
        session = responses[0].1.clone();
    }
    assert_eq!(query::<i64>(&project, "SELECT count(*) FROM auth.sessions").await, 1);
    assert_eq!(query::<i64>(&project, "SELECT count(*) FROM auth.refresh_tokens WHERE used_at IS NULL").await, 1);
    // The client repeats a refresh whose response was lost five seconds ago.
    let (_, next) = refresh(&project, token(&session)).await;
    age_used_tokens(&project, 5).await;
    let (status, again) = refresh(&project, token(&session)).await;
    assert_eq!((status, token(&again)), (StatusCode::OK, token(&next)), "{again}");
}

#[tokio::test]
async fn token_used_again_after_the_grace_period_ends_the_whole_session() {
    let (app, project) = start("Reuse").await;
    let stolen = sign_up(&project, "a@example.com").await;
    let other = super::log_in(&project, "a@example.com", super::PASSWORD).await.1;
    let (_, second) = refresh(&project, token(&stolen)).await;
    age_used_tokens(&project, 11).await;
    let (status, error) = refresh(&project, token(&stolen)).await;
    assert_eq!((status, code(&error)), (StatusCode::UNAUTHORIZED, "invalid_refresh_token"), "{error}");
    // This ends the tokens of both the thief and the user.
    assert_eq!(refresh(&project, token(&second)).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(signed_in(&project, &second).get("/v1/auth/me").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(refresh(&project, token(&other)).await.0, StatusCode::OK);
    let reuse = ("auth.refresh_reuse".to_owned(), "denied".to_owned());
    assert!(events(&app, &project).await.contains(&reuse));
}

#[tokio::test]
async fn expired_unknown_and_foreign_tokens_are_refused() {
    let (app, project) = start("Refused").await;
    let other = app.create_project("Other").await;
    enable(&other).await;
    let session = sign_up(&project, "a@example.com").await;
    for wrong in [serde_json::json!("ah_ref_unknown"), serde_json::json!(""), session["session"]["accessToken"].clone()]
    {
        let (status, error) = refresh(&project, &wrong).await;
        assert_eq!((status, code(&error)), (StatusCode::UNAUTHORIZED, "invalid_refresh_token"), "{error}");
    }
    assert_eq!(refresh(&other, token(&session)).await.0, StatusCode::UNAUTHORIZED);
    execute(&project, "UPDATE auth.refresh_tokens SET expires_at = now() - interval '1 s'").await;
    assert_eq!(refresh(&project, token(&session)).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(refresh(&project, &serde_json::json!(5)).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn tokens_expire_after_the_configured_times() {
    let (_app, project) = start("Lifetimes").await;
    change_settings(&project, serde_json::json!({ "accessTokenSeconds": 1, "refreshTokenDays": 2 })).await;
    let session = sign_up(&project, "a@example.com").await;
    assert_eq!(session["session"]["expiresIn"], 1);
    let client = signed_in(&project, &session);
    eventually("the access token expires", async || {
        (client.get("/v1/db/tables").await.0 == StatusCode::UNAUTHORIZED).then_some(())
    })
    .await;
    let days = "SELECT round(extract(epoch FROM expires_at - now()) / 86400)::bigint FROM auth.refresh_tokens
                WHERE used_at IS NULL";
    assert_eq!(query::<i64>(&project, days).await, 2);
    assert_eq!(refresh(&project, token(&session)).await.0, StatusCode::OK);
}

#[tokio::test]
async fn sweep_removes_expired_sessions_and_tokens_only() {
    let (app, project) = start("Sweep").await;
    let expired = sign_up(&project, "a@example.com").await;
    execute(
        &project,
        "UPDATE auth.sessions SET expires_at = now() - interval '1 s';
         UPDATE auth.refresh_tokens SET expires_at = now() - interval '1 s'",
    )
    .await;
    let alive = sign_up(&project, "b@example.com").await;
    let swept = atlashub::auth::sweep_ended_sessions(app.app.auth()).await.unwrap();
    assert_eq!((swept.removed, swept.more), (1, false));
    assert_eq!(query::<i64>(&project, "SELECT count(*) FROM auth.refresh_tokens").await, 1);
    assert_eq!(refresh(&project, token(&alive)).await.0, StatusCode::OK);
    assert_eq!(refresh(&project, token(&expired)).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn process_that_is_killed_between_write_and_response_loses_no_session() {
    let (app, project) = start("Crash").await;
    let session = sign_up(&project, "a@example.com").await;
    // The process can't read the signing key, so it waits between the exchange and the response.
    let mut blocker = app.app.platform().begin().await.unwrap();
    let program = ProgramVars::external(app.services.database_url.expose())
        .set("PLATFORM_MASTER_KEY", &app.services.master_key.to_base64());
    let serving = tokio::task::spawn_blocking(move || program.serve(&[])).await.unwrap();
    sqlx::query("LOCK TABLE signing_keys IN ACCESS EXCLUSIVE MODE").execute(&mut *blocker).await.unwrap();
    let client = crate::support::Client::new(&*serving.public_url).with_header("x-api-key", &project.publishable_key);
    let body = serde_json::json!({ "refreshToken": token(&session) });
    let request = client.request(reqwest::Method::POST, "/v1/auth/refresh").json(&body);
    let lost = tokio::spawn(request.send());
    let used = "SELECT count(*) FROM auth.refresh_tokens WHERE used_at IS NOT NULL";
    eventually("the token is used", async || (query::<i64>(&project, used).await == 1).then_some(())).await;
    assert!(!lost.is_finished());
    tokio::task::spawn_blocking(move || serving.kill()).await.unwrap();
    assert!(lost.await.unwrap().is_err(), "the response arrived");
    blocker.rollback().await.unwrap();
    // The client sends the same token to another process, and gets the successor that is stored.
    let (status, next) = refresh(&project, token(&session)).await;
    assert_eq!(status, StatusCode::OK, "{next}");
    let hash = hex::encode(atlashub::secrets::sha256(token(&next).as_str().unwrap().as_bytes()));
    let unused = "SELECT encode(hash, 'hex') FROM auth.refresh_tokens WHERE used_at IS NULL";
    assert_eq!(query::<String>(&project, unused).await, hash);
    assert_eq!(query::<i64>(&project, "SELECT count(*) FROM auth.refresh_tokens").await, 2);
    assert_eq!(query::<i64>(&project, "SELECT count(*) FROM auth.sessions").await, 1);
    let (status, after) = refresh(&project, token(&next)).await;
    assert_eq!(status, StatusCode::OK, "{after}");
    assert_eq!(signed_in(&project, &after).get("/v1/auth/me").await.0, StatusCode::OK);
}
