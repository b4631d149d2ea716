//! The limit on open connections.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use crate::support::{TestServer, client, put, read_until, send_head};

/// Maximum number of connections of a server.
const MAX_CONNECTIONS: usize = 256;

/// Held by tests with many connections. Two of them at the same time could exceed the limit on open files.
static MANY_CONNECTIONS: Mutex<()> = Mutex::const_new(());

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
    assert_eq!(silent[0].read(&mut [0]).await.unwrap_or(0), 0, "the oldest connection is closed");
}

#[tokio::test]
async fn connection_above_the_limit_receives_503_when_all_others_upload() {
    let _guard = MANY_CONNECTIONS.lock().await;
    let server = TestServer::start().await;
    let url = server.sign_put("x", |put| put).await;
    let mut uploads = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        let mut upload = send_head(&server, &url, 1).await;
        // The server asks for the body after it has checked the signature.
        read_until(&mut upload, "100 Continue\r\n\r\n").await;
        uploads.push(upload);
    }
    let mut refused = TcpStream::connect(server.address).await.unwrap();
    let mut response = String::new();
    refused.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{response}");
    assert!(response.contains("\r\nretry-after: 1\r\n") && response.contains("<Code>SlowDown</Code>"), "{response}");
    uploads[0].write_all(b"1").await.unwrap();
    let stored = read_until(&mut uploads[0], "\r\n\r\n").await;
    assert!(stored.starts_with("HTTP/1.1 200 OK\r\n"), "{stored}");
    put(&client(server.address), "y", b"2".to_vec()).await.unwrap();
}
