//! The list of a channel's deliveries.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::delivery::{app_for, create_webhook, failed};
use crate::support::{TestApp, WebResponse, WebServer, eventually};

async fn listed(app: &TestApp, channel: &Value, query: &str) -> Value {
    let path = format!("/admin/v1/notifications/{}/deliveries{query}", channel["id"].as_str().unwrap());
    let (status, page) = app.admin().get(&path).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    page
}

#[tokio::test]
async fn deliveries_are_listed_with_state_and_reason() {
    let server = WebServer::start(|request| match request.target.as_str() {
        "/gone" => WebResponse::with(404, &[], b"{\"message\": \"Unknown Webhook\"}"),
        _ => WebResponse::status(204),
    })
    .await;
    let app = app_for(&server.entry()).await;
    let project = app.create_project("Shop").await;
    let (works, gone) =
        (create_webhook(&app, &server.url("/works")).await, create_webhook(&app, &server.url("/gone")).await);
    app.app.notifier().notify(failed("First").with_project(Some(project.id.clone())));
    let sent = eventually("the first delivery ends", async || {
        let page = listed(&app, &works, "").await;
        (page["items"][0]["state"] == "sent").then(|| page["items"][0].clone())
    })
    .await;
    assert_eq!((&sent["event"], &sent["title"]), (&json!("runFailed"), &json!("First")));
    assert_eq!((&sent["projectId"], &sent["projectName"]), (&json!(project.id), &json!("Shop")));
    assert_eq!((&sent["attempts"], &sent["occurrences"]), (&json!(1), &json!(1)));
    assert!(sent["finishedAt"].is_string() && sent["error"].is_null() && sent["nextAttemptAt"].is_null(), "{sent}");
    let refused = eventually("the other delivery ends", async || {
        let page = listed(&app, &gone, "").await;
        (page["items"][0]["state"] == "failed").then(|| page["items"][0].clone())
    })
    .await;
    assert_eq!(refused["error"], "The receiver returned 404.");

    app.app.notifier().notify(failed("Second"));
    eventually("the second delivery is listed first", async || {
        (listed(&app, &works, "").await["items"][0]["title"] == "Second").then_some(())
    })
    .await;
    let page = listed(&app, &works, "?limit=1").await;
    let next = listed(&app, &works, &format!("?limit=1&cursor={}", page["nextCursor"].as_str().unwrap())).await;
    assert_eq!((&next["items"][0]["title"], &next["nextCursor"]), (&json!("First"), &Value::Null));
    let unknown = "/admin/v1/notifications/00000000-0000-7000-8000-000000000000/deliveries";
    assert_eq!(app.admin().get(unknown).await.0, StatusCode::NOT_FOUND);
}
