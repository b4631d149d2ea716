//! Requests that are not valid HTTP/1.1.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{Socket, TestApp};

fn with_headers(count: usize, value_length: usize) -> String {
    let headers: String = (0..count).map(|number| format!("h{number}: {}\r\n", "x".repeat(value_length))).collect();
    format!("GET /healthz HTTP/1.1\r\n{headers}\r\n")
}

#[tokio::test]
async fn malformed_requests_get_the_documented_error() {
    let app = TestApp::start().await;
    let url = |length: usize| format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "x".repeat(length));
    let cases: Vec<(String, u16, &str)> = vec![
        ("NONSENSE\r\n\r\n".to_owned(), 400, "invalid_request"),
        ("GET  /healthz HTTP/1.1\r\n\r\n".to_owned(), 400, "invalid_request"),
        ("GET /healthz HTTP/3.7\r\n\r\n".to_owned(), 400, "invalid_request"),
        ("GET /healthz HTTP/1.1\r\nno colon\r\n\r\n".to_owned(), 400, "invalid_request"),
        ("GET /healthz HTTP/1.1\r\na b: c\r\n\r\n".to_owned(), 400, "invalid_request"),
        ("GET /\u{7f}\u{1} HTTP/1.1\r\n\r\n".to_owned(), 400, "invalid_request"),
        ("POST /v1/db/t HTTP/1.1\r\ncontent-length: x\r\n\r\n".to_owned(), 400, "invalid_request"),
        ("POST /v1/db/t HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n".to_owned(), 400, "invalid_request"),
        ("POST /v1/db/t HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n".to_owned(), 400, "invalid_request"),
        (url(65_535), 414, "url_too_long"),
        (url(100_000), 414, "url_too_long"),
        (with_headers(101, 1), 431, "headers_too_large"),
        (with_headers(2, 40_000), 431, "headers_too_large"),
        (with_headers(10, 7_000), 431, "headers_too_large"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 505, "http_version_not_supported"),
    ];
    for url in [&app.public_url, &app.admin_url] {
        for (request, status, code) in &cases {
            let mut socket = Socket::connect(url).await;
            socket.send(request).await;
            let shown: String = request.chars().take(50).collect();
            let response = socket.response().await.unwrap_or_else(|| panic!("no response to {shown:?}"));
            assert_eq!(response.error(), (*status, (*code).to_owned()), "{shown:?}");
            assert_eq!(response.header("connection"), Some("close"));
            assert_eq!(socket.closed().await, 0, "{shown:?}");
        }
        // A head with the maximum number of headers and almost the maximum size is accepted.
        let mut socket = Socket::connect(url).await;
        socket.send(with_headers(100, 600)).await;
        assert_eq!(socket.response().await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn invalid_url_gets_a_hint_about_its_encoding() {
    let app = TestApp::start().await;
    let mut socket = Socket::connect(&app.public_url).await;
    socket.send("GET /v1/db/t?contains.data={\"a\":1} HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let response = socket.response().await.unwrap();
    assert_eq!(response.error(), (400, "invalid_request".to_owned()));
    let body = response.json();
    assert!(body["error"]["hint"].as_str().is_some_and(|hint| hint.contains("`%22`")), "{body}");
}

#[tokio::test]
async fn malformed_request_after_valid_ones_gets_the_documented_error() {
    let app = TestApp::start().await;
    let mut socket = Socket::connect(&app.public_url).await;
    let valid = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    socket.send(format!("{valid}{valid}NONSENSE\r\n\r\n")).await;
    assert_eq!(socket.response().await.unwrap().status, 200);
    assert_eq!(socket.response().await.unwrap().status, 200);
    assert_eq!(socket.response().await.unwrap().error(), (400, "invalid_request".to_owned()));
    assert_eq!(socket.closed().await, 0);
}

#[tokio::test]
async fn encoded_bodies_return_415() {
    let app = TestApp::start().await;
    let project = app.create_project("Encoded").await;
    project.sql("CREATE TABLE t (a text)").await;
    for encoding in ["gzip", "br", "deflate", "zstd", "gzip, identity", "nonsense"] {
        for (client, path) in
            [(project.secret(), "/v1/db/t".to_owned()), (app.admin(), "/admin/v1/projects".to_owned())]
        {
            let response = client
                .request(Method::POST, &path)
                .header("content-encoding", encoding)
                .header("content-type", "application/json")
                .body(&b"\x1f\x8b\x08\x00compressed"[..])
                .send()
                .await
                .unwrap();
            assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{encoding}");
            let body: serde_json::Value = response.json().await.unwrap();
            assert_eq!(body["error"]["code"], "unsupported_media_type");
            assert!(body["error"]["message"].as_str().unwrap().contains("encod"), "{body}");
        }
    }
    let response = project
        .secret()
        .request(Method::POST, "/v1/db/t")
        .header("content-encoding", "identity")
        .json(&json!({ "rows": [{ "a": "plain" }] }))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn connection_serves_100_requests_refuses_connect_and_closes_after_http_1_0() {
    let app = TestApp::start().await;
    let mut socket = Socket::connect(&app.public_url).await;
    for _ in 0..100 {
        socket.send("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
        assert_eq!(socket.response().await.unwrap().status, 200);
    }
    socket.send("CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n").await;
    assert!(socket.response().await.unwrap().status >= 400);
    let mut socket = Socket::connect(&app.public_url).await;
    socket.send("HEAD /healthz HTTP/1.0\r\n\r\n").await;
    assert!(socket.closed().await > 0, "the connection was closed without a response");
}
