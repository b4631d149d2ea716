//! Changes of channels whose settings can't be opened with the master key.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{
    channels::{SECRET, webhook},
    delivery::{app_for, create_channel},
};

#[tokio::test]
async fn channel_with_unreadable_settings_can_be_repaired() {
    let app = app_for("").await;
    let channel = create_channel(&app, webhook("https://lost.example/hook")).await;
    sqlx::query("UPDATE notification_channels SET sealed = '\\x00'").execute(app.app.platform()).await.unwrap();
    let path = format!("/admin/v1/notifications/{}", channel["id"].as_str().unwrap());
    let (_, shown) = app.admin().get(&path).await;
    assert!(shown["lastError"].as_str().unwrap().contains("master key"), "{shown}");

    // Nothing is left of the old settings, so a change must contain all of them.
    let (status, error) = app.admin().patch(&path, json!({ "url": "https://new.example/hook" })).await;
    assert_eq!((status, &error["error"]["message"]), (StatusCode::BAD_REQUEST, &json!("`secret` is missing.")));
    let change = json!({ "url": "https://new.example/hook", "secret": SECRET });
    let (status, mended) = app.admin().patch(&path, change).await;
    assert_eq!(
        (status, &mended["url"], &mended["lastError"]),
        (StatusCode::OK, &json!("https://new.example"), &Value::Null)
    );
}

#[tokio::test]
async fn change_of_unreadable_settings_that_would_keep_some_is_rejected() {
    let app = app_for("").await;
    let hook = create_channel(&app, webhook("https://lost.example/hook")).await;
    let complete_email = json!({ "host": "mail.example", "from": "a@b.example", "to": ["c@d.example"] });
    let mut email = json!({ "name": "M", "kind": "email", "events": ["plugin"] });
    email.as_object_mut().unwrap().extend(complete_email.as_object().unwrap().clone());
    let email = create_channel(&app, email).await;
    sqlx::query("UPDATE notification_channels SET sealed = '\\x00'").execute(app.app.platform()).await.unwrap();
    let check = async |channel: &Value, change: Value, named: &str| {
        let path = format!("/admin/v1/notifications/{}", channel["id"].as_str().unwrap());
        let mut tested = change.clone();
        tested["kind"] = channel["kind"].clone();
        tested["channelId"] = channel["id"].clone();
        for (status, error) in
            [app.admin().patch(&path, change).await, app.admin().post("/admin/v1/notifications/test", tested).await]
        {
            let message = error["error"]["message"].as_str().unwrap_or_default();
            let hint = error["error"]["hint"].as_str().unwrap_or_default();
            assert!(status == StatusCode::BAD_REQUEST && message.starts_with(named), "{status} {error}");
            assert!(hint.contains("master key"), "{error}");
        }
    };
    let hidden = "***";
    check(&hook, json!({ "url": "https://new.example/hook", "secret": hidden }), "`secret` is missing.").await;
    check(&hook, json!({ "url": "https://lost.example", "secret": SECRET }), "`url` has no path").await;
    let with = |change: Value| {
        let mut changed = complete_email.clone();
        changed.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        changed
    };
    check(&email, with(json!({})), "`username` is missing.").await;
    check(&email, with(json!({ "username": "hub" })), "`password` is missing.").await;
    check(&email, with(json!({ "username": "hub", "password": hidden })), "`password` is missing.").await;
    let path = format!("/admin/v1/notifications/{}", email["id"].as_str().unwrap());
    let (status, mended) = app.admin().patch(&path, with(json!({ "username": "" }))).await;
    assert_eq!((status, &mended["host"]), (StatusCode::OK, &json!("mail.example")), "{mended}");
}
