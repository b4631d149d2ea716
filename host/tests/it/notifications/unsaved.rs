//! Test notifications with channel settings that are not stored.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::delivery::{app_for, create_channel, create_webhook};
use crate::support::{WebResponse, WebServer};

const TEST: &str = "/admin/v1/notifications/test";
const SECRET: &str = "another-secret-of-the-test";

#[tokio::test]
async fn unsaved_settings_are_tested_and_not_stored() {
    let server = WebServer::start(|request| match request.target.as_str() {
        "/refuses" => WebResponse::with(401, &[], b"{\"message\": \"Unauthorized\"}"),
        _ => WebResponse::status(204),
    })
    .await;
    let app = app_for(&server.entry()).await;
    let body = json!({ "name": "Ops", "kind": "webhook", "url": server.url("/hook"), "secret": SECRET });
    let (status, tested) = app.admin().post(TEST, body).await;
    assert_eq!((status, &tested["delivered"], &tested["error"]), (StatusCode::OK, &json!(true), &Value::Null));
    assert!(tested["durationMs"].is_u64(), "{tested}");
    let received = server.next().await;
    assert_eq!(received.json()["event"], "test");
    assert!(received.json()["title"].as_str().unwrap().contains("Ops"));

    let body = json!({ "kind": "webhook", "url": server.url("/refuses"), "secret": SECRET });
    let (status, tested) = app.admin().post(TEST, body).await;
    assert_eq!((status, &tested["delivered"]), (StatusCode::OK, &json!(false)));
    assert!(tested["error"].as_str().unwrap().contains("401"), "{tested}");
    let (_, channels) = app.admin().get("/admin/v1/notifications").await;
    assert_eq!(channels["items"], json!([]));
    let (_, audit) = app.admin().get("/admin/v1/audit?action=notification.test").await;
    let entry = &audit["items"][1];
    assert_eq!(entry["details"], json!({ "name": "Ops", "kind": "webhook", "delivered": true }), "{audit}");
    assert!(!audit.to_string().contains(SECRET));
}

#[tokio::test]
async fn omitted_and_redacted_settings_are_those_of_the_stored_channel() {
    let server = WebServer::start(|_| WebResponse::status(204)).await;
    let app = app_for(&server.entry()).await;
    let stored = create_webhook(&app, &server.url("/stored")).await;
    // The dashboard's form sends the settings of a stored channel as it has read them.
    let body = json!({ "kind": "webhook", "channelId": stored["id"], "url": stored["url"], "secret": "***" });
    let (status, tested) = app.admin().post(TEST, body).await;
    assert_eq!((status, &tested["delivered"]), (StatusCode::OK, &json!(true)), "{tested}");
    let received = server.next().await;
    assert_eq!(received.target, "/stored");
    assert!(received.header("x-atlashub-signature").is_some());
    let body = json!({ "kind": "webhook", "channelId": stored["id"], "url": server.url("/new") });
    assert_eq!(app.admin().post(TEST, body).await.1["delivered"], true);
    assert_eq!(server.next().await.target, "/new");
    let path = format!("/admin/v1/notifications/{}", stored["id"].as_str().unwrap());
    let (_, shown) = app.admin().get(&path).await;
    assert_eq!(shown["lastSentAt"], Value::Null, "the test of unsaved settings was recorded: {shown}");
}

#[tokio::test]
async fn invalid_unsaved_settings_are_refused() {
    let app = app_for("").await;
    let discord = json!({ "name": "D", "kind": "discord", "events": ["plugin"],
        "url": "https://discord.com/api/webhooks/1/x" });
    let stored = create_channel(&app, discord).await;
    for (body, status) in [
        (json!({ "kind": "webhook", "url": "https://a.example" }), StatusCode::BAD_REQUEST),
        (json!({ "kind": "webhook", "url": "ftp://a.example", "secret": SECRET }), StatusCode::BAD_REQUEST),
        (json!({ "kind": "webhook", "channelId": stored["id"], "secret": SECRET }), StatusCode::BAD_REQUEST),
        (json!({ "kind": "discord", "channelId": "x" }), StatusCode::NOT_FOUND),
        (json!({ "kind": "pigeon" }), StatusCode::BAD_REQUEST),
    ] {
        let (actual, response) = app.admin().post(TEST, body.clone()).await;
        assert_eq!(actual, status, "{body}: {response}");
    }
}
