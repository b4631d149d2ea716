//! Limits of logins, sign-ups and guesses of the current password, per account and per client IP address.

use std::time::Duration;

use futures_util::{StreamExt as _, future::join_all, stream};
use reqwest::StatusCode;
use serde_json::json;

use super::{PASSWORD, enable, sign_up, signed_in};
use crate::support::{Client, TestApp, TestProject, code};

async fn start() -> (TestApp, TestProject) {
    let app = TestApp::builder().var("ATLASHUB_TRUSTED_PROXIES", "127.0.0.1").start().await;
    let project = app.create_project("Limits").await;
    enable(&project).await;
    (app, project)
}

fn from(project: &TestProject, address: &str) -> Client {
    project.publishable().with_header("cf-connecting-ip", address)
}

/// Tries to log in. Returns the status and the seconds of `Retry-After`.
async fn attempt(client: &Client, email: &str, password: &str) -> (StatusCode, Option<u64>) {
    let body = json!({ "email": email, "password": password });
    let response = client.request(reqwest::Method::POST, "/v1/auth/login").json(&body).send().await.unwrap();
    let retry_after = response.headers().get("retry-after").map(|value| value.to_str().unwrap().parse().unwrap());
    (response.status(), retry_after)
}

#[tokio::test]
async fn wrong_passwords_are_limited_per_account_from_any_address() {
    let (_app, project) = start().await;
    sign_up(&project, "a@example.com").await;
    sign_up(&project, "b@example.com").await;
    for email in ["a@example.com", "unknown@example.com"] {
        // Twenty attempts are possible at once, and one more every twenty seconds. So some of these 25 are refused,
        // even on a busy machine.
        let tries = (0..25_u8).map(|number| {
            let client = from(&project, &format!("192.0.2.{}", number % 10));
            async move { attempt(&client, email, "wrong password").await.0 }
        });
        // A few at a time, because an attempt waits only some seconds until its password is hashed.
        let statuses: Vec<_> = stream::iter(tries).buffer_unordered(4).collect().await;
        let refused = statuses.iter().filter(|status| **status == StatusCode::UNAUTHORIZED).count();
        let limited = statuses.iter().filter(|status| **status == StatusCode::TOO_MANY_REQUESTS).count();
        assert!(refused >= 20 && limited > 0 && refused + limited == 25, "{email}: {statuses:?}");
        // An unknown account is limited in the same way as a known one.
        let (status, retry_after) = attempt(&from(&project, "198.51.100.1"), email, PASSWORD).await;
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{email}");
        assert!(retry_after.unwrap() <= 30, "{retry_after:?}");
    }
    // Another account is not affected.
    assert_eq!(attempt(&from(&project, "198.51.100.1"), "b@example.com", PASSWORD).await.0, StatusCode::OK);
}

#[tokio::test]
async fn user_logs_in_from_a_known_address_while_strangers_attack_the_account() {
    let (_app, project) = start().await;
    sign_up(&project, "a@example.com").await;
    let user = from(&project, "198.51.100.1");
    assert_eq!(attempt(&user, "a@example.com", PASSWORD).await.0, StatusCode::OK);
    let attacks = (0..1200).map(|number| {
        let client = from(&project, &format!("203.0.{}.{}", number / 250, number % 250));
        async move { attempt(&client, "a@example.com", "wrong password").await.0 }
    });
    let statuses: Vec<_> = stream::iter(attacks).buffer_unordered(40).collect().await;
    assert!(statuses.iter().filter(|status| **status == StatusCode::TOO_MANY_REQUESTS).count() > 1100);
    let mut waits = Vec::new();
    loop {
        match attempt(&user, "a@example.com", PASSWORD).await {
            (StatusCode::OK, _) => break,
            (StatusCode::TOO_MANY_REQUESTS, Some(seconds)) => {
                waits.push(seconds);
                tokio::time::sleep(Duration::from_secs(seconds)).await;
            }
            // The attacks still use all threads that hash passwords. That is no limit of the account.
            (StatusCode::SERVICE_UNAVAILABLE, Some(seconds)) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            other => panic!("{other:?}"),
        }
    }
    // A client at an unknown IP address would have to wait until about 28 seconds after the limit was exceeded.
    assert!(waits.iter().sum::<u64>() < 15, "{waits:?}");
}

#[tokio::test]
async fn successful_logins_are_not_counted_as_attempts() {
    let (_app, project) = start().await;
    sign_up(&project, "a@example.com").await;
    for _ in 0..25 {
        assert_eq!(attempt(&from(&project, "192.0.2.1"), "a@example.com", PASSWORD).await.0, StatusCode::OK);
    }
}

#[tokio::test]
async fn wrong_passwords_are_limited_per_address_for_any_account() {
    let (_app, project) = start().await;
    let client = from(&project, "192.0.2.1");
    let tries = (0..90).map(|number| {
        let client = client.clone();
        async move { attempt(&client, &format!("user{number}@example.com"), "wrong password").await }
    });
    let limited: Vec<_> =
        join_all(tries).await.into_iter().filter(|(status, _)| *status == StatusCode::TOO_MANY_REQUESTS).collect();
    assert!(!limited.is_empty());
    assert!(limited.iter().all(|(_, retry_after)| (1..=3600).contains(&retry_after.unwrap())), "{limited:?}");
    assert_eq!(attempt(&from(&project, "192.0.2.2"), "x@example.com", "y").await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn sign_ups_are_limited_per_address() {
    let (_app, project) = start().await;
    let client = from(&project, "192.0.2.1");
    let tries = (0..80).map(|number| {
        let client = client.clone();
        let body = json!({ "email": format!("user{number}@example.com"), "password": PASSWORD });
        async move { client.post("/v1/auth/signup", body).await.0 }
    });
    let statuses = join_all(tries).await;
    assert!(statuses.contains(&StatusCode::TOO_MANY_REQUESTS), "{statuses:?}");
    assert!(statuses.contains(&StatusCode::CREATED), "{statuses:?}");
}

#[tokio::test]
async fn guesses_of_the_current_password_are_limited() {
    let (_app, project) = start().await;
    let client = signed_in(&project, &sign_up(&project, "ada@example.com").await);
    let guess = json!({ "password": "another long one", "currentPassword": "wrong" });
    // Twenty attempts are possible at once, and one more every twenty seconds.
    for attempt in 0..40 {
        let (status, error) = client.patch("/v1/auth/me", guess.clone()).await;
        if attempt >= 20 && status == StatusCode::TOO_MANY_REQUESTS {
            assert_eq!(code(&error), "rate_limited", "{error}");
            return;
        }
        assert_eq!((status, code(&error)), (StatusCode::UNAUTHORIZED, "invalid_credentials"), "{attempt}: {error}");
    }
    panic!("no attempt was limited");
}
