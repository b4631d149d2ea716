//! Streamed bodies in both directions, and their limits.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use atlashub::jobs::RunFailure;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{io::AsyncWriteExt as _, sync::Semaphore};

use super::{CHUNKED, Connections, limits, platform, until_closed};
use crate::{
    egress_bodies::compress,
    plugins::guests::{everything, result_of},
    support::{WebResponse, WebServer},
};

#[tokio::test]
async fn bodies_are_streamed_in_both_directions() {
    let server = WebServer::start(|request| {
        let body = format!("{} bytes", request.body.len());
        WebResponse::with(201, &[("x-kind", "created")], body.as_bytes())
    })
    .await;
    let platform = platform(&[&server.entry()]).await;
    for (length, expected) in [(json!(null), None), (json!(200_000), Some("200000"))] {
        let params = json!({ "url": server.url("/"), "method": "POST", "write": 200_000, "contentLength": length });
        let response = platform.open(params).await;
        assert_eq!((&response["status"], &response["headers"]["x-kind"]), (&json!(201), &json!("created")));
        assert_eq!((&response["body"], &response["end"]), (&json!("200000 bytes"), &json!(12)), "{response}");
        let request = server.next().await;
        assert_eq!(request.header("content-length"), expected);
        assert_eq!(request.header("transfer-encoding"), expected.is_none().then_some("chunked"));
        assert!(request.body == "b".repeat(200_000));
        assert_eq!(request.header("accept-encoding"), Some("gzip, deflate"));
    }
}

#[tokio::test]
async fn forwarded_download_enters_neither_the_guest_nor_the_hosts_memory() {
    const SIZE: usize = 64 << 20;
    let mut server = Connections::start().await;
    let platform = platform(&[&server.entry()]).await;
    let params = json!({ "url": server.url(), "to": platform.object("uploads/large") });
    // This limit is more than the upload and the exchange need, and much less than the size of the body.
    let few = limits(|config| config.call_memory_mib = 34);
    let guest = platform.guest_with(few, everything(), "open", params).await.limit(|limits| limits.host_call_mib = 1);
    let serve = async {
        let mut stream = server.next().await;
        stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n").as_bytes()).await.unwrap();
        for index in 0..SIZE / (64 << 10) {
            stream.write_all(&[index as u8; 64 << 10]).await.unwrap();
        }
    };
    let (outcome, ()) = tokio::join!(guest.run(), serve);
    assert_eq!(result_of(outcome)["end"], SIZE);
    let stored = platform.app.app.store().get_small(&platform.bucket(), "uploads/large", 64 << 20).await.unwrap();
    assert!(stored.len() == SIZE && stored.chunks(64 << 10).enumerate().all(|(at, part)| part == [at as u8; 64 << 10]));
}

#[tokio::test]
async fn forwarded_object_is_uploaded_without_entering_the_guest() {
    const SIZE: usize = 64 << 20;
    let server = WebServer::start(|request| {
        let is_complete = request.body.len() == SIZE && request.body.bytes().all(|byte| byte == b'u');
        WebResponse::status(if is_complete { 200 } else { 400 })
    })
    .await;
    let platform = platform(&[&server.entry()]).await;
    platform.put("uploads/large", vec![b'u'; SIZE]).await;
    for sized in [true, false] {
        let params = json!({
            "url": server.url("/"), "method": "PUT", "body": platform.object("uploads/large"), "sized": sized,
        });
        let guest = platform.guest("open", params).await.limit(|limits| limits.host_call_mib = 1);
        assert_eq!(result_of(guest.run().await)["status"], 200);
        let length = SIZE.to_string();
        assert_eq!(server.next().await.header("content-length"), sized.then_some(length.as_str()));
    }
}

#[tokio::test]
async fn server_sends_no_faster_than_the_plugin_reads() {
    let mut server = Connections::start().await;
    let platform = platform(&[&server.entry()]).await;
    let guest = platform.guest("open-sleeping", json!({ "url": server.url() })).await;
    let cancel = guest.cancel.clone();
    let written = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&written);
    let stalled = Arc::new(Semaphore::new(0));
    let serve = async {
        let mut stream = server.next().await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        // When the connection accepts no more bytes, the run is cancelled, which closes the connection.
        loop {
            let write = stream.write(&[0; 64 << 10]);
            match tokio::time::timeout(Duration::from_secs(2), write).await {
                Ok(Ok(count)) => counted.fetch_add(count as u64, Ordering::Relaxed),
                Ok(Err(_)) => break,
                Err(_) => {
                    stalled.add_permits(1);
                    cancel.cancel();
                    until_closed(stream).await;
                    break;
                }
            };
        }
    };
    let (outcome, ()) = tokio::join!(guest.run(), serve);
    assert_eq!(outcome, Err(RunFailure::Cancelled));
    assert_eq!(stalled.available_permits(), 1);
    // Only buffers of the kernel and one of the client were filled.
    assert!(written.load(Ordering::Relaxed) < 24 << 20, "{written:?}");
}

#[tokio::test]
async fn compressed_bodies_are_decoded_up_to_the_maximum_size() {
    let (small, bomb) = (compress("gzip", b"text").await, compress("deflate", &vec![0; 64 << 20]).await);
    // Compression does not make these bytes smaller. They have 32 bytes more than 1 MiB.
    let noise: Vec<u8> = (0..=1_u32 << 15).flat_map(|number| Sha256::digest(number.to_le_bytes()).to_vec()).collect();
    let noise = compress("gzip", &noise).await;
    let server = WebServer::start(move |request| match request.target.as_str() {
        "/small" => WebResponse::with(200, &[("content-encoding", "gzip")], &small),
        "/none" => WebResponse::with(200, &[("content-encoding", "gzip")], b""),
        "/bomb" => WebResponse::with(200, &[("content-encoding", "deflate")], &bomb),
        "/noise" => WebResponse::with(200, &[("content-encoding", "gzip")], &noise),
        _ => WebResponse::Endless(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()),
    })
    .await;
    let platform = platform(&[&server.entry()]).await;
    let response = platform.open(json!({ "url": server.url("/small") })).await;
    assert_eq!((&response["body"], &response["end"]), (&json!("text"), &json!(4)));
    assert_eq!(response["headers"].as_object().unwrap().len(), 0, "{response}");
    assert_eq!(platform.open(json!({ "url": server.url("/none") })).await["end"], 0);
    let head = platform.open(json!({ "url": server.url("/small"), "method": "HEAD" })).await;
    assert_eq!((&head["headers"]["content-encoding"], &head["end"]), (&json!("gzip"), &json!(0)));

    let one = limits(|config| config.http_body_mib = 1);
    for path in ["/bomb", "/noise", "/endless"] {
        for to in [Value::Null, platform.object("uploads/bomb")] {
            let params = json!({ "url": server.url(path), "to": to });
            let response = result_of(platform.guest_with(one, everything(), "open", params).await.run().await);
            let message = response["end"]["message"].as_str().unwrap();
            assert!(message.contains("the body of the response has more than 1048576 bytes"), "{path}: {message}");
            let code = if to.is_null() { "ErrorCode::TooLarge" } else { "ErrorCode::Failed" };
            assert_eq!(response["end"]["code"], code, "{path}");
            assert!(!platform.exists("uploads/bomb").await, "{path}");
        }
    }
    let params = json!({ "url": server.url("/small"), "method": "POST", "write": (1 << 20) + 1 });
    let failure = platform.guest_with(one, everything(), "open", params).await.failure().await;
    assert!(failure.contains("the body of the request has more than 1048576 bytes"), "{failure}");
    // Bytes that the guest reads itself count toward its limit.
    let guest = platform.guest("open", json!({ "url": server.url("/endless") })).await;
    let failure = guest.limit(|limits| limits.host_call_mib = 1).failure().await;
    assert!(failure.contains("its limit of 1 MiB for host calls"), "{failure}");
}

#[tokio::test]
async fn secret_that_is_split_between_chunks_is_redacted() {
    // Returns the body in chunks of the size that the path names.
    let server = WebServer::start(|request| {
        let size = request.target.strip_prefix('/').unwrap().parse().unwrap();
        let body = format!("the token is {}.", request.header("token").unwrap_or_default());
        let chunks: String = body
            .as_bytes()
            .chunks(size)
            .map(|chunk| format!("{:x}\r\n{}\r\n", chunk.len(), String::from_utf8_lossy(chunk)))
            .collect();
        WebResponse::Raw(format!("{CHUNKED}{chunks}0\r\n\r\n").into_bytes())
    })
    .await;
    let platform = platform(&[&server.entry()]).await;
    for size in [1, 5, 16, 20, 100] {
        let params = json!({ "url": server.url(&format!("/{size}")), "secretHeaders": ["token"] });
        let response = platform.open(params).await;
        assert_eq!((&response["body"], &response["end"]), (&json!("the token is ***."), &json!(17)), "{size}");
        assert_eq!(server.next().await.header("token"), Some("do-not-tell"));
    }
    let params = json!({
        "url": server.url("/3"), "secretHeaders": ["token"], "to": platform.object("uploads/echo"),
    });
    assert_eq!(platform.open(params).await["end"], 17);
    let stored = platform.app.app.store().get_small(&platform.bucket(), "uploads/echo", 100).await.unwrap();
    assert_eq!(stored, "the token is ***.");
}
