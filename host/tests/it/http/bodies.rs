//! Bodies that arrive slowly, late, in pieces or not at all.

use reqwest::StatusCode;
use serde_json::json;

use crate::support::{Socket, TestApp, TestProject, eventually};

/// The head of an insert with the secret key.
fn insert(project: &TestProject, length: usize) -> String {
    format!(
        "POST /v1/db/t HTTP/1.1\r\nhost: localhost\r\nx-api-key: {}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n",
        project.secret_key
    )
}

async fn project_with_table(app: &TestApp, name: &str) -> TestProject {
    let project = app.create_project(name).await;
    project.sql("CREATE TABLE t (a text)").await;
    project
}

/// Opens connections that each send the head of an insert and one byte of its body.
async fn slow_inserts(app: &TestApp, project: &TestProject, count: usize) -> Vec<Socket> {
    let mut sockets = Vec::new();
    for _ in 0..count {
        let mut socket = Socket::connect(&app.public_url).await;
        socket.send(format!("{}\r\n{{", insert(project, 1000))).await;
        sockets.push(socket);
    }
    sockets
}

#[tokio::test]
async fn body_that_does_not_arrive_in_time_returns_408() {
    let app = TestApp::builder().var("ATLASHUB_BODY_TIMEOUT_SECONDS", "1").start().await;
    let project = project_with_table(&app, "Late").await;
    for rest in ["\r\n{", "transfer-encoding: chunked\r\n\r\n1\r\n{\r\n"] {
        let head = insert(&project, 1000);
        let head = if rest.starts_with('t') { head.replace("content-length: 1000\r\n", "") } else { head };
        let mut socket = Socket::connect(&app.public_url).await;
        socket.send(format!("{head}{rest}")).await;
        let response = socket.response().await.unwrap();
        assert_eq!(response.error(), (408, "request_timeout".to_owned()));
        assert_eq!(response.header("connection"), Some("close"));
        socket.closed().await;
    }
    assert_eq!(project.secret().get("/v1/db/t").await.1["rows"], json!([]));
}

#[tokio::test]
async fn slow_bodies_of_one_project_do_not_block_others() {
    let app = TestApp::builder()
        .var("ATLASHUB_MAX_CONCURRENT_REQUESTS", "4")
        .var("ATLASHUB_MAX_CONNECTIONS", "200")
        .var("ATLASHUB_MAX_ADMIN_CONNECTIONS", "16")
        .start()
        .await;
    let attacker = project_with_table(&app, "Attacker").await;
    let other = project_with_table(&app, "Other").await;
    // 60 connections are more than the 4 requests that run at the same time. They are also more than a project may use
    // for bodies that are still arriving: a quarter of all connections, which is 50.
    let mut slow = slow_inserts(&app, &attacker, 60).await;
    let row = json!({ "rows": [{ "a": "b" }] });
    for project in [&other, &attacker] {
        assert_eq!(project.secret().post("/v1/db/t", row.clone()).await.0, StatusCode::CREATED);
        assert_eq!(project.secret().get("/v1/db/t").await.0, StatusCode::OK);
    }
    assert_eq!(app.admin().get("/admin/v1/projects").await.0, StatusCode::OK);
    let mut refused = 0;
    for socket in &mut slow {
        let response = socket.response().await.unwrap();
        if response.error() == (408, "request_timeout".to_owned()) {
            continue;
        }
        refused += 1;
        assert_eq!(response.error(), (503, "overloaded".to_owned()));
        let message = response.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains("The project's requests") && message.contains("bodies in transfer"), "{message}");
    }
    assert_eq!(refused, 10);
}

#[tokio::test]
async fn slow_bodies_without_sign_in_do_not_block_the_owner() {
    let app = TestApp::builder()
        .var("ATLASHUB_MAX_CONCURRENT_REQUESTS", "4")
        .var("ATLASHUB_MAX_ADMIN_CONNECTIONS", "16")
        .start()
        .await;
    let project = project_with_table(&app, "Mine").await;
    let mut sockets = Vec::new();
    for number in 0..64 {
        let mut socket = Socket::connect(&app.admin_url).await;
        let path = if number % 2 == 0 { "/admin/v1/session".to_owned() } else { project.path("/sql") };
        let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n");
        // The listener may already have replaced the connection.
        let _ = socket.try_send(format!("{head}content-length: 1000\r\n\r\n{{")).await;
        sockets.push(socket);
    }
    let (status, body) = app.admin().post(&project.path("/sql"), json!({ "sql": "SELECT 1" })).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    for _ in 0..20 {
        assert_eq!(crate::support::Client::new(&*app.admin_url).get("/healthz").await.0, StatusCode::OK);
    }
}

#[tokio::test]
async fn bodies_in_memory_are_bounded_per_project() {
    let app = TestApp::builder()
        .var("ATLASHUB_BODY_LIMIT_BYTES", "1024")
        .var("ATLASHUB_MAX_BODY_BYTES_IN_FLIGHT", "4096")
        .start()
        .await;
    let attacker = project_with_table(&app, "Attacker").await;
    let other = project_with_table(&app, "Other").await;
    let mut sockets = Vec::new();
    for _ in 0..3 {
        let mut socket = Socket::connect(&app.public_url).await;
        socket.send(format!("{}\r\n{}", insert(&attacker, 1024), " ".repeat(1000))).await;
        sockets.push(socket);
    }
    // Two of the three bodies fit into the project's share, which is half of the memory for bodies.
    let refused = eventually("one body is refused", async || {
        for socket in &mut sockets {
            if let Ok(response) = tokio::time::timeout(std::time::Duration::from_millis(20), socket.response()).await {
                return response;
            }
        }
        None
    })
    .await;
    assert_eq!(refused.error(), (503, "overloaded".to_owned()));
    assert!(refused.json()["error"]["message"].as_str().unwrap().contains("memory"));
    let rows = json!({ "rows": [{ "a": "x".repeat(900) }] });
    assert_eq!(other.secret().post("/v1/db/t", rows.clone()).await.0, StatusCode::CREATED);
    drop(sockets);
    eventually("the bytes are given back", async || {
        attacker.secret().post("/v1/db/t", rows.clone()).await.0 == StatusCode::CREATED
    })
    .await;
}

#[tokio::test]
async fn continue_is_sent_only_if_the_body_will_be_read() {
    let app = TestApp::builder().var("ATLASHUB_BODY_LIMIT_BYTES", "1024").start().await;
    let project = project_with_table(&app, "Expect").await;
    let body = r#"{"rows":[{"a":"b"}]}"#;
    let head = insert(&project, body.len());
    let wrong_key = head.replace(&project.secret_key, "wrong");
    let too_large = insert(&project, 5000);
    let expect = "expect: 100-continue\r\n\r\n";
    for (head, status) in [(wrong_key, 401), (too_large, 413)] {
        let mut socket = Socket::connect(&app.public_url).await;
        socket.send(format!("{head}{expect}")).await;
        assert_eq!(socket.response().await.unwrap().error().0, status);
    }
    let mut socket = Socket::connect(&app.public_url).await;
    socket.send(format!("{head}{expect}")).await;
    assert_eq!(socket.response().await.unwrap().status, 100);
    socket.send(body).await;
    assert_eq!(socket.response().await.unwrap().status, 201);
}

#[tokio::test]
async fn early_refusal_reaches_a_client_that_continues_sending() {
    let app = TestApp::builder().var("ATLASHUB_BODY_LIMIT_BYTES", "1024").start().await;
    let project = project_with_table(&app, "Early").await;
    let length = 4 * 1024 * 1024;
    let heads = [
        (insert(&project, length), 413),
        (insert(&project, length).replace(&project.secret_key, "wrong"), 401),
        (insert(&project, length).replace("POST /v1/db/t", "POST /v1/nothing"), 404),
        (insert(&project, length).replace("POST", "GET"), 200),
    ];
    for (head, status) in heads {
        let mut socket = Socket::connect(&app.public_url).await;
        socket.send(format!("{head}\r\n")).await;
        socket.send(" ".repeat(length)).await;
        let response = socket.response().await.unwrap();
        assert_eq!(response.status, status, "{head}");
        assert_eq!(response.header("connection"), Some("close"), "{head}");
        socket.closed().await;
    }
}

#[tokio::test]
async fn connection_stays_open_if_a_small_body_arrives_after_its_request_was_refused() {
    let app = TestApp::start().await;
    let project = project_with_table(&app, "Late").await;
    let head = insert(&project, 10).replace(&project.secret_key, "wrong");
    let mut socket = Socket::connect(&app.public_url).await;
    for _ in 0..2 {
        socket.send(format!("{head}\r\n")).await;
        let response = socket.response().await.unwrap();
        assert_eq!((response.status, response.header("connection")), (401, None));
        socket.send(" ".repeat(10)).await;
    }
    // The body never arrives.
    socket.send(format!("{head}\r\n")).await;
    assert_eq!(socket.response().await.unwrap().status, 401);
    assert_eq!(socket.closed().await, 0);
}

#[tokio::test]
async fn chunked_and_pipelined_bodies_are_received() {
    let app = TestApp::start().await;
    let project = project_with_table(&app, "Chunks").await;
    let head = insert(&project, 0).replace("content-length: 0", "transfer-encoding: chunked");
    let body = r#"{"rows":[{"a":"in pieces"}]}"#;
    let chunks: String = body.chars().map(|byte| format!("1\r\n{byte}\r\n")).collect();
    let request = format!("{head}\r\n{chunks}0\r\n\r\n");
    let mut socket = Socket::connect(&app.public_url).await;
    socket.send(request.repeat(3)).await;
    for _ in 0..3 {
        assert_eq!(socket.response().await.unwrap().status, 201);
    }
    let mut socket = Socket::connect(&app.public_url).await;
    socket.send(format!("{head}\r\nnonsense\r\n")).await;
    assert_eq!(socket.response().await.unwrap().error().0, 400);
    let (_, rows) = project.secret().get("/v1/db/t").await;
    assert_eq!(rows["rows"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn disconnected_clients_release_their_share() {
    let app = TestApp::builder().var("ATLASHUB_MAX_CONNECTIONS", "16").start().await;
    let project = project_with_table(&app, "Vanished").await;
    for _ in 0..10 {
        drop(slow_inserts(&app, &project, 4).await);
    }
    let row = json!({ "rows": [{ "a": "b" }] });
    eventually("an insert in two pieces succeeds", async || {
        let body = row.to_string();
        let mut socket = Socket::connect(&app.public_url).await;
        socket.send(format!("{}expect: 100-continue\r\n\r\n", insert(&project, body.len()))).await;
        if socket.response().await?.status != 100 {
            return None;
        }
        socket.send(body).await;
        (socket.response().await?.status == 201).then_some(())
    })
    .await;
}
