//! Limits on the number and duration of connections.

use std::sync::Arc;

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{Client, Socket, TestApp, TestRunner, eventually};

const GET: &str = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";

#[tokio::test]
async fn incomplete_head_is_refused_after_the_header_timeout() {
    let app = TestApp::builder().var("ATLASHUB_HEADER_TIMEOUT_SECONDS", "1").start().await;
    for url in [&app.public_url, &app.admin_url] {
        let mut silent = Socket::connect(url).await;
        let mut started = Socket::connect(url).await;
        started.send("GET /healthz HTTP/1.1\r\nhost: local").await;
        let mut second = Socket::connect(url).await;
        second.send(GET).await;
        assert_eq!(second.response().await.unwrap().status, 200);
        second.send("G").await;
        assert_eq!(silent.closed().await, 0);
        for socket in [&mut started, &mut second] {
            assert_eq!(socket.response().await.unwrap().error(), (408, "request_timeout".to_owned()));
            assert_eq!(socket.closed().await, 0);
        }
    }
}

#[tokio::test]
async fn slowly_sent_head_is_refused_after_the_header_timeout() {
    let app = TestApp::builder().var("ATLASHUB_HEADER_TIMEOUT_SECONDS", "1").start().await;
    let mut socket = Socket::connect(&app.public_url).await;
    socket.send("GET /healthz HTTP/1.1\r\n").await;
    eventually("the server closes", async || {
        let sent = socket.try_send("a: b\r\n").await;
        sent.is_err() || socket.has_received().await
    })
    .await;
    assert_eq!(socket.response().await.unwrap().error(), (408, "request_timeout".to_owned()));
}

#[tokio::test]
async fn idle_connection_is_closed_after_the_idle_timeout() {
    let app = TestApp::builder().var("ATLASHUB_IDLE_TIMEOUT_SECONDS", "1").start().await;
    let mut socket = Socket::connect(&app.public_url).await;
    socket.send(GET).await;
    assert_eq!(socket.response().await.unwrap().status, 200);
    assert_eq!(socket.closed().await, 0);
}

#[tokio::test]
async fn client_that_ended_its_side_gets_its_response() {
    let app = TestApp::start().await;
    let document = app.admin().request(Method::GET, "/openapi.json").send().await.unwrap().bytes().await.unwrap().len();
    for (path, size) in [("/healthz", 10), ("/openapi.json", document)] {
        let mut socket = Socket::connect(&app.admin_url).await;
        socket.send(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")).await;
        socket.end().await;
        let response = socket.response().await.unwrap();
        assert_eq!(response.status, 200);
        assert!(response.body.len() >= size, "{path}");
        assert_eq!(socket.closed().await, 0);
    }
}

#[tokio::test]
async fn client_that_reads_nothing_is_cut_off() {
    let app = TestApp::builder().var("ATLASHUB_WRITE_TIMEOUT_SECONDS", "1").start().await;
    let mut socket = Socket::connect(&app.admin_url).await;
    let document = app.admin().request(Method::GET, "/openapi.json").send().await.unwrap().bytes().await.unwrap().len();
    let count = 64;
    socket.send("GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(count)).await;
    eventually("the connection is reset", async || socket.try_send("\r\n").await.is_err()).await;
    assert!(socket.closed().await < count * document);
}

#[tokio::test]
async fn followed_log_is_not_closed_by_the_timeouts() {
    let runner = TestRunner::new();
    let app = TestApp::builder()
        .runner(runner.node("a"))
        .var("ATLASHUB_HEADER_TIMEOUT_SECONDS", "1")
        .var("ATLASHUB_IDLE_TIMEOUT_SECONDS", "1")
        .var("ATLASHUB_WRITE_TIMEOUT_SECONDS", "1")
        .start()
        .await;
    let job = app.create_job(json!({ "params": { "wait": true } })).await;
    let run = app.run_job(&job).await;
    let path = format!("/admin/v1/runs/{run}/log?follow=true");
    let followed = app.admin().request(Method::GET, &path).send().await.unwrap();
    assert_eq!(followed.status(), StatusCode::OK);
    // Two idle connections are closed one after the other, so the timeouts have passed.
    for _ in 0..2 {
        let mut idle = Socket::connect(&app.admin_url).await;
        idle.send(GET).await;
        assert_eq!(idle.response().await.unwrap().status, 200);
        assert_eq!(idle.closed().await, 0);
    }
    runner.open_gate();
    assert!(followed.text().await.unwrap().contains("event: end"));
}

#[tokio::test]
async fn new_connection_replaces_one_that_waits() {
    let app = TestApp::builder().var("ATLASHUB_MAX_CONNECTIONS", "8").start().await;
    let mut waiting = Vec::new();
    for number in 0..8 {
        let mut socket = Socket::connect(&app.public_url).await;
        if number % 2 == 0 {
            socket.send("GET / HTTP/1.1\r\n").await;
        }
        waiting.push(socket);
    }
    let mut newest = Socket::connect(&app.public_url).await;
    newest.send(GET).await;
    assert_eq!(newest.response().await.unwrap().status, 200);
    assert_eq!(waiting[0].closed().await, 0);
    for socket in &waiting[1..] {
        assert!(!socket.has_received().await);
    }
}

#[tokio::test]
async fn connections_that_serve_requests_are_not_replaced() {
    let app = TestApp::builder().var("ATLASHUB_MAX_CONNECTIONS", "8").start().await;
    let projects = [app.create_project("a").await, app.create_project("b").await];
    let mut locks = Vec::new();
    let mut serving = Vec::new();
    for project in &projects {
        project.sql("CREATE VIEW slow AS SELECT 1 AS a FROM pg_advisory_xact_lock_shared(7)").await;
        let mut lock = project.connect().await;
        sqlx::query("SELECT pg_advisory_lock(7)").execute(&mut lock).await.unwrap();
        locks.push(lock);
        for _ in 0..4 {
            let mut socket = Socket::connect(&app.public_url).await;
            let key = &project.secret_key;
            let slow = format!("GET /v1/db/slow HTTP/1.1\r\nhost: localhost\r\nx-api-key: {key}\r\n\r\n");
            // After this response, the server has also read the request that follows.
            socket.send(format!("{GET}{slow}")).await;
            assert_eq!(socket.response().await.unwrap().status, 200);
            serving.push(socket);
        }
    }
    let refused = eventually("a connection is refused", async || {
        let mut socket = Socket::connect(&app.public_url).await;
        socket.send(GET).await;
        socket.response().await.filter(|response| response.status != 200)
    })
    .await;
    assert_eq!(refused.error(), (503, "overloaded".to_owned()));
    assert!(refused.json()["error"]["message"].as_str().unwrap().contains("connections"));
    drop(locks);
    for socket in &mut serving {
        assert_eq!(socket.response().await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn project_that_does_not_read_its_responses_uses_only_its_share() {
    let app = TestApp::builder().var("ATLASHUB_MAX_CONNECTIONS", "16").start().await;
    let attacker = app.create_project("Attacker").await;
    let other = app.create_project("Other").await;
    attacker.sql("CREATE VIEW large AS SELECT repeat('x', 8000000) AS a").await;
    other.sql("CREATE TABLE t (a text)").await;
    let request = format!("GET /v1/db/large HTTP/1.1\r\nhost: localhost\r\nx-api-key: {}\r\n\r\n", attacker.secret_key);
    let mut unread = Vec::new();
    let refused = eventually("a request is refused", async || {
        let mut socket = Socket::connect(&app.public_url).await;
        socket.send(&request).await;
        unread.push(socket);
        let (status, error) = attacker.secret().get("/v1/db/tables").await;
        (status == StatusCode::SERVICE_UNAVAILABLE).then_some(error)
    })
    .await;
    assert!(refused["error"]["message"].as_str().unwrap().contains("share of connections"), "{refused}");
    assert_eq!(other.secret().get("/v1/db/t").await.0, StatusCode::OK);
    drop(unread);
    eventually("the share is given back", async || attacker.secret().get("/v1/db/tables").await.0 == StatusCode::OK)
        .await;
}

#[tokio::test]
async fn connections_are_counted_in_metrics() {
    let app = TestApp::start().await;
    let mut socket = Socket::connect(&app.public_url).await;
    socket.send("NONSENSE\r\n\r\n").await;
    assert!(socket.closed().await > 0);
    eventually("the metrics show the connections", async || {
        let text = app.admin().request(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
        text.contains(r#"atlashub_connections{listener="admin"}"#)
            && text.contains(r#"atlashub_connections_closed_total{listener="public",reason="malformed"}"#)
    })
    .await;
}

#[tokio::test]
async fn many_parallel_health_checks_succeed() {
    let app = TestApp::start().await;
    let client = Arc::new(Client::new(&*app.public_url));
    let requests = (0..100).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.get("/readyz").await.0 })
    });
    for request in requests.collect::<Vec<_>>() {
        assert_eq!(request.await.unwrap(), StatusCode::OK);
    }
}
