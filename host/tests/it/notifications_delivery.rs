//! Notifications on their way: delivered, signed, folded, tried again, and never in each other's way.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use api_types::NotificationEvent;
use atlashub::jobs::notify::Notification;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sha2::Sha256;
use sqlx::Connection as _;

use crate::support::{
    ADMIN_TOKEN, Client, MailServer, PATIENCE, Postgres, ProgramVars, TestApp, WebAnswer, WebRequest, WebServer,
};

const SECRET: &str = "a-secret-of-the-test";

/// A platform that may reach these private hosts, and says nothing of its own.
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

/// Asks until it is so.
pub async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::task::yield_now().await;
    }
}

async fn create_webhook(app: &TestApp, url: &str) -> Value {
    let events = ["runFailed", "runRecovered", "backupDone", "backupFailed", "pluginRejected", "diskLow", "plugin"];
    create_channel(app, json!({ "name": "Hook", "kind": "webhook", "events": events, "url": url, "secret": SECRET }))
        .await
}

fn failed(title: &str) -> Notification {
    Notification::new(NotificationEvent::RunFailed, title, "It ended with status 500.")
}

/// State, occurrences, tries and error of each delivery, in the order they are due.
async fn deliveries(app: &TestApp) -> Vec<(String, i32, i32, Option<String>)> {
    sqlx::query_as("SELECT state, occurrences, attempts, error FROM notification_deliveries ORDER BY due_at, first_at")
        .fetch_all(app.app.platform())
        .await
        .unwrap()
}

async fn states(app: &TestApp) -> Vec<String> {
    deliveries(app).await.into_iter().map(|(state, ..)| state).collect()
}

/// As if the time until the next try, or the next message, had passed.
async fn make_due(app: &TestApp) {
    sqlx::raw_sql("UPDATE notification_deliveries SET due_at = now() WHERE state = 'pending'; UPDATE notification_channels SET busy_until = NULL WHERE claim IS NULL")
        .execute(app.app.platform())
        .await
        .unwrap();
    app.app.notifier().wake();
}

fn assert_signed(request: &WebRequest) {
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
async fn a_webhook_gets_what_it_wants_signed() {
    let server = WebServer::start(|_| WebAnswer::status(204)).await;
    let app = app_for(&server.entry()).await;
    let project = app.create_project("Shop").await;
    let channel = create_channel(
        &app,
        json!({ "name": "H", "kind": "webhook", "events": ["runFailed"], "url": server.url("/hook?x=1"), "secret": SECRET }),
    )
    .await;
    app.app.notifier().notify(Notification::new(NotificationEvent::BackupDone, "Not wanted", ""));
    let mut notification =
        failed("Job \"nightly\" failed").of_project(Some(project.id.clone())).with_field("attempt", "3");
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
    until("it is on record", async || states(&app).await == ["sent"]).await;
    let path = format!("/admin/v1/notifications/{}", channel["id"].as_str().unwrap());
    let shown = app.admin().get(&path).await.1;
    assert!(shown["lastSentAt"].is_string() && shown["lastError"].is_null(), "{shown}");
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn discord_is_given_the_time_it_asks_for() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let server = WebServer::start(move |_| match counted.fetch_add(1, Ordering::SeqCst) {
        0 => WebAnswer::with(
            429,
            &[("retry-after", "3600")],
            br#"{"message": "You are being rate limited.", "retry_after": 0.3, "global": false}"#,
        ),
        _ => WebAnswer::status(204),
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
    until("it is on record", async || deliveries(&app).await == [("sent".to_owned(), 1, 1, None)]).await;
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn mail_is_sent_as_plain_text() {
    let server = MailServer::start(|to| (to == "gone@b.example").then(|| "550 no such user here".to_owned())).await;
    let app = app_for("").await;
    let channel = |to: &[&str], tls: &str| {
        json!({ "name": "M", "kind": "email", "events": ["runFailed"], "host": "localhost", "port": server.address.port(), "tls": tls,
            "username": "hub", "password": "hunter2", "from": "AtlasHub <hub@a.example>", "to": to })
    };
    let made = create_channel(&app, channel(&["one@b.example", "Two <two@b.example>"], "none")).await;
    let mut notification = Notification::new(NotificationEvent::RunFailed, "Job failed", "First line\n.second line")
        .with_field("attempt", "3");
    notification.link = Some("https://hub.example/runs/1".into());
    app.app.notifier().notify(notification);
    let mail = server.next().await;
    assert_eq!(mail.credentials, Some(("hub".to_owned(), "hunter2".to_owned())));
    assert_eq!((mail.from.as_str(), mail.to.join(" ").as_str()), ("hub@a.example", "one@b.example two@b.example"));
    let (headers, body) = mail.data.split_once("\n\n").unwrap();
    for header in [
        "Subject: [AtlasHub] Job failed",
        "From: AtlasHub <hub@a.example>",
        "To: one@b.example, Two <two@b.example>",
        "Auto-Submitted: auto-generated",
    ] {
        assert!(headers.lines().any(|line| line == header), "{header}: {headers}");
    }
    assert!(body.starts_with("First line\n.second line\n\nattempt: 3\n\nhttps://hub.example/runs/1\n"), "{body}");
    until("it is on record", async || states(&app).await == ["sent"]).await;

    let test = async |id: &Value| {
        let path = format!("/admin/v1/notifications/{}/test", id.as_str().unwrap());
        app.admin().post(&path, json!({})).await.1["error"].as_str().unwrap_or_default().to_owned()
    };
    let refused = create_channel(&app, channel(&["gone@b.example"], "none")).await;
    let error = test(&refused["id"]).await;
    assert!(error.contains("550") && error.contains("no such user here"), "{error}");
    // A server without STARTTLS gets neither password nor mail.
    let before = server.commands().len();
    let secured = create_channel(&app, channel(&["one@b.example"], "starttls")).await;
    let error = test(&secured["id"]).await;
    assert!(error.contains("STARTTLS"), "{error}");
    let said = server.commands().split_off(before);
    assert!(said.iter().all(|line| !line.starts_with("AUTH") && !line.starts_with("MAIL")), "{said:?}");
    assert!(test(&made["id"]).await.is_empty());
}

#[tokio::test]
async fn repeats_are_folded_into_one_message_that_counts_them() {
    let server = WebServer::start(|_| WebAnswer::status(204)).await;
    let app = app_for(&server.entry()).await;
    create_webhook(&app, &server.url("/")).await;
    let notifier = app.app.notifier();
    notifier.notify(failed("Job failed"));
    assert_eq!(server.next().await.json()["occurrences"], 1);
    until("it is on record", async || states(&app).await == ["sent"]).await;
    for number in 0..5 {
        notifier.notify(Notification::new(
            NotificationEvent::RunFailed,
            "Job failed",
            format!("for the {number}. time"),
        ));
    }
    // Another title, another event and another project are something else.
    notifier.notify(failed("Another job failed"));
    notifier.notify(Notification::new(NotificationEvent::RunRecovered, "Job failed", ""));
    notifier.notify(failed("Job failed").of_project(Some("p1234567".into())));
    let mut others: Vec<Value> = Vec::new();
    for _ in 0..3 {
        others.push(server.next().await.json());
    }
    assert!(others.iter().all(|other| other["occurrences"] == 1), "{others:?}");
    until("the rest waits", async || states(&app).await.iter().filter(|state| *state == "sent").count() == 4).await;
    let waiting = deliveries(&app).await.pop().unwrap();
    assert_eq!((waiting.0.as_str(), waiting.1), ("pending", 5));
    let minutes: f64 = sqlx::query_scalar("SELECT extract(epoch FROM max(due_at) - now())::float8 / 60 FROM notification_deliveries WHERE state = 'pending'")
        .fetch_one(app.app.platform())
        .await
        .unwrap();
    assert!((8.0..=10.0).contains(&minutes), "{minutes}");
    make_due(&app).await;
    let body = server.next().await.json();
    assert_eq!(
        (&body["title"], &body["message"], &body["occurrences"]),
        (&json!("Job failed"), &json!("for the 4. time"), &json!(5))
    );
    assert!(body["firstAt"].as_str().unwrap() <= body["lastAt"].as_str().unwrap());
    assert_eq!(server.count(), 5);
}

#[tokio::test]
async fn a_channel_that_hangs_or_fails_is_in_nobodys_way() {
    let hanging = WebServer::start(|_| WebAnswer::Silence(Vec::new())).await;
    let failing = WebServer::start(|_| WebAnswer::status(503)).await;
    let working = WebServer::start(|_| WebAnswer::status(204)).await;
    let app = app_for(&[hanging.entry(), failing.entry(), working.entry()].join(",")).await;
    for server in [&hanging, &failing, &working] {
        create_webhook(&app, &server.url("/")).await;
    }
    for number in 0..30 {
        let begun = Instant::now();
        app.app.notifier().notify(failed(&format!("Job {number} failed")));
        assert!(begun.elapsed() < Duration::from_secs(1), "it doesn't wait for anybody");
    }
    for _ in 0..30 {
        working.next().await;
    }
    // One at a time to each: what is for the one that hangs waits behind its first.
    hanging.next().await;
    assert!(hanging.count() < 30);
    failing.next().await;
}

#[tokio::test]
async fn what_fails_is_tried_again_and_given_up_in_the_end() {
    let broken = Arc::new(AtomicBool::new(true));
    let (seen, app_broken) = (broken.clone(), broken.clone());
    let server =
        WebServer::start(move |_| WebAnswer::status(if seen.load(Ordering::SeqCst) { 500 } else { 204 })).await;
    let app = app_for(&server.entry()).await;
    let channel = create_webhook(&app, &server.url("/")).await;
    let path = format!("/admin/v1/notifications/{}", channel["id"].as_str().unwrap());
    app.app.notifier().notify(failed("First"));
    let first = server.next().await;
    let after_one = async |tries: i32| {
        until("the try is on record", async || {
            deliveries(&app).await.last()
                == Some(&("pending".to_owned(), 1, tries, Some("It answered 500.".to_owned())))
        })
        .await;
    };
    after_one(1).await;
    let shown = app.admin().get(&path).await.1;
    assert_eq!((&shown["lastError"], &shown["lastSentAt"]), (&json!("It answered 500."), &Value::Null));
    app_broken.store(false, Ordering::SeqCst);
    make_due(&app).await;
    let second = server.next().await;
    assert_eq!(first.json()["id"], second.json()["id"], "the receiver can tell that it is the same");
    until("it got through", async || states(&app).await == ["sent"]).await;
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
    until("it is given up", async || states(&app).await == ["sent", "failed"]).await;

    // What waits for a channel that is switched off is given up as well.
    app.app.notifier().notify(failed("Third"));
    server.next().await;
    after_one(1).await;
    assert_eq!(app.admin().patch(&path, json!({ "enabled": false })).await.0, StatusCode::OK);
    assert_eq!(states(&app).await, ["sent", "failed", "failed"]);
    app.app.notifier().notify(failed("Fourth"));
    app.app.notifier().flush(PATIENCE).await;
    assert_eq!(states(&app).await.len(), 3);
}

#[tokio::test]
async fn a_channel_that_never_works_fills_nothing_up() {
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
    // Held back, so that nothing is given up meanwhile.
    sqlx::raw_sql("UPDATE notification_channels SET busy_until = now() + interval '1 hour'")
        .execute(app.app.platform())
        .await
        .unwrap();
    for title in ["One more", "One too many", "One more"] {
        app.app.notifier().notify(failed(title));
    }
    app.app.notifier().flush(PATIENCE).await;
    let (rows, occurrences): (i64, i64) =
        sqlx::query_as("SELECT count(*), sum(occurrences) FROM notification_deliveries")
            .fetch_one(app.app.platform())
            .await
            .unwrap();
    assert_eq!((rows, occurrences), (1000, 1001));
}

#[tokio::test]
async fn each_is_delivered_by_one_node() {
    let server = WebServer::start(|_| WebAnswer::status(204)).await;
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
    for _ in 0..3 {
        create_webhook(&app, &server.url("/")).await;
    }
    for number in 0..10 {
        for node in nodes.iter().chain([&app]) {
            // Three nodes say the same: one message, or one and a count.
            node.app.notifier().notify(failed(&format!("Job {number} failed")));
        }
    }
    for node in nodes.iter().chain([&app]) {
        node.app.notifier().flush(PATIENCE).await;
    }
    let total = async || -> (i64, i64) {
        sqlx::query_as(
            "SELECT coalesce(sum(occurrences), 0), count(*) FILTER (WHERE state = 'sent') FROM notification_deliveries",
        )
        .fetch_one(app.app.platform())
        .await
        .unwrap()
    };
    assert_eq!(total().await.0, 90, "nothing is lost");
    until("all that is due is sent", async || {
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
        assert!(ids.insert(server.next().await.json()["id"].as_str().unwrap().to_owned()), "one came twice");
    }
    assert_eq!(server.count() as i64, sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_a_crash_cut_off_is_made_after_the_next_start() {
    let hangs = Arc::new(AtomicBool::new(true));
    let seen = hangs.clone();
    let server = WebServer::start(move |_| match seen.load(Ordering::SeqCst) {
        true => WebAnswer::Silence(Vec::new()),
        false => WebAnswer::status(204),
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

    // The disk is always fuller than this: it has something to say at once.
    let program = serve("100").await;
    let cut_off = server.next().await;
    program.kill();
    let mut connection = sqlx::PgConnection::connect(&database).await.unwrap();
    let (state, in_flight): (String, bool) = sqlx::query_as("SELECT state, in_flight FROM notification_deliveries")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!((state.as_str(), in_flight), ("pending", true));
    // As if the time of the dead process's claim had passed.
    let passed = "UPDATE notification_channels SET busy_until = now()";
    assert_eq!(sqlx::query(passed).execute(&mut connection).await.unwrap().rows_affected(), 1);
    hangs.store(false, Ordering::SeqCst);

    let program = serve("0").await;
    let made = server.next().await;
    assert_signed(&made);
    assert_eq!(made.json()["id"], cut_off.json()["id"]);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let state: String =
            sqlx::query_scalar("SELECT state FROM notification_deliveries").fetch_one(&mut connection).await.unwrap();
        if state == "sent" {
            break;
        }
        assert!(Instant::now() < deadline, "still {state}");
    }
    drop(program);
    assert_eq!(server.count(), 2);
}
