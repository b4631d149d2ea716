//! Mailed links that verify an address, reset a password or confirm a new address.

use reqwest::StatusCode;
use serde_json::json;

use super::{PASSWORD, change_settings, log_in, query, refresh, sign_up, signed_in};
use crate::support::{Client, MailServer, TestApp, TestProject, code};

const SITE: &str = "https://app.example.com";

/// Starts a platform with a mail server, and a project with a site.
pub(super) async fn start(name: &str) -> (TestApp, TestProject, MailServer) {
    let mails = MailServer::start(|_| None).await;
    let app = TestApp::builder()
        .var("ATLASHUB_SMTP_URL", &format!("smtp://{}", mails.address))
        .var("ATLASHUB_SMTP_FROM", "App <app@example.com>")
        .start()
        .await;
    let project = app.create_project(name).await;
    change_settings(&project, json!({ "enabled": true, "siteUrl": SITE })).await;
    (app, project, mails)
}

/// Receives the next mail. Returns its recipient, its subject, and the token of its link, if there is one.
pub async fn next(mails: &MailServer) -> (String, String, Option<String>) {
    let mail = mails.next().await;
    assert_eq!(mail.to.len(), 1);
    let subject = mail.data.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap_or_default().to_owned();
    // Quoted-printable may break the line.
    let text = mail.data.replace("=\r\n", "").replace("=\n", "").replace("=3D", "=");
    let token = text.split_once("token=").map(|(before, after)| {
        assert!(before.contains(SITE), "{text}");
        after.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect()
    });
    (mail.to[0].clone(), subject, token)
}

pub(super) async fn post(
    project: &TestProject,
    path: &str,
    body: serde_json::Value,
) -> (StatusCode, serde_json::Value) {
    project.publishable().post(path, body).await
}

#[tokio::test]
async fn address_is_verified_by_the_mailed_link_once() {
    let (_app, project, mails) = start("Shop").await;
    let settings = change_settings(&project, json!({ "requireVerifiedEmail": true })).await;
    assert_eq!(settings["mailConfigured"], true);
    let request = json!({ "email": "ada@example.com", "password": PASSWORD });
    let (_, body) = post(&project, "/v1/auth/signup", request.clone()).await;
    assert_eq!(body["session"], json!(null));
    let (to, subject, token) = next(&mails).await;
    assert_eq!((to.as_str(), subject.as_str()), ("ada@example.com", "Confirm your e-mail address"));
    // A second sign-up gets the same response, and a mail about the existing account.
    let (status, _) = post(&project, "/v1/auth/signup", request).await;
    assert_eq!(status, StatusCode::CREATED);
    let (to, subject, none) = next(&mails).await;
    assert_eq!((to.as_str(), subject.as_str(), none), ("ada@example.com", "You already have an account", None));
    // Signing in mails another link.
    assert_eq!(log_in(&project, "ada@example.com", PASSWORD).await.0, StatusCode::FORBIDDEN);
    let (_, _, second) = next(&mails).await;
    let (status, body) = post(&project, "/v1/auth/verify", json!({ "token": token })).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert!(body["user"]["emailVerifiedAt"].is_string(), "{body}");
    assert_eq!(signed_in(&project, &body).get("/v1/auth/me").await.0, StatusCode::OK);
    for used in [json!(token), json!(second), json!("ah_mail_unknown"), json!("")] {
        let (status, error) = post(&project, "/v1/auth/verify", json!({ "token": used })).await;
        assert_eq!((status, code(&error)), (StatusCode::UNAUTHORIZED, "invalid_token"), "{error}");
    }
    assert_eq!(log_in(&project, "ada@example.com", PASSWORD).await.0, StatusCode::OK);
}

#[tokio::test]
async fn password_is_reset_by_the_mailed_link_and_other_sessions_end() {
    let (app, project, mails) = start("Reset").await;
    let before = sign_up(&project, "ada@example.com").await;
    let (_, _, verification) = next(&mails).await;
    for email in ["nobody@example.com", "not an address", "ADA@example.com"] {
        let (status, body) = post(&project, "/v1/auth/recover", json!({ "email": email })).await;
        assert_eq!((status, body), (StatusCode::ACCEPTED, json!({})), "{email}");
    }
    let (to, subject, token) = next(&mails).await;
    assert_eq!((to.as_str(), subject.as_str()), ("ada@example.com", "Reset your password"));
    let reset = async |token: &Option<String>, password: &str| {
        post(&project, "/v1/auth/reset", json!({ "token": token.as_deref().unwrap(), "password": password })).await
    };
    // A token works for only one purpose, and a weak password does not use it up.
    assert_eq!(reset(&verification, "another long one").await.0, StatusCode::UNAUTHORIZED);
    let (status, error) = reset(&token, "short").await;
    assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "weak_password"));
    let (status, body) = reset(&token, "another long one").await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert!(body["user"]["emailVerifiedAt"].is_string());
    assert_eq!(reset(&token, "yet another one").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(refresh(&project, &before["session"]["refreshToken"]).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(signed_in(&project, &before).get("/v1/auth/me").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(signed_in(&project, &body).get("/v1/auth/me").await.0, StatusCode::OK);
    assert_eq!(log_in(&project, "ada@example.com", "another long one").await.0, StatusCode::OK);
    let events = super::events(&app, &project).await;
    for event in [("auth.recover", "success"), ("auth.recover", "denied"), ("auth.reset", "success")] {
        assert!(events.contains(&(event.0.to_owned(), event.1.to_owned())), "{event:?}: {events:?}");
    }
}

#[tokio::test]
async fn expired_link_is_refused() {
    let (_app, project, mails) = start("Expired").await;
    sign_up(&project, "ada@example.com").await;
    let (_, _, token) = next(&mails).await;
    let minutes = "SELECT round(extract(epoch FROM expires_at - now()) / 60)::bigint FROM auth.mailed_tokens";
    assert_eq!(query::<i64>(&project, minutes).await, 60);
    super::execute(&project, "UPDATE auth.mailed_tokens SET expires_at = now() - interval '1 s'").await;
    assert_eq!(post(&project, "/v1/auth/verify", json!({ "token": token })).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn new_address_applies_after_confirmation() {
    let (_app, project, mails) = start("Move").await;
    let body = sign_up(&project, "old@example.com").await;
    next(&mails).await;
    let client = signed_in(&project, &body);
    let (status, response) = client.patch("/v1/auth/me", json!({ "email": "New@example.com" })).await;
    assert_eq!((status, &response["user"]["email"]), (StatusCode::OK, &json!("old@example.com")), "{response}");
    let mut mailed = [next(&mails).await, next(&mails).await];
    mailed.sort();
    let [(new, _, token), (old, notice, none)] = mailed;
    assert_eq!((new.as_str(), old.as_str(), none), ("new@example.com", "old@example.com", None));
    assert_eq!(notice, "Your e-mail address is about to change");
    assert_eq!(log_in(&project, "new@example.com", PASSWORD).await.0, StatusCode::UNAUTHORIZED);
    let (status, body) = post(&project, "/v1/auth/verify", json!({ "token": token })).await;
    assert_eq!((status, &body["user"]["email"]), (StatusCode::OK, &json!("new@example.com")), "{body}");
    assert_eq!(log_in(&project, "new@example.com", PASSWORD).await.0, StatusCode::OK);
    assert_eq!(log_in(&project, "old@example.com", PASSWORD).await.0, StatusCode::UNAUTHORIZED);
    // For the address of another user, the response is the same, and only that user gets a notice.
    sign_up(&project, "other@example.com").await;
    next(&mails).await;
    let (status, response) = client.patch("/v1/auth/me", json!({ "email": "other@example.com" })).await;
    assert_eq!((status, &response["user"]["email"]), (StatusCode::OK, &json!("new@example.com")));
    let (to, subject, none) = next(&mails).await;
    assert_eq!((to.as_str(), subject.as_str(), none), ("other@example.com", "You already have an account", None));
}

#[tokio::test]
async fn links_lead_to_the_configured_site_and_ignore_the_request() {
    let (app, project, mails) = start("Host").await;
    sign_up(&project, "ada@example.com").await;
    next(&mails).await;
    change_settings(&project, json!({ "resetPath": "/konto?view=reset" })).await;
    let response = project
        .publishable()
        .with_header("host", "evil.example.com")
        .with_header("x-forwarded-host", "evil.example.com")
        .with_header("x-forwarded-proto", "http")
        .with_header("referer", "https://evil.example.com/")
        .post("/v1/auth/recover", json!({ "email": "ada@example.com" }))
        .await;
    assert_eq!(response.0, StatusCode::ACCEPTED);
    let mail = mails.next().await;
    let text = mail.data.replace("=\r\n", "").replace("=\n", "").replace("=3D", "=");
    assert!(text.contains("https://app.example.com/konto?view=reset&token=ah_mail_"), "{text}");
    assert!(!text.contains("evil"), "{text}");
    drop(app);
}

#[tokio::test]
async fn mails_contain_the_texts_of_the_project() {
    let (app, project, mails) = start("Texts").await;
    let texts = json!({ "reset": {
        "subject": "Neues Passwort für {{project}}", "text": "Für {{email}}: {{link}}",
        "html": "<a href='{{link}}'>Los</a>",
    } });
    change_settings(&project, json!({ "mailTexts": texts })).await;
    let (status, user) = project.admin().post(&project.path("/users"), json!({ "email": "ada@example.com" })).await;
    assert_eq!(status, StatusCode::CREATED, "{user}");
    // A user without a password can't log in, and needs a link to set one.
    assert_eq!(log_in(&project, "ada@example.com", "").await.0, StatusCode::UNAUTHORIZED);
    let path = project.path(&format!("/users/{}/send-reset-link", user["id"].as_str().unwrap()));
    assert_eq!(app.admin().post(&path, json!({})).await.0, StatusCode::ACCEPTED);
    let (_, subject, token) = next(&mails).await;
    assert!(subject.starts_with("Neues Passwort "), "{subject}");
    let request = json!({ "token": token, "password": "another long one" });
    assert_eq!(post(&project, "/v1/auth/reset", request).await.0, StatusCode::OK);
    assert_eq!(log_in(&project, "ada@example.com", "another long one").await.0, StatusCode::OK);
}

#[tokio::test]
async fn without_mail_server_links_are_refused_or_silently_omitted() {
    let (app, project) = super::start("No mail").await;
    let body = sign_up(&project, "ada@example.com").await;
    let (status, error) = signed_in(&project, &body).patch("/v1/auth/me", json!({ "email": "b@example.com" })).await;
    assert_eq!((status, code(&error)), (StatusCode::UNPROCESSABLE_ENTITY, "unprocessable"), "{error}");
    let recover = post(&project, "/v1/auth/recover", json!({ "email": "ada@example.com" })).await;
    assert_eq!(recover, (StatusCode::ACCEPTED, json!({})));
    let path = project.path(&format!("/users/{}/send-reset-link", body["user"]["id"].as_str().unwrap()));
    assert_eq!(app.admin().post(&path, json!({})).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    // Setting the current address changes nothing.
    let (status, _) = signed_in(&project, &body).patch("/v1/auth/me", json!({ "email": "ADA@example.com" })).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn refused_change_of_the_address_changes_nothing_else() {
    let (_app, project, _mails) = start("Many addresses").await;
    let client = signed_in(&project, &sign_up(&project, "ada@example.com").await);
    for number in 0..5 {
        let (status, body) = client.patch("/v1/auth/me", json!({ "email": format!("{number}@example.com") })).await;
        assert_eq!(status, StatusCode::OK, "{body}");
    }
    let request = json!({ "email": "last@example.com", "data": { "name": "Ada" } });
    let (status, error) = client.patch("/v1/auth/me", request).await;
    assert_eq!((status, code(&error)), (StatusCode::TOO_MANY_REQUESTS, "rate_limited"), "{error}");
    assert_eq!(client.get("/v1/auth/me").await.1["user"]["data"], json!({}));
}

#[tokio::test]
async fn new_password_cancels_a_change_of_the_address_in_its_own_transaction() {
    let (_app, project) = super::start("One transaction").await;
    let client = signed_in(&project, &sign_up(&project, "ada@example.com").await);
    // Tokens can only be deleted in the transaction that deletes the first one.
    let one_transaction = "
        CREATE TABLE public.first_deletion (is_first boolean PRIMARY KEY DEFAULT true, transaction bigint NOT NULL);
        CREATE FUNCTION public.check_transaction() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
        BEGIN
            INSERT INTO public.first_deletion (transaction) VALUES (txid_current()) ON CONFLICT DO NOTHING;
            IF txid_current() <> (SELECT transaction FROM public.first_deletion) THEN RAISE 'not now'; END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER check_transaction BEFORE DELETE ON auth.mailed_tokens
        FOR EACH STATEMENT EXECUTE FUNCTION public.check_transaction();
        INSERT INTO auth.mailed_tokens (hash, user_id, purpose, email, expires_at)
        SELECT 'new', id, 'change_email', 'eve@example.com', now() + interval '1 hour' FROM auth.users";
    super::execute(&project, one_transaction).await;
    // A request with the current address only cancels the change.
    let request = json!({ "password": "another long one", "currentPassword": PASSWORD, "email": "ada@example.com" });
    let (status, body) = client.patch("/v1/auth/me", request).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let changes = "SELECT count(*) FROM auth.mailed_tokens WHERE purpose = 'change_email'";
    assert_eq!(query::<i64>(&project, changes).await, 0);
    assert_eq!(log_in(&project, "ada@example.com", "another long one").await.0, StatusCode::OK);
}

#[tokio::test]
async fn requests_that_cancel_a_change_of_the_address_share_connections() {
    const REQUESTS: i64 = 40;
    let (_app, project) = super::start("Shared connections").await;
    let client = signed_in(&project, &sign_up(&project, "ada@example.com").await);
    let record_connections = "
        CREATE TABLE public.deletions (connection int NOT NULL);
        CREATE FUNCTION public.record_connection() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
        BEGIN
            INSERT INTO public.deletions VALUES (pg_backend_pid());
            RETURN NULL;
        END $$;
        CREATE TRIGGER record_connection BEFORE DELETE ON auth.mailed_tokens
        FOR EACH STATEMENT EXECUTE FUNCTION public.record_connection()";
    super::execute(&project, record_connections).await;
    let changes = "SELECT count(*) FROM auth.mailed_tokens WHERE purpose = 'change_email'";
    let request_change = "
        INSERT INTO auth.mailed_tokens (hash, user_id, purpose, email, expires_at)
        SELECT 'new', id, 'change_email', 'eve@example.com', now() + interval '1 hour' FROM auth.users";
    for _ in 0..REQUESTS {
        super::execute(&project, request_change).await;
        let (status, body) = client.patch("/v1/auth/me", json!({ "email": "ada@example.com" })).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        assert_eq!(query::<i64>(&project, changes).await, 0);
    }
    let connections: i64 = query(&project, "SELECT count(DISTINCT connection) FROM public.deletions").await;
    assert!((1..REQUESTS).contains(&connections), "{connections} connections");
}

#[tokio::test]
async fn change_of_the_address_that_fails_changes_nothing_else() {
    let (_app, project, _mails) = start("Failed address").await;
    let client = signed_in(&project, &sign_up(&project, "ada@example.com").await);
    let (status, body) = client.patch("/v1/auth/me", json!({ "email": "first@example.com" })).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    // No further token can be stored.
    let refuse = "ALTER TABLE auth.mailed_tokens ADD CHECK (purpose <> 'change_email') NOT VALID";
    super::execute(&project, refuse).await;
    let password = json!({ "password": "another long one", "currentPassword": PASSWORD });
    for other in [json!({}), password] {
        let mut request = json!({ "email": "second@example.com", "data": { "name": "Ada" } });
        request.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        let (status, body) = client.patch("/v1/auth/me", request).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{body}");
        assert_eq!(client.get("/v1/auth/me").await.1["user"]["data"], json!({}));
        let addresses = "SELECT string_agg(email, ',') FROM auth.mailed_tokens WHERE purpose = 'change_email'";
        assert_eq!(query::<String>(&project, addresses).await, "first@example.com");
    }
    assert_eq!(log_in(&project, "ada@example.com", PASSWORD).await.0, StatusCode::OK);
}

/// Requests a change of the address, and returns the token that confirms it.
async fn change_address(client: &Client, mails: &MailServer, email: &str) -> String {
    let (status, body) = client.patch("/v1/auth/me", json!({ "email": email })).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    token_mailed_to(mails, email).await
}

async fn token_mailed_to(mails: &MailServer, email: &str) -> String {
    // Notices about changes are mailed to the current address.
    loop {
        let (to, _, token) = next(mails).await;
        if to == email {
            return token.expect("a token");
        }
    }
}

#[tokio::test]
async fn sign_out_cancels_a_change_of_the_address_whose_link_is_not_mailed_yet() {
    let (_app, project, mails) = start("Signed out at once").await;
    let client = signed_in(&project, &sign_up(&project, "ada@example.com").await);
    let (status, body) = client.patch("/v1/auth/me", json!({ "email": "new@example.com" })).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(client.post("/v1/auth/logout", json!({ "scope": "global" })).await.0, StatusCode::NO_CONTENT);
    let token = token_mailed_to(&mails, "new@example.com").await;
    let (status, body) = post(&project, "/v1/auth/verify", json!({ "token": token })).await;
    assert_eq!((status, code(&body)), (StatusCode::UNAUTHORIZED, "invalid_token"), "{body}");
}

#[tokio::test]
async fn confirmation_of_an_address_that_was_taken_meanwhile_is_recorded_as_denied() {
    let (app, project, mails) = start("Taken meanwhile").await;
    let client = signed_in(&project, &sign_up(&project, "ada@example.com").await);
    let token = change_address(&client, &mails, "new@example.com").await;
    sign_up(&project, "new@example.com").await;
    let (status, error) = post(&project, "/v1/auth/verify", json!({ "token": token })).await;
    assert_eq!((status, code(&error)), (StatusCode::CONFLICT, "email_taken"), "{error}");
    let query = format!("/admin/v1/audit?projectId={}&action=auth.verify", project.id);
    let (_, entries) = app.admin().get(&query).await;
    let entry = &entries["items"][0];
    assert_eq!((&entry["result"], &entry["status"]), (&json!("denied"), &json!(409)), "{entries}");
    assert_eq!((&entry["details"]["error"], &entry["actor"]), (&json!("email_taken"), &json!("anonymous")));
}

#[tokio::test]
async fn change_of_the_address_is_cancelled_by_a_newer_one_a_new_password_or_a_sign_out() {
    let (app, project, mails) = start("Taken over").await;
    let body = sign_up(&project, "ada@example.com").await;
    next(&mails).await;
    let client = signed_in(&project, &body);
    let is_refused = async |token: &str| {
        let (status, body) = post(&project, "/v1/auth/verify", json!({ "token": token })).await;
        assert_eq!((status, code(&body)), (StatusCode::UNAUTHORIZED, "invalid_token"), "{body}");
    };
    let first = change_address(&client, &mails, "a@example.com").await;
    // A newer change ends the first one even if the newer address is taken. The response does not reveal that.
    sign_up(&project, "taken@example.com").await;
    assert_eq!(client.patch("/v1/auth/me", json!({ "email": "taken@example.com" })).await.0, StatusCode::OK);
    is_refused(&first).await;
    let second = change_address(&client, &mails, "b@example.com").await;
    let request = json!({ "password": "another long one", "currentPassword": PASSWORD });
    let (status, body) = client.patch("/v1/auth/me", request).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    is_refused(&second).await;
    let third = change_address(&client, &mails, "c@example.com").await;
    let sign_out = project.path(&format!("/users/{}/sign-out", body["user"]["id"].as_str().unwrap()));
    assert_eq!(app.admin().post(&sign_out, json!({})).await.0, StatusCode::NO_CONTENT);
    is_refused(&third).await;
    let (_, body) = log_in(&project, "ada@example.com", "another long one").await;
    let client = signed_in(&project, &body);
    let fourth = change_address(&client, &mails, "d@example.com").await;
    assert_eq!(client.post("/v1/auth/logout", json!({ "scope": "global" })).await.0, StatusCode::NO_CONTENT);
    is_refused(&fourth).await;
}
