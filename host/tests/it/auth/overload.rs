//! Overload: too many passwords to hash, too many refreshes, and guessed project ids.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{enable, refresh, sign_up};
use crate::support::{Client, TestApp, code};

/// Sends a request. Returns the status, `Retry-After` and the body.
async fn send(client: &Client, method: Method, path: &str, body: Value) -> (StatusCode, Option<u64>, Value) {
    let response = client.request(method, path).json(&body).send().await.unwrap();
    let retry_after = response.headers().get("retry-after").map(|value| value.to_str().unwrap().parse().unwrap());
    (response.status(), retry_after, response.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn full_queue_of_hashes_returns_503_with_retry_after_while_refresh_works() {
    let app = TestApp::builder()
        .var("ATLASHUB_TRUSTED_PROXIES", "127.0.0.1")
        .var("ATLASHUB_AUTH_HASH_CONCURRENCY", "1")
        .start()
        .await;
    let project = app.create_project("Storm").await;
    enable(&project).await;
    let mut session = sign_up(&project, "ada@example.com").await;
    let storm = join_all((0..250_u8).map(|number| {
        let client = project.publishable().with_header("cf-connecting-ip", &format!("192.0.2.{number}"));
        let body = json!({ "email": format!("user{number}@example.com"), "password": "wrong password" });
        async move { send(&client, Method::POST, "/v1/auth/login", body).await }
    }));
    let refreshes = async {
        for _ in 0..5 {
            let (status, body) = refresh(&project, &session["session"]["refreshToken"]).await;
            assert_eq!(status, StatusCode::OK, "{body}");
            session = body;
        }
    };
    let (responses, ()) = tokio::join!(storm, refreshes);
    let mut statuses = BTreeMap::new();
    for (status, retry_after, body) in responses {
        *statuses.entry(status.as_u16()).or_insert(0) += 1;
        if status == StatusCode::SERVICE_UNAVAILABLE {
            assert_eq!(code(&body), "overloaded", "{body}");
            assert!(body["error"]["message"].as_str().unwrap().contains("passwords"), "{body}");
            assert!(retry_after.is_some_and(|seconds| (1..=60).contains(&seconds)), "{retry_after:?}");
        }
    }
    // One password is hashed while up to 200 wait. The others are refused, except those that arrive after one was
    // hashed.
    assert!(statuses.get(&503).is_some_and(|count| *count > 0), "{statuses:?}");
    assert!(statuses.get(&401).is_some_and(|count| *count > 0), "{statuses:?}");
    assert!(statuses.keys().all(|status| [401, 503].contains(status)), "{statuses:?}");
    // Afterwards, login works again.
    assert_eq!(super::log_in(&project, "ada@example.com", super::PASSWORD).await.0, StatusCode::OK);
}

#[tokio::test]
async fn refresh_above_the_projects_rate_returns_503_and_not_429() {
    let app = TestApp::builder().var("ATLASHUB_RATE_LIMIT_PUBLISHABLE", "3").start().await;
    let project = app.create_project("Rate").await;
    enable(&project).await;
    let session = sign_up(&project, "ada@example.com").await;
    let client = project.publishable();
    let token = json!({ "refreshToken": session["session"]["refreshToken"] });
    let responses = join_all((0..30).map(|_| send(&client, Method::POST, "/v1/auth/refresh", token.clone()))).await;
    let overloads: Vec<_> =
        responses.iter().filter(|(status, ..)| *status == StatusCode::SERVICE_UNAVAILABLE).collect();
    assert!(!overloads.is_empty());
    assert!(overloads.iter().all(|(_, retry, body)| retry.is_some() && code(body) == "overloaded"), "{overloads:?}");
    assert!(responses.iter().all(|(status, ..)| *status != StatusCode::TOO_MANY_REQUESTS), "{responses:?}");
    // Other routes return 429.
    let me = join_all((0..30).map(|_| client.get("/v1/auth/me"))).await;
    assert!(me.iter().any(|(status, _)| *status == StatusCode::TOO_MANY_REQUESTS), "{me:?}");
}

#[tokio::test]
async fn public_keys_of_unknown_projects_are_limited_per_network() {
    let app = TestApp::builder().var("ATLASHUB_TRUSTED_PROXIES", "127.0.0.1").start().await;
    let project = app.create_project("Known").await;
    enable(&project).await;
    let from = |address: &str| app.public().with_header("cf-connecting-ip", address);
    let known = format!("/v1/auth/jwks/{}", project.id);
    // All IPv6 addresses with the same first 64 bits count as one.
    let guesser = from("2001:db8:0:1::a");
    assert_eq!(guesser.get(&known).await.0, StatusCode::OK);
    let guesses = join_all((0..80).map(|number| {
        let guesser = from(&format!("2001:db8:0:1::{number}"));
        async move { send(&guesser, Method::GET, &format!("/v1/auth/jwks/{number:016}"), json!({})).await }
    }));
    let guesses = guesses.await;
    let limited: Vec<_> = guesses.iter().filter(|(status, ..)| *status == StatusCode::TOO_MANY_REQUESTS).collect();
    assert!(!limited.is_empty(), "{guesses:?}");
    assert!(limited.iter().all(|(_, retry_after, body)| retry_after.is_some() && code(body) == "rate_limited"));
    // A project whose keys were read before is served, and other networks are not affected.
    assert_eq!(guesser.get(&known).await.0, StatusCode::OK);
    assert_eq!(from("2001:db8:0:2::1").get("/v1/auth/jwks/0000000000000000").await.0, StatusCode::NOT_FOUND);
}
