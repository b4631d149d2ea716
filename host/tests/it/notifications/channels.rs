//! Notification channels: creating, changing, testing and deleting them, and their secrets.

use atlashub::{notifications::NotificationState, secrets::MasterKey};
use axum::extract::FromRef as _;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    notifications::delivery::{app_for, create_channel},
    support::{MailServer, TestApp, WebResponse, WebServer, eventually},
};

pub(super) const SECRET: &str = "a-secret-of-the-test";

pub(super) fn webhook(url: &str) -> Value {
    let events = ["runFailed", "diskLow", "runFailed"];
    json!({ "name": "Hook", "kind": "webhook", "events": events, "url": url, "secret": SECRET })
}

#[tokio::test]
async fn changes_of_a_channel_by_two_requests_at_the_same_time_are_both_kept() {
    let app = app_for("").await;
    let admin = app.admin();
    let (_, made) = admin.post("/admin/v1/notifications", webhook("https://hooks.example/x")).await;
    let path = format!("/admin/v1/notifications/{}", made["id"].as_str().unwrap());
    for number in 0..10 {
        let (name, enabled, url) = (format!("Hook {number}"), number % 2 == 1, format!("https://{number}.example"));
        let (renamed, switched, moved) = tokio::join!(
            admin.patch(&path, json!({ "name": name })),
            admin.patch(&path, json!({ "enabled": enabled })),
            admin.patch(&path, json!({ "url": format!("{url}/path") }))
        );
        assert_eq!([renamed.0, switched.0, moved.0], [StatusCode::OK; 3]);
        let (_, channel) = admin.get(&path).await;
        let found = (&channel["name"], &channel["enabled"], &channel["url"]);
        assert_eq!(found, (&json!(name), &json!(enabled), &json!(url)));
    }
}

#[tokio::test]
async fn change_that_waits_for_another_one_has_a_later_time() {
    let app = app_for("").await;
    let (admin, platform) = (app.admin(), app.app.platform());
    let (_, made) = admin.post("/admin/v1/notifications", webhook("https://hooks.example/x")).await;
    let path = format!("/admin/v1/notifications/{}", made["id"].as_str().unwrap());
    let other_change = "UPDATE notification_channels SET last_sent_at = clock_timestamp()";
    let mut other = platform.begin().await.unwrap();
    sqlx::query(other_change).execute(&mut *other).await.unwrap();
    let commit = async {
        let waiting = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
                                      AND wait_event_type = 'Lock' AND query LIKE 'UPDATE notification_channels%')";
        eventually("the change waits for the other one", async || {
            sqlx::query_scalar::<_, bool>(waiting).fetch_one(platform).await.unwrap()
        })
        .await;
        sqlx::query(other_change).execute(&mut *other).await.unwrap();
        other.commit().await.unwrap();
    };
    let ((status, changed), ()) = tokio::join!(admin.patch(&path, json!({ "enabled": false })), commit);
    assert_eq!(status, StatusCode::OK, "{changed}");
    let is_later = "SELECT updated_at > last_sent_at FROM notification_channels";
    assert!(sqlx::query_scalar::<_, bool>(is_later).fetch_one(platform).await.unwrap());
}

#[tokio::test]
async fn channel_can_be_created_read_changed_and_deleted() {
    let app = app_for("").await;
    let admin = app.admin();
    let (status, made) =
        admin.post("/admin/v1/notifications", webhook("https://hooks.example/secret-path?token=x")).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!((&made["events"], &made["enabled"]), (&json!(["runFailed", "diskLow"]), &json!(true)));
    // The response contains only the origin of the URL, and a placeholder for the secret.
    assert_eq!((&made["url"], &made["secret"]), (&json!("https://hooks.example"), &json!("***")));
    assert_eq!((&made["lastSentAt"], &made["lastError"]), (&Value::Null, &Value::Null));
    let path = format!("/admin/v1/notifications/{}", made["id"].as_str().unwrap());
    assert_eq!(admin.get(&path).await, (StatusCode::OK, made.clone()));

    let (status, changed) = admin.patch(&path, json!({ "name": " Renamed ", "enabled": false })).await;
    assert_eq!(status, StatusCode::OK, "{changed}");
    assert_eq!((&changed["name"], &changed["enabled"]), (&json!("Renamed"), &json!(false)));
    assert_eq!((&changed["url"], &changed["events"]), (&made["url"], &made["events"]));

    for number in 0..3 {
        let url = "https://discord.com/api/webhooks/1/x";
        let name = format!("D{number}");
        create_channel(&app, json!({ "name": name, "kind": "discord", "events": ["plugin"], "url": url })).await;
    }
    let (_, first) = admin.get("/admin/v1/notifications?limit=3").await;
    let cursor = first["nextCursor"].as_str().unwrap();
    let (_, second) = admin.get(&format!("/admin/v1/notifications?limit=3&cursor={cursor}")).await;
    let names: Vec<&str> = [&first, &second]
        .iter()
        .flat_map(|page| page["items"].as_array().unwrap())
        .map(|item| item["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Renamed", "D0", "D1", "D2"]);

    assert_eq!(admin.delete(&path).await.0, StatusCode::NO_CONTENT);
    for gone in
        [path.as_str(), "/admin/v1/notifications/x", "/admin/v1/notifications/00000000-0000-7000-8000-000000000000"]
    {
        assert_eq!(admin.get(gone).await.0, StatusCode::NOT_FOUND);
        assert_eq!(admin.patch(gone, json!({})).await.0, StatusCode::NOT_FOUND);
        assert_eq!(admin.delete(gone).await.0, StatusCode::NOT_FOUND);
        assert_eq!(admin.post(&format!("{gone}/test"), json!({})).await.0, StatusCode::NOT_FOUND);
    }
    let (_, audit) = admin.get("/admin/v1/audit?action=notification.*&result=success").await;
    let actions: Vec<&str> =
        audit["items"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions[0], "notification.delete");
    assert_eq!(actions.len(), 6, "{audit}");
    assert_eq!(audit["items"][5]["details"], json!({ "name": "Hook", "kind": "webhook" }));
}

#[tokio::test]
async fn invalid_channel_is_rejected_with_reason() {
    let app = app_for("").await;
    let email = json!({
        "name": "M", "kind": "email", "events": ["plugin"], "host": "mail.example", "from": "a@b.example",
        "to": ["c@d.example"],
    });
    let discord =
        json!({ "name": "D", "kind": "discord", "events": ["plugin"], "url": "https://discord.com/api/webhooks/1/x" });
    let hook = webhook("https://a.example/");
    let check = async |base: &Value, change: Value, named: &str| {
        let mut body = base.clone();
        for (name, value) in change.as_object().unwrap() {
            body[name] = value.clone();
        }
        let (status, error) = app.admin().post("/admin/v1/notifications", body).await;
        let message = error["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(status == StatusCode::BAD_REQUEST && message.contains(named), "{change} {status} {error}");
    };
    check(&hook, json!({ "name": " " }), "name").await;
    check(&hook, json!({ "name": "x".repeat(121) }), "name").await;
    check(&hook, json!({ "name": "a\nb" }), "name").await;
    check(&hook, json!({ "events": [] }), "events").await;
    check(&hook, json!({ "events": ["everything"] }), "everything").await;
    check(&hook, json!({ "kind": "pigeon" }), "pigeon").await;
    check(&hook, json!({ "enabledd": false }), "Unknown field `enabledd`").await;
    check(&hook, json!({ "url": null }), "url").await;
    check(&hook, json!({ "url": "ftp://a.example" }), "url").await;
    check(&hook, json!({ "url": "https://u:p@a.example" }), "url").await;
    check(&hook, json!({ "url": "/hook" }), "url").await;
    check(&hook, json!({ "secret": null }), "secret").await;
    check(&hook, json!({ "secret": "short" }), "secret").await;
    check(&hook, json!({ "host": "a.example" }), "host").await;
    check(&discord, json!({ "secret": SECRET }), "secret").await;
    check(&discord, json!({ "url": "https://discord.com/channels/1" }), "Discord webhook").await;
    check(&discord, json!({ "url": "http://discord.com/api/webhooks/1/x" }), "Discord webhook").await;
    check(&email, json!({ "url": "https://a.example" }), "url").await;
    check(&email, json!({ "host": null }), "host").await;
    check(&email, json!({ "host": "a b" }), "host").await;
    check(&email, json!({ "tls": "none" }), "tls").await;
    check(&email, json!({ "port": 0 }), "port").await;
    check(&email, json!({ "from": "nobody" }), "from").await;
    check(&email, json!({ "from": "a@b.example\r\nbcc: x@y.example" }), "from").await;
    check(&email, json!({ "to": [] }), "to").await;
    check(&email, json!({ "to": ["a@b.example", "nobody"] }), "to").await;
    check(&email, json!({ "username": "u" }), "password").await;
    check(&email, json!({ "password": "p" }), "username").await;
    let made = create_channel(&app, email).await;
    assert_eq!((&made["port"], &made["tls"]), (&json!(587), &json!("starttls")));
    let path = format!("/admin/v1/notifications/{}", made["id"].as_str().unwrap());
    // A default port follows the encryption; another port stays.
    for (change, port) in [
        (json!({ "tls": "tls" }), 465),
        (json!({ "tls": "starttls" }), 587),
        (json!({ "port": 2525 }), 2525),
        (json!({ "tls": "tls" }), 2525),
    ] {
        let (status, changed) = app.admin().patch(&path, change.clone()).await;
        assert_eq!((status, &changed["port"]), (StatusCode::OK, &json!(port)), "{change}");
    }
    let (status, implicit) = app.admin().patch(&path, json!({ "tls": "tls", "port": 465 })).await;
    assert_eq!((status, &implicit["port"], &implicit["host"]), (StatusCode::OK, &json!(465), &json!("mail.example")));
    assert_eq!(app.admin().patch(&path, json!({ "tls": "none" })).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(app.admin().patch(&path, json!({ "to": [] })).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(app.admin().patch(&path, json!({ "enabledd": false })).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn channel_test_returns_the_result() {
    let server = WebServer::start(|request| match request.target.as_str() {
        "/gone" => WebResponse::with(404, &[], b"{\"message\": \"Unknown Webhook\"}"),
        "/moved" => WebResponse::redirect(302, "https://elsewhere.example/"),
        _ => WebResponse::status(204),
    })
    .await;
    let app = app_for(&server.entry()).await;
    let test = async |channel: &Value| {
        let path = format!("/admin/v1/notifications/{}", channel["id"].as_str().unwrap());
        let (status, tested) = app.admin().post(&format!("{path}/test"), json!({})).await;
        assert_eq!(status, StatusCode::OK, "{tested}");
        (tested, app.admin().get(&path).await.1)
    };
    let mut disabled = webhook(&server.url("/hook"));
    disabled["enabled"] = false.into();
    let (tested, shown) = test(&create_channel(&app, disabled).await).await;
    assert_eq!(
        (&tested["delivered"], &tested["error"]),
        (&json!(true), &Value::Null),
        "the test of a disabled channel failed"
    );
    assert!(tested["durationMs"].as_i64() >= Some(0), "{tested}");
    assert!(shown["lastSentAt"].is_string() && shown["lastError"].is_null(), "{shown}");
    let received = server.next().await;
    assert_eq!((received.header("x-atlashub-event"), &received.json()["event"]), (Some("test"), &json!("test")));
    assert!(received.json()["title"].as_str().unwrap().contains("Hook"));

    let discord = json!({ "name": "D", "kind": "discord", "events": ["plugin"], "url": server.url("/gone") });
    let (tested, shown) = test(&create_channel(&app, discord).await).await;
    assert_eq!(
        (&tested["delivered"], &tested["error"]),
        (&json!(false), &json!("The receiver returned 404: Unknown Webhook."))
    );
    assert_eq!(shown["lastError"], tested["error"]);
    let (tested, _) = test(&create_channel(&app, webhook(&server.url("/moved"))).await).await;
    let redirected = "The receiver returned 302: it redirects to another address. Redirects are not followed, so enter \
                      the new address as the channel's URL.";
    assert_eq!(tested["error"], redirected);
    // The address of this server is private and not on the allowlist.
    let other = WebServer::start(|_| WebResponse::status(204)).await;
    let (tested, _) = test(&create_channel(&app, webhook(&other.url("/secret-path"))).await).await;
    let error = tested["error"].as_str().unwrap();
    assert!(error.contains("+private") && error.contains("ATLASHUB_HTTP_ALLOWED_HOSTS"), "{error}");
    assert!(!error.contains("secret-path"), "{error}");
    assert_eq!(other.count(), 0);
}

#[tokio::test]
async fn mail_server_with_private_address_needs_an_allowlist_entry() {
    let mail_server = MailServer::start(|_| None).await;
    let port = mail_server.address.port();
    let test = async |allowed: &str, host: &str| {
        let app = app_for(allowed).await;
        let channel = json!({ "name": "M", "kind": "email", "events": ["plugin"], "host": host, "port": port,
            "tls": "none", "from": "hub@a.example", "to": ["owner@b.example"] });
        let made = create_channel(&app, channel).await;
        let path = format!("/admin/v1/notifications/{}/test", made["id"].as_str().unwrap());
        app.admin().post(&path, json!({})).await.1
    };
    for (allowed, host) in [
        ("", "localhost"),
        ("", "127.0.0.1"),
        ("", "::1"),
        ("localhost", "localhost"),
        ("http://localhost+private", "localhost"),
        ("localhost:1+private", "localhost"),
    ] {
        let tested = test(allowed, host).await;
        let error = tested["error"].as_str().unwrap_or_default();
        assert!(error.contains("+private"), "{allowed} {host}: {tested}");
    }
    assert_eq!(mail_server.commands(), Vec::<String>::new(), "commands were sent to the server");
    let tested = test(&format!("localhost:{port}+private"), "localhost").await;
    assert_eq!(tested["delivered"], true, "{tested}");
}

#[tokio::test]
async fn omitted_channel_secrets_are_kept_and_stored_sealed() {
    let mail_server = MailServer::start(|_| None).await;
    let app = app_for("127.0.0.1+private").await;
    let made = create_channel(
        &app,
        json!({ "name": "M", "kind": "email", "events": ["plugin"], "host": "127.0.0.1",
            "port": mail_server.address.port(), "tls": "none",
            "username": "hub", "password": "hunter2-of-mail", "from": "Hub <hub@a.example>",
            "to": ["owner@b.example"] }),
    )
    .await;
    assert_eq!((&made["username"], &made["password"]), (&json!("hub"), &json!("***")));
    let path = format!("/admin/v1/notifications/{}", made["id"].as_str().unwrap());
    let credentials = async || {
        let (_, tested) = app.admin().post(&format!("{path}/test"), json!({})).await;
        assert_eq!(tested["delivered"], true, "{tested}");
        mail_server.next().await.credentials
    };
    let known = Some(("hub".to_owned(), "hunter2-of-mail".to_owned()));
    assert_eq!(credentials().await, known);
    // A password that is omitted or sent back as `***` is kept.
    for change in
        [json!({ "from": "hub2@a.example" }), json!({ "username": "hub", "password": "***" }), json!({ "name": "N" })]
    {
        assert_eq!(app.admin().patch(&path, change).await.0, StatusCode::OK);
        assert_eq!(credentials().await, known);
    }
    assert_eq!(app.admin().patch(&path, json!({ "password": "changed-hunter2" })).await.0, StatusCode::OK);
    assert_eq!(credentials().await.unwrap().1, "changed-hunter2");
    for path in [&*path, "/admin/v1/notifications"] {
        let shown = app.admin().get(path).await.1.to_string();
        assert!(shown.contains("***") && !shown.contains("hunter2"), "{shown}");
    }

    let rows: Vec<String> = sqlx::query_scalar(
        "SELECT encode(sealed, 'escape') FROM notification_channels
         UNION ALL SELECT c::text FROM notification_channels c
         UNION ALL SELECT a::text FROM audit_logs a",
    )
    .fetch_all(app.app.platform())
    .await
    .unwrap();
    assert!(rows.len() > 5);
    assert!(rows.iter().all(|row| !row.contains("hunter2") && !row.contains("owner@b.example")), "{rows:?}");

    let (_, changed) = app.admin().patch(&path, json!({ "username": "" })).await;
    assert_eq!((changed.get("username"), changed.get("password")), (None, None), "{changed}");
    assert_eq!(credentials().await, None);
}

#[tokio::test]
async fn channels_are_resealed_with_a_new_master_key() {
    let (old, new) = (MasterKey::generate(), MasterKey::generate());
    let before = TestApp::builder().master_keys(&old, None).start().await;
    create_channel(&before, webhook("https://a.example/")).await;
    let database = before.services.database_url.expose().to_owned();
    let node = TestApp::builder().database_url(&database).master_keys(&new, Some(&old)).start().await;
    let sealer = NotificationState::from_ref(&node.app).sealer;
    assert_eq!(atlashub::app::check_all_sealed(node.app.platform(), &sealer).await.unwrap(), 1);
    assert_eq!(atlashub::app::reseal_all(node.app.platform(), &sealer).await.unwrap().resealed, 1);
    let shown = async |key: &MasterKey| {
        let app = TestApp::builder().database_url(&database).master_keys(key, None).start().await;
        app.admin().get("/admin/v1/notifications").await.1["items"][0].clone()
    };
    assert_eq!(shown(&new).await["url"], "https://a.example");
    // The previous key alone can't open any settings, and the list shows that.
    let late = shown(&old).await;
    assert_eq!(late.get("url"), None);
    assert!(late["lastError"].as_str().unwrap().contains("master key"), "{late}");
}

#[tokio::test]
async fn low_disk_is_reported_once_until_it_recovers() {
    let server = WebServer::start(|_| WebResponse::status(204)).await;
    let app = app_for(&server.entry()).await;
    create_channel(&app, webhook(&server.url("/"))).await;
    let state = NotificationState::from_ref(&app.app);
    let folder = tempfile::tempdir().unwrap();
    let watch = |percent: u8| atlashub::notifications::DiskWatch::new(&state, folder.path().to_owned(), percent);
    let conditions = async || -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM notification_conditions").fetch_one(app.app.platform()).await.unwrap()
    };
    watch(100).check_now().await.unwrap();
    let message = server.next().await.json();
    assert_eq!((&message["event"], &message["title"]), (&json!("diskLow"), &json!("The disk is nearly full")));
    assert!(message["fields"][0]["value"].as_str().unwrap().contains("GiB"), "{message}");
    // The disk is still low, and a new process does not notify again.
    watch(100).check_now().await.unwrap();
    assert_eq!(conditions().await, 1);
    watch(0).check_now().await.unwrap();
    assert_eq!(conditions().await, 0);
    let rows: i64 = sqlx::query_scalar("SELECT sum(occurrences) FROM notification_deliveries")
        .fetch_one(app.app.platform())
        .await
        .unwrap();
    assert_eq!(rows, 1);
    watch(100).check_now().await.unwrap();
    let sum = async || -> i64 {
        sqlx::query_scalar("SELECT sum(occurrences) FROM notification_deliveries")
            .fetch_one(app.app.platform())
            .await
            .unwrap()
    };
    eventually("the low disk is reported again", async || sum().await == 2).await;
}
