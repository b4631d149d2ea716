//! The list of sessions, and ending them.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{ADMIN_TOKEN, Client, TestApp};

/// Signs in. Returns a client with the session's cookie, and with the `Origin` that writes need.
async fn sign_in(app: &TestApp, user_agent: &str) -> Client {
    let client = Client::new(&*app.admin_url).with_header("user-agent", user_agent);
    let body = json!({ "token": ADMIN_TOKEN });
    let response = client.request(Method::POST, "/admin/v1/session").json(&body).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    let cookie = response.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    client.with_header("cookie", &cookie).with_header("origin", &app.admin_url)
}

async fn sessions(client: &Client, query: &str) -> Value {
    let (status, page) = client.get(&format!("/admin/v1/sessions{query}")).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    page
}

async fn is_signed_in(client: &Client) -> bool {
    client.get("/admin/v1/session").await.0 == StatusCode::OK
}

#[tokio::test]
async fn sessions_are_listed_and_ended_one_by_one() {
    let app = TestApp::start().await;
    let phone = sign_in(&app, "Phone/1.0").await;
    let laptop = sign_in(&app, "Laptop/2.0").await;
    let page = sessions(&laptop, "").await;
    let items = page["items"].as_array().unwrap();
    let of = |agent: &str| items.iter().find(|item| item["userAgent"] == agent).unwrap();
    assert_eq!(items.len(), 2, "{page}");
    assert_eq!((&of("Laptop/2.0")["current"], &of("Phone/1.0")["current"]), (&json!(true), &json!(false)));
    assert_eq!(of("Phone/1.0")["address"], "127.0.0.1");
    for field in ["createdAt", "lastUsedAt", "expiresAt"] {
        assert!(of("Phone/1.0")[field].is_string(), "{field}: {page}");
    }
    let (_, session) = laptop.get("/admin/v1/session").await;
    assert_eq!((&session["id"], &session["method"]), (&of("Laptop/2.0")["id"], &json!("session")));
    assert_eq!(session["signOutUrl"], Value::Null);

    let path = format!("/admin/v1/sessions/{}", of("Phone/1.0")["id"].as_str().unwrap());
    assert_eq!(laptop.delete(&path).await.0, StatusCode::NO_CONTENT);
    for gone in [path.as_str(), "/admin/v1/sessions/x"] {
        assert_eq!(laptop.delete(gone).await.0, StatusCode::NOT_FOUND, "{gone}");
    }
    assert!(!is_signed_in(&phone).await);
    assert!(is_signed_in(&laptop).await);
    let (_, audit) = laptop.get("/admin/v1/audit?action=admin.end_session&result=success").await;
    assert_eq!(audit["items"].as_array().unwrap().len(), 1, "{audit}");
}

#[tokio::test]
async fn other_sessions_are_ended_together() {
    let app = TestApp::start().await;
    let (first, second, third) = (sign_in(&app, "a").await, sign_in(&app, "b").await, sign_in(&app, "c").await);
    let page = sessions(&third, "?limit=2").await;
    let cursor = page["nextCursor"].as_str().unwrap();
    assert_eq!(sessions(&third, &format!("?limit=2&cursor={cursor}")).await["items"].as_array().unwrap().len(), 1);
    assert_eq!(third.delete("/admin/v1/sessions").await, (StatusCode::OK, json!({ "ended": 2 })));
    assert!(!is_signed_in(&first).await && !is_signed_in(&second).await);
    assert!(is_signed_in(&third).await, "the caller's own session was ended");
    assert_eq!(third.delete("/admin/v1/sessions").await.1, json!({ "ended": 0 }));
    // The admin token belongs to no session, so every session is ended.
    assert_eq!(app.admin().delete("/admin/v1/sessions").await.1, json!({ "ended": 1 }));
    assert!(!is_signed_in(&third).await);
}

#[tokio::test]
async fn sign_in_code_is_neither_listed_nor_ended() {
    let app = TestApp::start().await;
    let code = atlashub::admin::create_sign_in_code(app.app.platform()).await.unwrap();
    assert_eq!(sessions(&app.admin(), "").await["items"], json!([]));
    assert_eq!(app.admin().delete("/admin/v1/sessions").await.1, json!({ "ended": 0 }));
    let client = Client::new(&*app.admin_url);
    assert_eq!(client.post("/admin/v1/session", json!({ "code": code })).await.0, StatusCode::CREATED);
}
