//! The limit on open connections.

use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::format_description::FormatItem;
use time::macros::format_description;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use crate::support::{ACCESS_KEY, BUCKET, REGION, TestServer, client, hmac, put, read_until, send_head, signing_key};

const AMZ_DATE: &[FormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");

/// Maximum number of connections of a server.
const MAX_CONNECTIONS: usize = 256;

/// Held by tests with many connections. Two of them at the same time could exceed the limit on open files.
static MANY_CONNECTIONS: Mutex<()> = Mutex::const_new(());

/// Sends a PUT that is signed in its headers, without its body, for which the server has to ask.
async fn send_signed_head(server: &TestServer, key: &str, content_length: u64) -> TcpStream {
    let timestamp = OffsetDateTime::now_utc().format(AMZ_DATE).unwrap();
    let scope = format!("{}/{REGION}/s3/aws4_request", &timestamp[..8]);
    let signed = format!("host:{}\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:{timestamp}\n", server.address);
    let names = "host;x-amz-content-sha256;x-amz-date";
    let request = format!("PUT\n/{BUCKET}/{key}\n\n{signed}\n{names}\nUNSIGNED-PAYLOAD");
    let digest = hex::encode(Sha256::digest(request));
    let text = format!("AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{digest}");
    let signature = hex::encode(hmac(&signing_key(&timestamp[..8]), &text));
    let headers = signed.replace('\n', "\r\n");
    let head = format!(
        "PUT /{BUCKET}/{key} HTTP/1.1\r\n{headers}content-length: {content_length}\r\nexpect: 100-continue\r\n\
         authorization: AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, SignedHeaders={names}, \
         Signature={signature}\r\n\r\n"
    );
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn connections_that_send_nothing_give_way_to_new_ones() {
    let _guard = MANY_CONNECTIONS.lock().await;
    let server = TestServer::start().await;
    let mut silent = Vec::new();
    for _ in 0..MAX_CONNECTIONS + 44 {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    put(&client(server.address), "x", b"1".to_vec()).await.unwrap();
    assert_eq!(server.get("x").await.unwrap(), b"1");
    assert_eq!(silent[0].read(&mut [0]).await.unwrap_or(0), 0, "the oldest connection was not closed");
}

#[tokio::test]
async fn connection_above_the_limit_receives_503_when_all_others_upload() {
    let _guard = MANY_CONNECTIONS.lock().await;
    let server = TestServer::start().await;
    let mut uploads = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        let mut upload = send_signed_head(&server, "x", 1).await;
        // The server asks for the body after it has checked the signature.
        read_until(&mut upload, "100 Continue\r\n\r\n").await;
        uploads.push(upload);
    }
    let mut refused = TcpStream::connect(server.address).await.unwrap();
    refused.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut response = String::new();
    refused.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{response}");
    assert!(response.contains("\r\nretry-after: 1\r\n") && response.contains("<Code>SlowDown</Code>"), "{response}");
    uploads[0].write_all(b"1").await.unwrap();
    let stored = read_until(&mut uploads[0], "\r\n\r\n").await;
    assert!(stored.starts_with("HTTP/1.1 200 OK\r\n"), "{stored}");
    put(&client(server.address), "y", b"2".to_vec()).await.unwrap();
}

#[tokio::test]
async fn uploads_with_a_signed_url_leave_connections_to_requests_with_signed_headers() {
    let _guard = MANY_CONNECTIONS.lock().await;
    let server = TestServer::start().await;
    let url = server.sign_put("x", |put| put).await;
    let mut uploads = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        let mut upload = send_head(&server, &url, 1).await;
        read_until(&mut upload, "100 Continue\r\n\r\n").await;
        uploads.push(upload);
    }
    put(&client(server.address), "y", b"2".to_vec()).await.unwrap();
    uploads[0].write_all(b"1").await.unwrap();
    let stored = read_until(&mut uploads[0], "\r\n\r\n").await;
    assert!(stored.starts_with("HTTP/1.1 200 OK\r\n"), "{stored}");
}
