//! Merging, retries, limits, and delivery by several nodes.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use api_types::NotificationEvent;
use atlashub::notifications::Notification;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::Connection as _;

use crate::{
    notifications::delivery::{SECRET, app_for, assert_signed, create_webhook, deliveries, failed, states},
    support::{
        ADMIN_TOKEN, Client, Postgres, ProgramVars, TestApp, WAIT_TIMEOUT, WebResponse, WebServer, eventually,
        until_status,
    },
};

/// Makes all pending deliveries due.
pub(crate) async fn make_due(app: &TestApp) {
    sqlx::raw_sql(
        "UPDATE notification_deliveries SET due_at = now() WHERE state = 'pending';
         UPDATE notification_channels SET busy_until = NULL WHERE claim IS NULL",
    )
    .execute(app.app.platform())
    .await
    .unwrap();
    app.app.notifier().wake_delivery();
}

#[tokio::test]
async fn repeated_notifications_are_merged_with_a_count() {
    let server = WebServer::start(|_| WebResponse::status(204)).await;
    let app = app_for(&server.entry()).await;
    create_webhook(&app, &server.url("/")).await;
    let notifier = app.app.notifier();
    notifier.notify(failed("Job failed"));
    assert_eq!(server.next().await.json()["occurrences"], 1);
    eventually("the delivery is recorded", async || states(&app).await == ["sent"]).await;
    for number in 0..5 {
        notifier.notify(Notification::new(NotificationEvent::RunFailed, "Job failed", format!("failure {number}")));
    }
    // Notifications with another title, event or project are not merged.
    notifier.notify(failed("Another job failed"));
    notifier.notify(Notification::new(NotificationEvent::RunRecovered, "Job failed", ""));
    notifier.notify(failed("Job failed").with_project(Some("p1234567".into())));
    let mut others: Vec<Value> = Vec::new();
    for _ in 0..3 {
        others.push(server.next().await.json());
    }
    assert!(others.iter().all(|other| other["occurrences"] == 1), "{others:?}");
    eventually("the repeated one is pending", async || {
        states(&app).await.iter().filter(|state| *state == "sent").count() == 4
    })
    .await;
    let waiting = deliveries(&app).await.pop().unwrap();
    assert_eq!((waiting.0.as_str(), waiting.1), ("pending", 5));
    let minutes: f64 = sqlx::query_scalar(
        "SELECT extract(epoch FROM max(due_at) - now())::float8 / 60
         FROM notification_deliveries WHERE state = 'pending'",
    )
    .fetch_one(app.app.platform())
    .await
    .unwrap();
    assert!((8.0..=10.0).contains(&minutes), "{minutes}");
    make_due(&app).await;
    let body = server.next().await.json();
    assert_eq!(
        (&body["title"], &body["message"], &body["occurrences"]),
        (&json!("Job failed"), &json!("failure 4"), &json!(5))
    );
    assert!(body["firstAt"].as_str().unwrap() <= body["lastAt"].as_str().unwrap());
    assert_eq!(server.count(), 5);
}

#[tokio::test]
async fn failed_delivery_is_retried_up_to_the_limit() {
    let broken = Arc::new(AtomicBool::new(true));
    let (seen, app_broken) = (broken.clone(), broken.clone());
    let server =
        WebServer::start(move |_| WebResponse::status(if seen.load(Ordering::SeqCst) { 500 } else { 204 })).await;
    let app = app_for(&server.entry()).await;
    let channel = create_webhook(&app, &server.url("/")).await;
    let path = format!("/admin/v1/notifications/{}", channel["id"].as_str().unwrap());
    app.app.notifier().notify(failed("First"));
    let first = server.next().await;
    let after_one = async |tries: i32| {
        eventually("the attempt is recorded", async || {
            deliveries(&app).await.last()
                == Some(&("pending".to_owned(), 1, tries, Some("The receiver returned 500.".to_owned())))
        })
        .await;
    };
    after_one(1).await;
    let shown = app.admin().get(&path).await.1;
    assert_eq!((&shown["lastError"], &shown["lastSentAt"]), (&json!("The receiver returned 500."), &Value::Null));
    app_broken.store(false, Ordering::SeqCst);
    make_due(&app).await;
    let second = server.next().await;
    assert_eq!(first.json()["id"], second.json()["id"], "the second attempt has another id");
    eventually("the message was sent", async || states(&app).await == ["sent"]).await;
    assert_eq!(app.admin().get(&path).await.1["lastError"], Value::Null);

    app_broken.store(true, Ordering::SeqCst);
    app.app.notifier().notify(failed("Second"));
    server.next().await;
    after_one(1).await;
    sqlx::query("UPDATE notification_deliveries SET attempts = 7 WHERE state = 'pending'")
        .execute(app.app.platform())
        .await
        .unwrap();
    make_due(&app).await;
    server.next().await;
    eventually("the delivery failed", async || states(&app).await == ["sent", "failed"]).await;

    // Pending deliveries of a disabled channel fail.
    app.app.notifier().notify(failed("Third"));
    server.next().await;
    after_one(1).await;
    assert_eq!(app.admin().patch(&path, json!({ "enabled": false })).await.0, StatusCode::OK);
    assert_eq!(states(&app).await, ["sent", "failed", "failed"]);
    app.app.notifier().notify(failed("Fourth"));
    app.app.notifier().flush(WAIT_TIMEOUT).await;
    assert_eq!(states(&app).await.len(), 3);
}

#[tokio::test]
async fn pending_deliveries_of_a_failing_channel_are_limited() {
    let app = app_for("").await;
    let channel = create_webhook(&app, "http://127.0.0.1:1/").await;
    sqlx::query(
        "INSERT INTO notification_deliveries (id, channel_id, fold_key, notification, due_at)
         SELECT gen_random_uuid(), $1::uuid, 'x' || n, '{}', now() + interval '1 hour' FROM generate_series(1, 999) n",
    )
    .bind(channel["id"].as_str().unwrap())
    .execute(app.app.platform())
    .await
    .unwrap();
    // The channel is delayed, so that no delivery fails in the meantime.
    sqlx::raw_sql("UPDATE notification_channels SET busy_until = now() + interval '1 hour'")
        .execute(app.app.platform())
        .await
        .unwrap();
    for title in ["One more", "One too many", "One more"] {
        app.app.notifier().notify(failed(title));
    }
    app.app.notifier().flush(WAIT_TIMEOUT).await;
    let (rows, occurrences): (i64, i64) =
        sqlx::query_as("SELECT count(*), sum(occurrences) FROM notification_deliveries")
            .fetch_one(app.app.platform())
            .await
            .unwrap();
    assert_eq!((rows, occurrences), (1000, 1001));
}

#[tokio::test]
async fn notification_is_merged_into_one_of_two_pending_deliveries() {
    let app = app_for("").await;
    create_webhook(&app, "http://127.0.0.1:1/").await;
    // The channel is delayed, so that nothing is sent in the meantime.
    sqlx::raw_sql("UPDATE notification_channels SET busy_until = now() + interval '1 hour'")
        .execute(app.app.platform())
        .await
        .unwrap();
    app.app.notifier().notify(failed("Job failed"));
    app.app.notifier().flush(WAIT_TIMEOUT).await;
    // The state after a failed attempt, if an equal notification was queued while the attempt was in progress.
    sqlx::raw_sql(
        "INSERT INTO notification_deliveries (id, channel_id, fold_key, notification, due_at)
         SELECT gen_random_uuid(), channel_id, fold_key, notification, now() + interval '10 minutes'
         FROM notification_deliveries",
    )
    .execute(app.app.platform())
    .await
    .unwrap();
    app.app.notifier().notify(failed("Job failed"));
    app.app.notifier().flush(WAIT_TIMEOUT).await;
    let occurrences: Vec<i32> = deliveries(&app).await.into_iter().map(|(_, occurrences, ..)| occurrences).collect();
    assert_eq!(occurrences, [1, 2]);
}

// Three threads, because three servers open their connections at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn each_notification_is_delivered_by_one_node() {
    let server = WebServer::start(|_| WebResponse::status(204)).await;
    let app = app_for(&server.entry()).await;
    let mut nodes = Vec::new();
    for _ in 0..2 {
        let node = TestApp::builder()
            .database_url(app.services.database_url.expose())
            .master_keys(&app.services.master_key, None)
            .var("ATLASHUB_HTTP_ALLOWED_HOSTS", &server.entry())
            .var("ATLASHUB_DISK_LOW_PERCENT", "0");
        nodes.push(node.start().await);
    }
    for node in nodes.iter().chain([&app]) {
        until_status(StatusCode::OK, async || node.public().get("/readyz").await).await;
    }
    for _ in 0..3 {
        create_webhook(&app, &server.url("/")).await;
    }
    for number in 0..10 {
        for node in nodes.iter().chain([&app]) {
            // Three nodes send the same notification: it is merged.
            node.app.notifier().notify(failed(&format!("Job {number} failed")));
        }
    }
    for node in nodes.iter().chain([&app]) {
        node.app.notifier().flush(WAIT_TIMEOUT).await;
    }
    let total = async || -> (i64, i64) {
        sqlx::query_as(
            "SELECT coalesce(sum(occurrences), 0), count(*) FILTER (WHERE state = 'sent') FROM notification_deliveries",
        )
        .fetch_one(app.app.platform())
        .await
        .unwrap()
    };
    assert_eq!(total().await.0, 90, "deliveries were lost");
    eventually("all due deliveries are sent", async || {
        let due: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM notification_deliveries WHERE state = 'pending' AND due_at <= now()",
        )
        .fetch_one(app.app.platform())
        .await
        .unwrap();
        due == 0
    })
    .await;
    let sent = total().await.1;
    assert!(sent >= 30, "{sent}");
    let mut ids = std::collections::HashSet::new();
    for _ in 0..sent {
        assert!(ids.insert(server.next().await.json()["id"].as_str().unwrap().to_owned()), "a notification came twice");
    }
    assert_eq!(server.count() as i64, sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn delivery_interrupted_by_a_crash_is_retried_after_restart() {
    let hangs = Arc::new(AtomicBool::new(true));
    let seen = hangs.clone();
    let server = WebServer::start(move |_| match seen.load(Ordering::SeqCst) {
        true => WebResponse::Hang(Vec::new()),
        false => WebResponse::status(204),
    })
    .await;
    let database = Postgres::shared().platform_database().await;
    let vars = ProgramVars::external(&database).set("ATLASHUB_HTTP_ALLOWED_HOSTS", &server.entry());
    let serve = async |disk_low_percent: &str| {
        let vars = vars.clone().set("ATLASHUB_DISK_LOW_PERCENT", disk_low_percent);
        tokio::task::spawn_blocking(move || vars.serve(&[])).await.unwrap()
    };
    let program = serve("0").await;
    let admin = Client::new(&*program.admin_url).with_header("x-dev-admin-token", ADMIN_TOKEN);
    let channel =
        json!({ "name": "H", "kind": "webhook", "events": ["diskLow"], "url": server.url("/"), "secret": SECRET });
    assert_eq!(admin.post("/admin/v1/notifications", channel).await.0, StatusCode::CREATED);
    program.kill();

    // The disk is always fuller than this threshold, so a notification is sent immediately.
    let program = serve("100").await;
    let cut_off = server.next().await;
    program.kill();
    let mut connection = sqlx::PgConnection::connect(&database).await.unwrap();
    let (state, in_flight): (String, bool) = sqlx::query_as("SELECT state, in_flight FROM notification_deliveries")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!((state.as_str(), in_flight), ("pending", true));
    // Makes the claim of the killed process expire.
    let passed = "UPDATE notification_channels SET busy_until = now()";
    assert_eq!(sqlx::query(passed).execute(&mut connection).await.unwrap().rows_affected(), 1);
    hangs.store(false, Ordering::SeqCst);

    let program = serve("0").await;
    let made = server.next().await;
    assert_signed(&made);
    assert_eq!(made.json()["id"], cut_off.json()["id"]);
    eventually("the delivery is recorded as sent", async || {
        let state: String =
            sqlx::query_scalar("SELECT state FROM notification_deliveries").fetch_one(&mut connection).await.unwrap();
        state == "sent"
    })
    .await;
    drop(program);
    assert_eq!(server.count(), 2);
}
