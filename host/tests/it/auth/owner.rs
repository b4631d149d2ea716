//! Login settings, and the management of users by the owner.

use std::{collections::BTreeSet, time::Duration};

use reqwest::{Method, StatusCode};
use serde_json::json;
use sqlx::Connection as _;

use super::{
    PASSWORD, change_settings, log_in, query, refresh,
    second_factor::{Enrolled, begin, enrol, forget_used_codes, totp, verify},
    sign_up, signed_in, start,
};
use crate::support::{TestApp, code, eventually};

#[tokio::test]
async fn settings_have_defaults_and_are_checked() {
    let app = TestApp::start().await;
    let project = app.create_project("Settings").await;
    let (status, settings) = project.admin().get(&project.path("/auth")).await;
    assert_eq!(status, StatusCode::OK);
    let issuer = format!("{}/v1/auth/{}", app.app.config().public_url, project.id);
    assert_eq!(
        settings,
        json!({
            "enabled": false, "allowSignup": true, "requireVerifiedEmail": false, "allowMagicLink": false,
            "accessTokenSeconds": 900, "refreshTokenDays": 30, "passwordMinLength": 8, "checkSession": false,
            "siteUrl": null, "issuer": issuer,
            "verifyPath": "/auth/verify", "resetPath": "/auth/reset", "magicLinkPath": "/auth/magic-link",
            "mailTexts": {
                "verify": null, "reset": null, "changeEmail": null, "emailTaken": null, "magicLink": null,
            },
            "mailConfigured": false,
        })
    );
    for refused in [
        json!({ "accessTokenSeconds": 60 }),
        json!({ "accessTokenSeconds": 0 }),
        json!({ "refreshTokenDays": 0 }),
        json!({ "passwordMinLength": 3 }),
        json!({ "siteUrl": "javascript:alert(1)" }),
        json!({ "siteUrl": "https://a:b@example.com" }),
        json!({ "verifyPath": "//evil.example.com" }),
        json!({ "magicLinkPath": "no-path" }),
        json!({ "mailTexts": { "magicLink": { "subject": "a", "text": "no link" } } }),
        json!({ "issuer": "" }),
        json!({ "mailTexts": { "verify": { "subject": "a\r\nBcc: b@example.com", "text": "{{link}}" } } }),
        json!({ "mailTexts": { "verify": { "subject": "a", "text": "no link" } } }),
        json!({ "unknown": 1 }),
    ] {
        let (status, body) = project.admin().patch(&project.path("/auth"), refused.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{refused}: {body}");
    }
    let changed = change_settings(&project, json!({ "enabled": true, "siteUrl": "https://app.example.com/" })).await;
    assert_eq!((&changed["enabled"], &changed["siteUrl"]), (&json!(true), &json!("https://app.example.com")));
    // Omitted fields stay unchanged.
    let changed = change_settings(&project, json!({ "accessTokenSeconds": 30 })).await;
    assert_eq!((&changed["enabled"], &changed["siteUrl"]), (&json!(true), &json!("https://app.example.com")));
    let (_, stored) = project.admin().get(&project.path("/auth")).await;
    assert_eq!(stored, changed);
    let changed = change_settings(&project, json!({ "siteUrl": null })).await;
    assert_eq!(changed["siteUrl"], json!(null));
}

#[tokio::test]
async fn settings_changed_by_two_requests_at_the_same_time_are_both_kept() {
    let (_app, project) = start("Two tabs").await;
    let (admin, path) = (project.admin(), project.path("/auth"));
    for number in 1..=10 {
        let (days, length) = (30 + number, 8 + number);
        let (first, second) = tokio::join!(
            admin.patch(&path, json!({ "refreshTokenDays": days })),
            admin.patch(&path, json!({ "passwordMinLength": length }))
        );
        assert_eq!((first.0, second.0), (StatusCode::OK, StatusCode::OK));
        let (_, settings) = admin.get(&path).await;
        let found = (&settings["refreshTokenDays"], &settings["passwordMinLength"]);
        assert_eq!(found, (&json!(days), &json!(length)));
    }
}

#[tokio::test]
async fn users_are_created_listed_and_searched() {
    let (_app, project) = start("List").await;
    let create = async |email: &str| {
        let request = json!({ "email": email, "password": PASSWORD, "role": "admin", "data": { "n": 1 } });
        project.admin().post(&project.path("/users"), request).await
    };
    for number in 0..5 {
        let (status, user) = create(&format!("User_{number}@example.com")).await;
        assert_eq!(status, StatusCode::CREATED, "{user}");
        assert_eq!((&user["role"], &user["disabledAt"], &user["sessions"]), (&json!("admin"), &json!(null), &json!(0)));
        assert!(user["emailVerifiedAt"].is_string());
    }
    let (status, error) = create("user_0@example.com").await;
    assert_eq!((status, code(&error)), (StatusCode::CONFLICT, "email_taken"));
    assert_eq!(error["error"]["hint"], "Use another e-mail address, or change the existing user.");
    let (status, body) = log_in(&project, "user_3@example.com", PASSWORD).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let mut path = project.path("/users?limit=2");
    let mut emails = Vec::new();
    loop {
        let (status, page) = project.admin().get(&path).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        emails.extend(page["items"].as_array().unwrap().iter().map(|user| user["email"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["nextCursor"].as_str() else { break };
        path = project.path(&format!("/users?limit=2&cursor={cursor}"));
    }
    assert_eq!(emails, [4, 3, 2, 1, 0].map(|number| format!("user_{number}@example.com")));
    for (search, found) in [("SER_3", 1), ("user", 5), ("%25", 0), ("_", 5), ("ser%5f3", 1), ("nobody", 0)] {
        let (_, page) = project.admin().get(&project.path(&format!("/users?search={search}"))).await;
        assert_eq!(page["items"].as_array().unwrap().len(), found, "{search}: {page}");
    }
    let (_, page) = project.admin().get(&project.path("/users?search=user_3")).await;
    assert_eq!(page["items"][0]["sessions"], 1);
    let id = page["items"][0]["id"].as_str().unwrap();
    let (status, detail) = project.admin().get(&project.path(&format!("/users/{id}"))).await;
    assert_eq!((status, &detail["user"]), (StatusCode::OK, &page["items"][0]));
}

#[tokio::test]
async fn owner_sees_whether_a_user_has_a_password() {
    let (_app, project) = start("Passwords").await;
    for (email, password) in [("with@example.com", json!(PASSWORD)), ("without@example.com", json!(null))] {
        let has_password = json!(password.is_string());
        let request = json!({ "email": email, "password": password });
        let (status, user) = project.admin().post(&project.path("/users"), request).await;
        assert_eq!((status, &user["hasPassword"]), (StatusCode::CREATED, &has_password), "{user}");
        let path = project.path(&format!("/users/{}", user["id"].as_str().unwrap()));
        let (_, detail) = project.admin().get(&path).await;
        assert_eq!(detail["user"]["hasPassword"], has_password, "{detail}");
    }
    let (_, page) = project.admin().get(&project.path("/users")).await;
    let listed: Vec<_> = page["items"].as_array().unwrap().iter().map(|user| &user["hasPassword"]).collect();
    assert_eq!(listed, [&json!(false), &json!(true)]);
}

#[tokio::test]
async fn detail_of_a_user_lists_sessions_and_counts_the_rows_that_refer_to_the_user() {
    let (_app, project) = start("Detail").await;
    project
        .sql(
            "CREATE TABLE notes (id int PRIMARY KEY, owner uuid REFERENCES auth.users (id) ON DELETE CASCADE);
             CREATE TABLE \"Other Table\" (author uuid REFERENCES auth.users (id))",
        )
        .await;
    let body = sign_up(&project, "a@example.com").await;
    let other = sign_up(&project, "b@example.com").await;
    let (id, other) = (body["user"]["id"].as_str().unwrap(), other["user"]["id"].as_str().unwrap());
    project.sql(&format!("INSERT INTO notes VALUES (1, '{id}'), (2, '{id}'), (3, '{other}')")).await;
    log_in(&project, "a@example.com", PASSWORD).await;
    let (status, detail) = project.admin().get(&project.path(&format!("/users/{id}"))).await;
    assert_eq!(status, StatusCode::OK, "{detail}");
    assert_eq!((&detail["user"]["id"], &detail["user"]["sessions"]), (&json!(id), &json!(2)));
    let sessions = detail["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    assert!(sessions.iter().all(|session| session["expiresAt"].is_string() && session["address"].is_string()));
    let expected = json!([
        { "table": "Other Table", "columns": ["author"], "rows": 0, "counted": true, "onDelete": "noAction" },
        { "table": "notes", "columns": ["owner"], "rows": 2, "counted": true, "onDelete": "cascade" },
    ]);
    assert_eq!(detail["references"], expected);
}

#[tokio::test]
async fn detail_of_a_user_does_not_wait_for_a_locked_table() {
    let (_app, project) = start("Locked").await;
    project
        .sql(
            "CREATE TABLE locked (owner uuid REFERENCES auth.users (id) ON DELETE CASCADE);
             CREATE TABLE notes (owner uuid REFERENCES auth.users (id) ON DELETE CASCADE)",
        )
        .await;
    let body = sign_up(&project, "a@example.com").await;
    let id = body["user"]["id"].as_str().unwrap();
    project.sql(&format!("INSERT INTO locked VALUES ('{id}'); INSERT INTO notes VALUES ('{id}')")).await;
    let mut connection = project.connect().await;
    let lock = "BEGIN; LOCK TABLE public.locked IN ACCESS EXCLUSIVE MODE";
    sqlx::raw_sql(lock).execute(&mut connection).await.expect(lock);
    let path = project.path(&format!("/users/{id}"));
    let admin = project.admin();
    // On a busy machine, the limit of one second may be too short for the other table too.
    let detail = eventually("the rows of the other table are counted", async || {
        let response = tokio::time::timeout(Duration::from_secs(15), admin.get(&path)).await;
        let (status, detail) = response.expect("a response should arrive in time");
        assert_eq!(status, StatusCode::OK, "{detail}");
        (detail["references"][1]["counted"] == true).then_some(detail)
    })
    .await;
    connection.close().await.expect("close");
    assert_eq!(detail["sessions"].as_array().unwrap().len(), 1);
    let expected = json!([
        { "table": "locked", "columns": ["owner"], "rows": 0, "counted": false, "onDelete": "cascade" },
        { "table": "notes", "columns": ["owner"], "rows": 1, "counted": true, "onDelete": "cascade" },
    ]);
    assert_eq!(detail["references"], expected);
}

#[tokio::test]
async fn disabled_user_loses_access_at_once() {
    let (_app, project) = start("Disable").await;
    let body = sign_up(&project, "a@example.com").await;
    let path = project.path(&format!("/users/{}", body["user"]["id"].as_str().unwrap()));
    let (status, user) = project.admin().patch(&path, json!({ "disabled": true })).await;
    assert_eq!(status, StatusCode::OK);
    assert!(user["disabledAt"].is_string() && user["sessions"] == 0, "{user}");
    assert_eq!(signed_in(&project, &body).get("/v1/auth/me").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(refresh(&project, &body["session"]["refreshToken"]).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(log_in(&project, "a@example.com", PASSWORD).await.0, StatusCode::UNAUTHORIZED);
    let (_, user) = project.admin().patch(&path, json!({ "disabled": false, "data": { "a": 1 } })).await;
    assert_eq!((&user["disabledAt"], &user["data"]), (&json!(null), &json!({ "a": 1 })));
    assert_eq!(log_in(&project, "a@example.com", PASSWORD).await.0, StatusCode::OK);
    for wrong in ["not-an-id", "00000000-0000-4000-8000-000000000000"] {
        let path = project.path(&format!("/users/{wrong}"));
        assert_eq!(project.admin().patch(&path, json!({ "disabled": true })).await.0, StatusCode::NOT_FOUND);
        assert_eq!(project.admin().delete(&path).await.0, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn owner_signs_a_user_out_everywhere() {
    let (app, project) = start("Sign out").await;
    let first = sign_up(&project, "a@example.com").await;
    let second = log_in(&project, "a@example.com", PASSWORD).await.1;
    let other = sign_up(&project, "b@example.com").await;
    let id = first["user"]["id"].as_str().unwrap();
    let path = project.path(&format!("/users/{id}/sign-out"));
    assert_eq!(project.admin().send(Method::POST, &path, None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(refresh(&project, &other["session"]["refreshToken"]).await.0, StatusCode::OK, "of another user");
    for body in [first.clone(), second] {
        assert_eq!(refresh(&project, &body["session"]["refreshToken"]).await.0, StatusCode::UNAUTHORIZED);
    }
    let (_, entries) = app.admin().get(&format!("/admin/v1/audit?projectId={}&action=user.sign_out", project.id)).await;
    let entry = &entries["items"][0];
    assert_eq!((&entry["target"], &entry["details"]), (&json!(id), &json!({ "email": "a@example.com" })), "{entries}");
}

#[tokio::test]
async fn login_events_contain_the_address_of_their_user() {
    let (app, project) = start("Events").await;
    let body = sign_up(&project, "ada@example.com").await;
    let id = body["user"]["id"].as_str().unwrap().to_owned();
    assert_eq!(log_in(&project, "ada@example.com", "wrong password").await.0, StatusCode::UNAUTHORIZED);
    let (status, _) = signed_in(&project, &body).patch("/v1/auth/me", json!({ "data": { "a": 1 } })).await;
    assert_eq!(status, StatusCode::OK);
    let Enrolled { session, secret, .. } = enrol(&project, body).await;
    forget_used_codes(&project).await;
    let challenge = begin(&project, "ada@example.com").await;
    let (status, verified) = verify(&project, &challenge, &totp(&secret, 0)).await;
    assert_eq!(status, StatusCode::OK, "{verified}");
    let client = signed_in(&project, &session);
    assert_eq!(client.send(Method::POST, "/v1/auth/logout", None).await.0, StatusCode::NO_CONTENT);

    let query = format!("/admin/v1/audit?projectId={}&target={id}&action=auth.*&limit=200", project.id);
    let (_, entries) = app.admin().get(&query).await;
    let entries = entries["items"].as_array().unwrap();
    for entry in entries {
        assert_eq!((&entry["actor"], &entry["details"]["email"]), (&json!(id), &json!("ada@example.com")), "{entry}");
    }
    let actions: BTreeSet<&str> = entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    for action in
        ["login", "logout", "mfa_challenge", "mfa_confirm", "mfa_enrol", "mfa_verify", "signup", "update_user"]
    {
        assert!(actions.contains(&*format!("auth.{action}")), "{action}: {actions:?}");
    }
}

#[tokio::test]
async fn user_to_whom_rows_refer_is_deleted_only_with_an_on_delete_rule() {
    let (_app, project) = start("Delete").await;
    project
        .sql(
            "CREATE TABLE kept (id int PRIMARY KEY, owner uuid REFERENCES auth.users (id));
             CREATE TABLE dropped (id int PRIMARY KEY, owner uuid REFERENCES auth.users (id) ON DELETE CASCADE)",
        )
        .await;
    let body = sign_up(&project, "a@example.com").await;
    let id = body["user"]["id"].as_str().unwrap();
    project.sql(&format!("INSERT INTO kept VALUES (1, '{id}'); INSERT INTO dropped VALUES (1, '{id}')")).await;
    let path = project.path(&format!("/users/{id}"));
    let (status, error) = project.admin().delete(&path).await;
    assert_eq!((status, code(&error)), (StatusCode::CONFLICT, "foreign_key_violation"), "{error}");
    assert!(error["error"]["message"].as_str().unwrap().contains("public.kept"), "{error}");
    project.sql("DELETE FROM kept").await;
    assert_eq!(project.admin().delete(&path).await.0, StatusCode::NO_CONTENT);
    assert_eq!(query::<i64>(&project, "SELECT count(*) FROM dropped").await, 0);
    assert_eq!(signed_in(&project, &body).get("/v1/auth/me").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(refresh(&project, &body["session"]["refreshToken"]).await.0, StatusCode::UNAUTHORIZED);
}
