//! Delivery of notifications over each kind of channel.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use api_types::NotificationEvent;
use atlashub::notifications::Notification;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::{MailServer, TestApp, WebRequest, WebResponse, WebServer, eventually};

pub(crate) const SECRET: &str = "a-secret-of-the-test";

/// Starts an app that can reach the allowed hosts and sends no notifications by itself.
pub async fn app_for(allowed_hosts: &str) -> TestApp {
    TestApp::builder()
        .var("ATLASHUB_HTTP_ALLOWED_HOSTS", allowed_hosts)
        .var("ATLASHUB_DISK_LOW_PERCENT", "0")
        .start()
        .await
}

pub async fn create_channel(app: &TestApp, body: Value) -> Value {
    let (status, channel) = app.admin().post("/admin/v1/notifications", body).await;
    assert_eq!(status, StatusCode::CREATED, "{channel}");
    channel
}

pub(crate) async fn create_webhook(app: &TestApp, url: &str) -> Value {
    let events = ["runFailed", "runRecovered", "backupDone", "backupFailed", "pluginRejected", "diskLow", "plugin"];
    create_channel(app, json!({ "name": "Hook", "kind": "webhook", "events": events, "url": url, "secret": SECRET }))
        .await
}

pub(crate) fn failed(title: &str) -> Notification {
    Notification::new(NotificationEvent::RunFailed, title, "It ended with status 500.")
}

/// Returns state, occurrences, attempts and error of each delivery, in the order of their due times.
pub(crate) async fn deliveries(app: &TestApp) -> Vec<(String, i32, i32, Option<String>)> {
    sqlx::query_as("SELECT state, occurrences, attempts, error FROM notification_deliveries ORDER BY due_at, first_at")
        .fetch_all(app.app.platform())
        .await
        .unwrap()
}

pub(crate) async fn states(app: &TestApp) -> Vec<String> {
    deliveries(app).await.into_iter().map(|(state, ..)| state).collect()
}

pub(crate) fn assert_signed(request: &WebRequest) {
    let signature = request.header("x-atlashub-signature").expect("a signature");
    let (at, hex) = signature.strip_prefix("t=").and_then(|rest| rest.split_once(",v1=")).expect("its two parts");
    let age = chrono::Utc::now().timestamp() - at.parse::<i64>().expect("seconds");
    assert!((0..=120).contains(&age), "{signature}");
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("{at}.{}", request.body).as_bytes());
    let expected: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, expected);
}

#[tokio::test]
async fn webhook_receives_subscribed_events_with_signature() {
    let server = WebServer::start(|_| WebResponse::status(204)).await;
    let app = app_for(&server.entry()).await;
    let project = app.create_project("Shop").await;
    let channel = create_channel(
        &app,
        json!({ "name": "H", "kind": "webhook", "events": ["runFailed"], "url": server.url("/hook?x=1"),
            "secret": SECRET }),
    )
    .await;
    app.app.notifier().notify(Notification::new(NotificationEvent::BackupDone, "Not wanted", ""));
    let mut notification =
        failed("Job \"nightly\" failed").with_project(Some(project.id.clone())).with_field("attempt", "3");
    notification.link = Some("https://hub.example/runs/1".into());
    app.app.notifier().notify(notification);
    let request = server.next().await;
    assert_signed(&request);
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/hook?x=1"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    let body = request.json();
    assert_eq!(request.header("x-atlashub-delivery"), body["id"].as_str());
    assert_eq!((&body["event"], &body["title"]), (&json!("runFailed"), &json!("Job \"nightly\" failed")));
    assert_eq!((&body["projectId"], &body["projectName"]), (&json!(project.id), &json!("Shop")));
    assert_eq!(body["fields"], json!([{ "name": "attempt", "value": "3" }]));
    assert_eq!((&body["occurrences"], &body["link"]), (&json!(1), &json!("https://hub.example/runs/1")));
    eventually("the delivery is recorded", async || states(&app).await == ["sent"]).await;
    let path = format!("/admin/v1/notifications/{}", channel["id"].as_str().unwrap());
    let shown = app.admin().get(&path).await.1;
    assert!(shown["lastSentAt"].is_string() && shown["lastError"].is_null(), "{shown}");
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn discord_retry_after_in_the_body_takes_precedence_over_the_header() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let server = WebServer::start(move |_| match counted.fetch_add(1, Ordering::SeqCst) {
        0 => WebResponse::with(
            429,
            &[("retry-after", "3600")],
            br#"{"message": "You are being rate limited.", "retry_after": 0.3, "global": false}"#,
        ),
        _ => WebResponse::status(204),
    })
    .await;
    let app = app_for(&server.entry()).await;
    create_channel(
        &app,
        json!({ "name": "D", "kind": "discord", "events": ["runFailed"], "url": server.url("/api/webhooks/1/token") }),
    )
    .await;
    app.app.notifier().notify(failed("Job failed").with_field("attempt", "1"));
    let (first, second) = (server.next().await, server.next().await);
    assert_eq!(first.body, second.body);
    let body = second.json();
    assert_eq!(body["allowed_mentions"], json!({ "parse": [] }));
    let embed = &body["embeds"][0];
    assert_eq!((&embed["title"], &embed["description"]), (&json!("Job failed"), &json!("It ended with status 500.")));
    assert_eq!(embed["fields"], json!([{ "name": "attempt", "value": "1", "inline": true }]));
    eventually("the delivery is recorded", async || deliveries(&app).await == [("sent".to_owned(), 1, 1, None)]).await;
    assert_eq!(server.count(), 2);
}

/// Returns the settings of an e-mail channel that sends to `to` through this server.
fn email_channel(server: &MailServer, to: &[&str], tls: &str) -> Value {
    json!({ "name": "M", "kind": "email", "events": ["runFailed"], "host": "localhost", "port": server.address.port(),
        "tls": tls, "username": "hub", "password": "hunter2", "from": "AtlasHub <hub@a.example>", "to": to })
}

#[tokio::test]
async fn email_is_sent_as_plain_text() {
    let server = MailServer::start(|_| None).await;
    let app = app_for("localhost+private").await;
    create_channel(&app, email_channel(&server, &["one@b.example", "Two <two@b.example>"], "none")).await;
    let mut notification = Notification::new(NotificationEvent::RunFailed, "Job failed", "First line\n.second line")
        .with_field("attempt", "3");
    notification.link = Some("https://hub.example/runs/1".into());
    app.app.notifier().notify(notification);
    assert_eq!(server.next().await.to, ["one@b.example"]);
    let mail = server.next().await;
    assert_eq!(mail.credentials, Some(("hub".to_owned(), "hunter2".to_owned())));
    assert_eq!((mail.from.as_str(), mail.to.join(" ").as_str()), ("hub@a.example", "two@b.example"));
    let (headers, body) = mail.data.split_once("\n\n").unwrap();
    for header in [
        "Subject: [AtlasHub] Job failed",
        "From: AtlasHub <hub@a.example>",
        "To: Two <two@b.example>",
        "Auto-Submitted: auto-generated",
    ] {
        assert!(headers.lines().any(|line| line == header), "{header}: {headers}");
    }
    assert!(body.starts_with("First line\n.second line\n\nattempt: 3\n\nhttps://hub.example/runs/1\n"), "{body}");
    eventually("the delivery is recorded", async || states(&app).await == ["sent"]).await;
}

#[tokio::test]
async fn email_reports_refusals_and_requires_starttls() {
    let server = MailServer::start(|to| (to == "gone@b.example").then(|| "550 no such user here".to_owned())).await;
    let app = app_for("localhost+private").await;
    let test = async |id: &Value| {
        let path = format!("/admin/v1/notifications/{}/test", id.as_str().unwrap());
        app.admin().post(&path, json!({})).await.1["error"].as_str().unwrap_or_default().to_owned()
    };
    let refused = create_channel(&app, email_channel(&server, &["gone@b.example"], "none")).await;
    let error = test(&refused["id"]).await;
    assert!(error.contains("550") && error.contains("no such user here"), "{error}");
    // A server without STARTTLS receives neither the password nor the message.
    let before = server.commands().len();
    let secured = create_channel(&app, email_channel(&server, &["one@b.example"], "starttls")).await;
    let error = test(&secured["id"]).await;
    assert!(error.contains("STARTTLS"), "{error}");
    let commands = server.commands().split_off(before);
    assert!(commands.iter().all(|line| !line.starts_with("AUTH") && !line.starts_with("MAIL")), "{commands:?}");
    let working = create_channel(&app, email_channel(&server, &["one@b.example"], "none")).await;
    assert!(test(&working["id"]).await.is_empty());
}

#[tokio::test]
async fn hanging_or_failing_channel_does_not_delay_others() {
    let hanging = WebServer::start(|_| WebResponse::Hang(Vec::new())).await;
    let failing = WebServer::start(|_| WebResponse::status(503)).await;
    let working = WebServer::start(|_| WebResponse::status(204)).await;
    let app = app_for(&[hanging.entry(), failing.entry(), working.entry()].join(",")).await;
    for server in [&hanging, &failing, &working] {
        create_webhook(&app, &server.url("/")).await;
    }
    for number in 0..30 {
        app.app.notifier().notify(failed(&format!("Job {number} failed")));
    }
    for _ in 0..30 {
        working.next().await;
    }
    // A channel sends one message at a time, so the channel that hangs has sent only its first message, and perhaps a
    // second one if the test took longer than the timeout of an attempt.
    hanging.next().await;
    assert!(hanging.count() <= 2, "{}", hanging.count());
    failing.next().await;
}
