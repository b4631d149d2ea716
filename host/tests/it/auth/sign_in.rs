//! Sign-up, login and logout with a password, and changes that users make to their own accounts.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{PASSWORD, change_settings, events, execute, log_in, query, refresh, sign_up, signed_in, start};
use crate::support::{TestApp, code};

#[tokio::test]
async fn user_signs_up_logs_in_and_logs_out() {
    let (app, project) = start("Sign-in").await;
    let request = json!({ "email": "Ada@Example.com", "password": PASSWORD, "data": { "name": "Ada" } });
    let response = project.publishable().request(Method::POST, "/v1/auth/signup").json(&request).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(response.headers()["cache-control"], "no-store");
    let body: Value = response.json().await.unwrap();
    let user = &body["user"];
    assert_eq!(
        (&user["email"], &user["emailVerifiedAt"], &user["role"], &user["data"]),
        (&json!("ada@example.com"), &json!(null), &json!("member"), &json!({ "name": "Ada" }))
    );
    assert!(user.get("disabledAt").is_none(), "{user}");
    let session = &body["session"];
    assert_eq!((&session["tokenType"], &session["expiresIn"]), (&json!("bearer"), &json!(900)));
    let expires_at = session["expiresAt"].as_i64().unwrap();
    assert!((expires_at - chrono::Utc::now().timestamp() - 900).abs() < 5, "{expires_at}");

    // The case of an address does not matter.
    let (status, again) = log_in(&project, "ADA@example.COM", PASSWORD).await;
    assert_eq!((status, &again["user"]["id"]), (StatusCode::OK, &user["id"]), "{again}");
    assert!(again["user"]["lastSignInAt"].is_string());

    let client = signed_in(&project, &again);
    let (status, me) = client.get("/v1/auth/me").await;
    assert_eq!((status, &me["user"]["id"]), (StatusCode::OK, &user["id"]), "{me}");
    assert_eq!(project.publishable().get("/v1/auth/me").await.0, StatusCode::UNAUTHORIZED);

    // Without a body, only this session ends.
    assert_eq!(client.send(Method::POST, "/v1/auth/logout", None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(client.get("/v1/auth/me").await.0, StatusCode::UNAUTHORIZED);
    let (status, error) = refresh(&project, &again["session"]["refreshToken"]).await;
    assert_eq!((status, code(&error)), (StatusCode::UNAUTHORIZED, "invalid_refresh_token"), "{error}");
    assert_eq!(signed_in(&project, &body).get("/v1/auth/me").await.0, StatusCode::OK);
    let expected = [("auth.signup", "success"), ("auth.login", "success"), ("auth.logout", "success")];
    let expected: Vec<_> = expected.map(|(action, result)| (action.to_owned(), result.to_owned())).into();
    assert_eq!(events(&app, &project).await, expected);
}

#[tokio::test]
async fn logout_scopes_end_the_right_sessions() {
    let (_app, project) = start("Scopes").await;
    let first = sign_up(&project, "a@example.com").await;
    let second = log_in(&project, "a@example.com", PASSWORD).await.1;
    let third = log_in(&project, "a@example.com", PASSWORD).await.1;
    let other = sign_up(&project, "b@example.com").await;
    let alive = async |body: &Value| signed_in(&project, body).get("/v1/auth/me").await.0 == StatusCode::OK;
    let log_out = async |body: &Value, scope: &str| {
        signed_in(&project, body).post("/v1/auth/logout", json!({ "scope": scope })).await.0
    };
    assert_eq!(log_out(&first, "others").await, StatusCode::NO_CONTENT);
    assert_eq!([alive(&first).await, alive(&second).await, alive(&third).await], [true, false, false]);
    let second = log_in(&project, "a@example.com", PASSWORD).await.1;
    assert_eq!(log_out(&first, "global").await, StatusCode::NO_CONTENT);
    assert_eq!([alive(&first).await, alive(&second).await], [false, false]);
    assert!(alive(&other).await);
    assert_eq!(log_out(&other, "everything").await, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn unknown_user_disabled_user_and_wrong_password_get_the_same_response() {
    let (app, project) = start("Same").await;
    sign_up(&project, "known@example.com").await;
    let disabled = sign_up(&project, "disabled@example.com").await;
    execute(&project, "UPDATE auth.users SET disabled_at = now() WHERE email LIKE 'disabled%'").await;
    let long = "x".repeat(500_000);
    let mut bodies = Vec::new();
    for (email, password) in [
        ("known@example.com", "wrong password"),
        ("unknown@example.com", PASSWORD),
        ("disabled@example.com", PASSWORD),
        ("not an address", PASSWORD),
        ("known\0@example.com", PASSWORD),
        ("known@example.com", &long),
        ("known@example.com", ""),
    ] {
        let (status, mut body) = log_in(&project, email, password).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{email}: {body}");
        body["error"]["requestId"] = json!(null);
        bodies.push(body);
    }
    assert_eq!(code(&bodies[0]), "invalid_credentials");
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    let denied = events(&app, &project).await;
    let count = denied.iter().filter(|event| **event == ("auth.login".to_owned(), "denied".to_owned())).count();
    assert_eq!(count, 7, "{denied:?}");
    // The session of a disabled user does not work either.
    assert_eq!(signed_in(&project, &disabled).get("/v1/auth/me").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(refresh(&project, &disabled["session"]["refreshToken"]).await.0, StatusCode::UNAUTHORIZED);
    let (_, entries) = app.admin().get(&format!("/admin/v1/audit?projectId={}&limit=200", project.id)).await;
    let text = entries.to_string();
    assert!(!text.contains(PASSWORD) && !text.contains("wrong password"), "{text}");
}

#[tokio::test]
async fn taken_addresses_and_invalid_input_are_refused() {
    let (_app, project) = start("Input").await;
    sign_up(&project, "ada@example.com").await;
    for (request, status, expected) in [
        (json!({ "email": "ADA@example.com", "password": PASSWORD }), 409, "email_taken"),
        (json!({ "email": "nobody", "password": PASSWORD }), 400, "invalid_request"),
        (json!({ "email": "a@example.com\r\nBcc: b@example.com", "password": PASSWORD }), 400, "invalid_request"),
        (json!({ "email": "a\u{212a}a@example.com", "password": PASSWORD }), 400, "invalid_request"),
        (json!({ "email": "b@example.com", "password": "short" }), 400, "weak_password"),
        (json!({ "email": "b@example.com", "password": "password123" }), 400, "weak_password"),
        (json!({ "email": "b@example.com", "password": "x".repeat(900_000) }), 400, "weak_password"),
        (json!({ "email": "b@example.com", "password": PASSWORD, "role": "owner" }), 400, "invalid_json"),
        (json!({ "email": "b@example.com", "password": PASSWORD, "data": [1] }), 400, "invalid_request"),
        (json!({ "email": "b@example.com" }), 400, "invalid_json"),
    ] {
        let (received, body) = project.publishable().post("/v1/auth/signup", request.clone()).await;
        assert_eq!((received.as_u16(), code(&body)), (status, expected), "{body}");
    }
    assert_eq!(query::<i64>(&project, "SELECT count(*) FROM auth.users").await, 1);
    change_settings(&project, json!({ "allowSignup": false })).await;
    let request = json!({ "email": "c@example.com", "password": PASSWORD });
    let (status, body) = project.publishable().post("/v1/auth/signup", request).await;
    assert_eq!((status, code(&body)), (StatusCode::FORBIDDEN, "signup_disabled"));
}

#[tokio::test]
async fn required_verification_gives_the_same_response_for_taken_addresses() {
    let (app, project) = start("Verify").await;
    change_settings(&project, json!({ "requireVerifiedEmail": true })).await;
    let request = json!({ "email": "a@example.com", "password": PASSWORD, "data": { "bb": -0.0, "a": 2 } });
    let (status, first) = project.publishable().post("/v1/auth/signup", request.clone()).await;
    let (again, second) = project.publishable().post("/v1/auth/signup", request).await;
    assert_eq!([status, again], [StatusCode::CREATED; 2], "{second}");
    assert_eq!((&first["session"], &second["session"]), (&json!(null), &json!(null)));
    let names = |body: &Value| body["user"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&first), names(&second));
    // Compared as text, because Postgres would change the order of the members and the sign of the zero.
    assert_eq!(first["user"]["data"].to_string(), second["user"]["data"].to_string());
    assert_ne!(first["user"]["id"], second["user"]["id"]);
    assert_eq!(query::<i64>(&project, "SELECT count(*) FROM auth.users").await, 1);
    let (status, body) = log_in(&project, "a@example.com", PASSWORD).await;
    assert_eq!((status, code(&body)), (StatusCode::FORBIDDEN, "email_not_verified"));
    // This server can't send mail.
    assert!(body["error"]["hint"].as_str().unwrap().starts_with("No link can be mailed"), "{body}");
    execute(&project, "UPDATE auth.users SET email_verified_at = now()").await;
    assert_eq!(log_in(&project, "a@example.com", PASSWORD).await.0, StatusCode::OK);
    drop(app);
}

#[tokio::test]
async fn sign_up_with_a_taken_address_is_recorded_as_denied() {
    let (app, project) = start("Taken").await;
    let request = json!({ "email": "ada@example.com", "password": PASSWORD });
    sign_up(&project, "ada@example.com").await;
    for (requires_verification, expected) in [(false, 409), (true, 201)] {
        change_settings(&project, json!({ "requireVerifiedEmail": requires_verification })).await;
        let (status, body) = project.publishable().post("/v1/auth/signup", request.clone()).await;
        assert_eq!(status.as_u16(), expected, "{body}");
        let query = format!("/admin/v1/audit?projectId={}&action=auth.signup", project.id);
        let (_, entries) = app.admin().get(&query).await;
        let entry = &entries["items"][0];
        assert_eq!((&entry["result"], &entry["status"]), (&json!("denied"), &json!(expected)), "{entries}");
        assert_eq!((&entry["details"]["error"], &entry["actor"]), (&json!("email_taken"), &json!("anonymous")));
    }
}

#[tokio::test]
async fn user_changes_data_and_password() {
    let (_app, project) = start("Changes").await;
    let first = sign_up(&project, "a@example.com").await;
    let second = log_in(&project, "a@example.com", PASSWORD).await.1;
    let client = signed_in(&project, &first);
    let change = async |body: Value| client.patch("/v1/auth/me", body).await;
    let (status, body) = change(json!({ "data": { "name": "Ada", "theme": "dark", "old": 1 } })).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let (_, body) = change(json!({ "data": { "theme": "light", "old": null } })).await;
    assert_eq!(body["user"]["data"], json!({ "name": "Ada", "theme": "light" }));
    for (request, status, expected) in [
        (json!({ "password": "another long one" }), 400, "invalid_request"),
        (json!({ "password": "another long one", "currentPassword": "wrong" }), 401, "invalid_credentials"),
        (json!({ "password": "short", "currentPassword": PASSWORD }), 400, "weak_password"),
        (json!({ "role": "owner" }), 400, "invalid_json"),
        (json!({ "emailVerifiedAt": "2026-01-01T00:00:00Z" }), 400, "invalid_json"),
    ] {
        let (received, body) = change(request).await;
        assert_eq!((received.as_u16(), code(&body)), (status, expected), "{body}");
    }
    let (status, body) = change(json!({ "password": "another long one", "currentPassword": PASSWORD })).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(client.get("/v1/auth/me").await.0, StatusCode::OK);
    assert_eq!(signed_in(&project, &second).get("/v1/auth/me").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(log_in(&project, "a@example.com", PASSWORD).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(log_in(&project, "a@example.com", "another long one").await.0, StatusCode::OK);
}

#[tokio::test]
async fn project_without_login_returns_auth_disabled_before_checking_tokens() {
    let app = TestApp::start().await;
    let project = app.create_project("Off").await;
    let bearer = project.publishable().with_header("authorization", "Bearer nonsense");
    for (method, path) in [
        (Method::POST, "/v1/auth/signup"),
        (Method::POST, "/v1/auth/login"),
        (Method::POST, "/v1/auth/refresh"),
        (Method::POST, "/v1/auth/logout"),
        (Method::GET, "/v1/auth/me"),
        (Method::PATCH, "/v1/auth/me"),
    ] {
        for client in [project.publishable(), project.secret(), bearer.clone()] {
            let (status, body) = client.send(method.clone(), path, Some(json!({}))).await;
            assert_eq!((status, code(&body)), (StatusCode::NOT_FOUND, "auth_disabled"), "{method} {path}: {body}");
        }
        // The API key is checked first.
        assert_eq!(app.public().send(method, path, Some(json!({}))).await.0, StatusCode::UNAUTHORIZED);
    }
    let (status, body) = app.public().get(&format!("/v1/auth/jwks/{}", project.id)).await;
    assert_eq!((status, code(&body)), (StatusCode::NOT_FOUND, "auth_disabled"));
    super::enable(&project).await;
    let body = sign_up(&project, "a@example.com").await;
    change_settings(&project, json!({ "enabled": false })).await;
    let (status, error) = signed_in(&project, &body).get("/v1/auth/me").await;
    assert_eq!((status, code(&error)), (StatusCode::NOT_FOUND, "auth_disabled"));
    assert_eq!(signed_in(&project, &body).get("/v1/db/tables").await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn data_that_a_user_collects_in_many_requests_is_limited() {
    let (_app, project) = start("Limited data").await;
    let body = sign_up(&project, "ada@example.com").await;
    let client = signed_in(&project, &body);
    let path = project.path(&format!("/users/{}", body["user"]["id"].as_str().unwrap()));
    let text = |length: usize| "\"\\ ,".repeat(length / 6);
    let stored = async || query::<i32>(&project, "SELECT octet_length(data::text) FROM auth.users").await;
    let change = async |data: Value| client.patch("/v1/auth/me", json!({ "data": data })).await;
    assert_eq!(change(json!({ "a": text(40_000) })).await.0, StatusCode::OK);
    let before = stored().await;
    let (status, error) = change(json!({ "b": text(40_000) })).await;
    assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_request"), "{error}");
    let request = json!({ "data": { "b": text(40_000) }, "disabled": true });
    let (status, error) = project.admin().patch(&path, request).await;
    assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_request"), "{error}");
    assert_eq!(stored().await, before);
    // The refused request did not disable the user either.
    assert_eq!(client.get("/v1/auth/me").await.0, StatusCode::OK);
    assert_eq!(change(json!({ "a": null, "b": text(40_000) })).await.0, StatusCode::OK);
    // The spaces that Postgres writes do not count.
    assert_eq!(change(json!({ "b": null, "c": vec![0; 32_000] })).await.0, StatusCode::OK);
    assert!(stored().await > 64 * 1024);
    let (status, error) = change(json!({ "d": vec![0; 1_000] })).await;
    assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_request"), "{error}");
    // Data that is too large already can become smaller.
    execute(&project, "UPDATE auth.users SET data = data || jsonb_build_object('e', repeat('e', 200000))").await;
    assert_eq!(change(json!({ "c": null })).await.0, StatusCode::OK);
    assert_eq!(change(json!({ "f": 1 })).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(change(json!({ "e": null, "f": 1 })).await.0, StatusCode::OK);
}
