//! A plain TCP connection, for requests that no HTTP client would send.

use std::{io, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use super::WAIT_TIMEOUT;

pub struct Socket {
    stream: TcpStream,
    /// Bytes that were read, but not returned.
    buffer: Vec<u8>,
}

/// A response as it was received.
#[derive(Debug)]
pub struct RawResponse {
    pub status: u16,
    /// Names in lowercase.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Socket {
    /// Connects to a URL's address. The client's own buffer is small, so that unread responses block the server.
    pub async fn connect(url: &str) -> Self {
        let address = url.trim_start_matches("http://").parse().expect("an address");
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a buffer size");
        Self { stream: socket.connect(address).await.expect("a connection"), buffer: Vec::new() }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await.expect("the bytes should be sent");
    }

    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await
    }

    /// Disconnects. The server notices it without a delay.
    pub fn reset(self) {
        self.stream.set_zero_linger().expect("linger should be set");
    }

    /// Ends the client's side of the connection.
    pub async fn end(&mut self) {
        self.stream.shutdown().await.expect("shut down");
    }

    /// Reads one response with a known length. Returns `None` if the server closes the connection instead. If the
    /// future is dropped, the next call continues.
    pub async fn response(&mut self) -> Option<RawResponse> {
        let head_end = loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if !self.read().await {
                return None;
            }
        };
        let head = String::from_utf8(self.buffer[..head_end].to_vec()).expect("a head in UTF-8");
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status").parse().expect("a number");
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut response = RawResponse { status, headers, body: Vec::new() };
        let length = response.header("content-length").map_or(0, |length| length.parse().expect("a length"));
        while self.buffer.len() < head_end + length {
            assert!(self.read().await, "the body is incomplete");
        }
        response.body = self.buffer.drain(..head_end + length).skip(head_end).collect();
        Some(response)
    }

    /// Waits until the server closes the connection, and returns the number of bytes received until then.
    pub async fn closed(&mut self) -> usize {
        let mut bytes = self.buffer.len();
        self.buffer.clear();
        while self.read().await {
            bytes += self.buffer.len();
            self.buffer.clear();
        }
        bytes
    }

    /// Returns whether the server has sent something or closed the connection, or does so within 5 ms.
    pub async fn has_received(&self) -> bool {
        timeout(Duration::from_millis(5), self.stream.peek(&mut [0; 1])).await.is_ok()
    }

    async fn read(&mut self) -> bool {
        let reading = self.stream.read_buf(&mut self.buffer);
        matches!(timeout(WAIT_TIMEOUT, reading).await.expect("the server should send or close"), Ok(1..))
    }
}

impl RawResponse {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts that this is an error of the documented shape, and returns status and code.
    pub fn error(&self) -> (u16, String) {
        let body = self.json();
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        assert_eq!(self.header("x-request-id"), body["error"]["requestId"].as_str(), "{self:?}");
        assert!(!body["error"]["message"].as_str().expect("a message").is_empty());
        if self.status == 503 {
            self.header("retry-after").expect("every 503 should have `retry-after`").parse::<u64>().expect("seconds");
        }
        (self.status, body["error"]["code"].as_str().expect("a code").to_owned())
    }
}
