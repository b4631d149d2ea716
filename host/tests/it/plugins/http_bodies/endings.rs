//! The end of exchanges with streamed bodies: complete, cut short, timed out or cancelled.

use std::time::Duration;

use atlashub::jobs::RunFailure;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use super::{CHUNKED, Connections, limits, platform, until_closed};
use crate::{
    egress_bodies::compress,
    plugins::guests::{everything, result_of},
    support::{WebResponse, WebServer},
};

#[tokio::test]
async fn body_that_is_cut_short_fails_its_future_and_is_not_stored() {
    let damaged = [compress("gzip", b"text").await, b"damaged".to_vec()].concat();
    let other = compress("br", b"text").await;
    let server = WebServer::start(move |request| match request.target.as_str() {
        "/length" => WebResponse::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".to_vec()),
        "/chunks" => WebResponse::Raw(format!("{CHUNKED}4\r\nhalf\r\n").into_bytes()),
        "/gzip" => WebResponse::with(200, &[("content-encoding", "gzip")], &damaged),
        _ => WebResponse::with(200, &[("content-encoding", "br")], &other),
    })
    .await;
    let platform = platform(&[&server.entry()]).await;
    for (path, body, reason) in [
        ("/length", "half", "unexpected end of file"),
        ("/chunks", "half", "failed: "),
        ("/gzip", "text", "can't be decoded: it is damaged"),
        ("/br", "", "only gzip and deflate"),
    ] {
        let response = platform.open(json!({ "url": server.url(path) })).await;
        assert_eq!((&response["status"], &response["body"]), (&json!(200), &json!(body)), "{path}: {response}");
        let end = &response["end"];
        assert_eq!(end["code"], "ErrorCode::Unavailable", "{path}: {end}");
        assert!(end["message"].as_str().unwrap().contains(reason), "{path}: {end}");
        let response = platform.open(json!({ "url": server.url(path), "to": platform.object("uploads/cut") })).await;
        let message = response["end"]["message"].as_str().unwrap();
        assert!(message.contains("so nothing was stored") && message.contains(reason), "{path}: {message}");
        assert!(!platform.exists("uploads/cut").await, "{path}");
    }
}

#[tokio::test]
async fn body_that_is_not_read_is_closed() {
    let large = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; 32 << 20]].concat();
    let server = WebServer::start(move |_| WebResponse::Hang(large.clone())).await;
    let platform = platform(&[&server.entry()]).await;
    let idle = limits(|config| config.stream_idle = Duration::from_secs(1));
    for pause in [json!(null), json!(20)] {
        let params = json!({ "of": "http", "name": server.url("/"), "count": 2, "pauseMs": pause });
        let guest = platform.guest_with(idle, everything(), "slow-read", params).await;
        let ends = result_of(guest.run().await);
        let ends = ends.as_array().unwrap();
        assert_eq!(ends.len(), 2);
        assert!(ends.iter().all(|end| end.as_str().unwrap().contains("not read for 1 s")), "{pause}: {ends:?}");
        server.until_disconnected().await;
        server.until_disconnected().await;
    }
}

#[tokio::test]
async fn exchange_ends_at_its_timeout_and_with_its_stream() {
    let server = WebServer::start(|request| match request.target.as_str() {
        "/silent" => WebResponse::Hang(Vec::new()),
        _ => WebResponse::Hang(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".to_vec()),
    })
    .await;
    let platform = platform(&[&server.entry()]).await;
    let failure = platform.refusal(json!({ "url": server.url("/silent"), "timeoutMs": 300 })).await;
    assert_eq!(failure, "no complete response within 0.3 s");
    server.until_disconnected().await;
    let response = platform.open(json!({ "url": server.url("/half"), "timeoutMs": 3000 })).await;
    assert_eq!((&response["status"], &response["body"]), (&json!(200), &json!("half")));
    assert_eq!(response["end"]["code"], "ErrorCode::Timeout", "{response}");
    server.until_disconnected().await;
    let response = platform.open(json!({ "url": server.url("/half"), "stopAfter": 2 })).await;
    assert!(response["end"]["message"].as_str().unwrap().contains("its stream was dropped"), "{response}");
    server.until_disconnected().await;
}

#[tokio::test]
async fn cancelled_run_closes_its_connections() {
    let mut server = Connections::start().await;
    let platform = platform(&[&server.entry()]).await;
    // A response that is not complete.
    let guest = platform.guest("open-sleeping", json!({ "url": server.url() })).await;
    let cancel = guest.cancel.clone();
    let serve = async {
        let mut stream = server.next().await;
        stream.write_all(CHUNKED.as_bytes()).await.unwrap();
        guest.recorded.until_logged().await;
        cancel.cancel();
        until_closed(stream).await;
    };
    let (outcome, ()) = tokio::join!(guest.run(), serve);
    assert_eq!(outcome, Err(RunFailure::Cancelled));

    // A request that is not complete: the server does not read it.
    let params = json!({ "url": server.url(), "method": "POST", "write": 1 << 30 });
    let guest = platform.guest("open", params).await;
    let cancel = guest.cancel.clone();
    let serve = async {
        let stream = server.next().await;
        cancel.cancel();
        assert!(until_closed(stream).await < 64 << 20);
    };
    let (outcome, ()) = tokio::join!(guest.run(), serve);
    assert_eq!(outcome, Err(RunFailure::Cancelled));
}

#[tokio::test]
async fn upload_ends_with_its_response() {
    const SIZE: usize = 32 << 20;
    let mut server = Connections::start().await;
    let platform = platform(&[&server.entry()]).await;
    // The server responds early and reads nothing. The guest writes the whole body before it reads the response.
    let params = json!({ "url": server.url(), "method": "POST", "write": SIZE });
    let idle = limits(|config| config.stream_idle = Duration::from_secs(1));
    let guest = platform.guest_with(idle, everything(), "open", params).await;
    let serve = async {
        let mut stream = server.next().await;
        stream.write_all(b"HTTP/1.1 413 Too large\r\ncontent-length: 4\r\n\r\nmore").await.unwrap();
        stream
    };
    let (outcome, stream) = tokio::join!(guest.run(), serve);
    let response = result_of(outcome);
    assert_eq!(response["status"], 413);
    assert!(response["end"]["message"].as_str().unwrap().contains("not read for 1 s"), "{response}");
    assert_eq!(guest.recorded.messages(), ["the body was not written completely"]);
    assert!(until_closed(stream).await < SIZE);
}
