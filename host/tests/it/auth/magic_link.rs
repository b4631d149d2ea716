//! Login with a mailed link, without a password.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{
    PASSWORD, change_settings, events, execute, log_in,
    mails::{next, post, start},
    query, refresh, sign_up, signed_in,
};
use crate::support::{MailServer, TestApp, TestProject, code};

pub(super) async fn start_with_links(name: &str) -> (TestApp, TestProject, MailServer) {
    let (app, project, mails) = start(name).await;
    let settings = change_settings(&project, json!({ "allowMagicLink": true })).await;
    assert_eq!((&settings["allowMagicLink"], &settings["magicLinkPath"]), (&json!(true), &json!("/auth/magic-link")));
    (app, project, mails)
}

pub(super) async fn ask(project: &TestProject, email: &str) -> (StatusCode, Value) {
    post(project, "/v1/auth/magic-link", json!({ "email": email })).await
}

pub(super) async fn confirm(project: &TestProject, token: &Option<String>) -> (StatusCode, Value) {
    post(project, "/v1/auth/magic-link/confirm", json!({ "token": token })).await
}

/// Creates a user with a verified address, as the owner.
async fn create_user(project: &TestProject, email: &str) -> Value {
    let request = json!({ "email": email, "password": PASSWORD });
    let (status, user) = project.admin().post(&project.path("/users"), request).await;
    assert_eq!(status, StatusCode::CREATED, "{user}");
    user
}

#[tokio::test]
async fn magic_link_signs_in_once_and_does_not_reveal_accounts() {
    let (app, project, mails) = start_with_links("Link").await;
    create_user(&project, "ada@example.com").await;
    for email in ["nobody@example.com", "not an address", "ADA@example.com"] {
        assert_eq!(ask(&project, email).await, (StatusCode::ACCEPTED, json!({})), "{email}");
    }
    let (to, subject, token) = next(&mails).await;
    assert_eq!((to.as_str(), subject.as_str()), ("ada@example.com", "Your link to sign in"));
    let minutes = "SELECT round(extract(epoch FROM expires_at - now()) / 60)::bigint FROM auth.mailed_tokens";
    assert_eq!(query::<i64>(&project, minutes).await, 15);
    // The token works for only one purpose.
    for (path, body) in [
        ("/v1/auth/verify", json!({ "token": token })),
        ("/v1/auth/reset", json!({ "token": token, "password": "another long one" })),
    ] {
        assert_eq!(post(&project, path, body).await.0, StatusCode::UNAUTHORIZED, "{path}");
    }
    let (status, body) = confirm(&project, &token).await;
    assert_eq!((status, &body["user"]["email"]), (StatusCode::OK, &json!("ada@example.com")), "{body}");
    assert_eq!(signed_in(&project, &body).get("/v1/auth/me").await.0, StatusCode::OK);
    assert_eq!(refresh(&project, &body["session"]["refreshToken"]).await.0, StatusCode::OK);
    for wrong in [token, Some("ah_mail_unknown".to_owned()), Some(String::new())] {
        let (status, error) = confirm(&project, &wrong).await;
        assert_eq!((status, code(&error)), (StatusCode::UNAUTHORIZED, "invalid_token"), "{error}");
    }
    // A user whose address was already verified keeps the password.
    assert_eq!(log_in(&project, "ada@example.com", PASSWORD).await.0, StatusCode::OK);
    let events = events(&app, &project).await;
    for (action, result) in [
        ("auth.magic_link_request", "success"),
        ("auth.magic_link_request", "denied"),
        ("auth.magic_link", "success"),
        ("auth.magic_link", "denied"),
    ] {
        assert!(events.contains(&(action.to_owned(), result.to_owned())), "{action} {result}: {events:?}");
    }
}

#[tokio::test]
async fn first_magic_link_verifies_the_address_and_removes_an_unverified_password_and_its_sessions() {
    let (_app, project, mails) = start_with_links("First use").await;
    // Somebody else signs up with the address.
    let stranger = sign_up(&project, "ada@example.com").await;
    let (_, _, verification) = next(&mails).await;
    change_settings(&project, json!({ "requireVerifiedEmail": true })).await;
    ask(&project, "ada@example.com").await;
    let (_, _, token) = next(&mails).await;
    let (status, body) = confirm(&project, &token).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert!(body["user"]["emailVerifiedAt"].is_string(), "{body}");
    assert_eq!(body["user"]["id"], stranger["user"]["id"]);
    assert_eq!(signed_in(&project, &body).get("/v1/auth/me").await.0, StatusCode::OK);
    assert_eq!(log_in(&project, "ada@example.com", PASSWORD).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(refresh(&project, &stranger["session"]["refreshToken"]).await.0, StatusCode::UNAUTHORIZED);
    let (status, _) = post(&project, "/v1/auth/verify", json!({ "token": verification })).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn expired_magic_link_and_links_of_disabled_users_are_refused() {
    let (_app, project, mails) = start_with_links("Refused").await;
    let user = create_user(&project, "ada@example.com").await;
    ask(&project, "ada@example.com").await;
    let (_, _, expired) = next(&mails).await;
    execute(&project, "UPDATE auth.mailed_tokens SET expires_at = now() - interval '1 s'").await;
    assert_eq!(confirm(&project, &expired).await.0, StatusCode::UNAUTHORIZED);
    ask(&project, "ada@example.com").await;
    let (_, _, token) = next(&mails).await;
    let path = project.path(&format!("/users/{}", user["id"].as_str().unwrap()));
    assert_eq!(project.admin().patch(&path, json!({ "disabled": true })).await.0, StatusCode::OK);
    assert_eq!(confirm(&project, &token).await.0, StatusCode::UNAUTHORIZED);
    // A disabled user gets no link: the next mail is another user's.
    create_user(&project, "bea@example.com").await;
    assert_eq!(ask(&project, "ada@example.com").await.0, StatusCode::ACCEPTED);
    assert_eq!(ask(&project, "bea@example.com").await.0, StatusCode::ACCEPTED);
    assert_eq!(next(&mails).await.0, "bea@example.com");
}

#[tokio::test]
async fn magic_links_are_off_until_the_owner_allows_them_and_mail_is_configured() {
    let (_app, project, mails) = start("Off").await;
    create_user(&project, "ada@example.com").await;
    let (status, error) = ask(&project, "ada@example.com").await;
    assert_eq!((status, code(&error)), (StatusCode::FORBIDDEN, "magic_link_disabled"), "{error}");
    change_settings(&project, json!({ "allowMagicLink": true })).await;
    ask(&project, "ada@example.com").await;
    let (_, _, token) = next(&mails).await;
    // A link that was mailed before the change no longer works.
    change_settings(&project, json!({ "allowMagicLink": false })).await;
    let (status, error) = confirm(&project, &token).await;
    assert_eq!((status, code(&error)), (StatusCode::FORBIDDEN, "magic_link_disabled"), "{error}");

    let (_app, project) = super::start("No mail").await;
    change_settings(&project, json!({ "allowMagicLink": true, "siteUrl": "https://app.example.com" })).await;
    for email in ["ada@example.com", "nobody@example.com"] {
        let (status, error) = ask(&project, email).await;
        assert_eq!((status, code(&error)), (StatusCode::UNPROCESSABLE_ENTITY, "unprocessable"), "{error}");
    }
}

#[tokio::test]
async fn magic_links_are_limited_per_account_and_contain_the_projects_own_text() {
    let (_app, project, mails) = start_with_links("Limited").await;
    let text = json!({ "subject": "Anmelden bei {{project}}", "text": "{{link}}", "html": null });
    change_settings(&project, json!({ "mailTexts": { "magicLink": text }, "magicLinkPath": "/los?x=1" })).await;
    create_user(&project, "ada@example.com").await;
    create_user(&project, "bea@example.com").await;
    // Only the first five are mailed, but all responses are the same.
    for _ in 0..8 {
        assert_eq!(ask(&project, "ada@example.com").await.0, StatusCode::ACCEPTED);
    }
    assert_eq!(ask(&project, "bea@example.com").await.0, StatusCode::ACCEPTED);
    let mut recipients = Vec::new();
    while !recipients.contains(&"bea@example.com".to_owned()) || recipients.len() < 6 {
        let mail = mails.next().await;
        let text = mail.data.replace("=\r\n", "").replace("=3D", "=");
        assert!(text.contains("Subject: Anmelden bei Limited"), "{text}");
        assert!(text.contains("https://app.example.com/los?x=1&token=ah_mail_"), "{text}");
        recipients.push(mail.to[0].clone());
    }
    assert_eq!(recipients.len(), 6, "{recipients:?}");
    assert_eq!(query::<i64>(&project, "SELECT count(*) FROM auth.mailed_tokens").await, 6);
}
