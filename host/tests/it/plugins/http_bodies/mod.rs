//! HTTP bodies that plugins stream: `streaming` tests the bytes that arrive, `endings` how exchanges end and what they
//! leave behind, and `refusals` the requests that are not sent.

pub mod endings;
pub mod refusals;
pub mod streaming;

use std::net::SocketAddr;

use atlashub::{config::PluginsConfig, plugins::runtime::HostLimits};
use serde_json::{Value, json};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use super::guests::{Platform, result_of};
use crate::support::{TestApp, WAIT_TIMEOUT};

/// The head of a response in chunks.
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

fn limits(change: impl FnOnce(&mut PluginsConfig)) -> HostLimits {
    let mut config = PluginsConfig::default();
    change(&mut config);
    HostLimits::from(&config)
}

async fn platform(servers: &[&str]) -> Platform {
    let app = TestApp::builder().var("ATLASHUB_HTTP_ALLOWED_HOSTS", &servers.join(",")).start().await;
    Platform::with(app).await
}

impl Platform {
    async fn open(&self, params: Value) -> Value {
        result_of(self.guest("open", params).await.run().await)
    }

    /// Opens a URL and returns the message with which the run failed.
    async fn refusal(&self, params: Value) -> String {
        self.guest("open", params).await.failure().await
    }

    fn object(&self, key: &str) -> Value {
        json!({ "store": self.store(), "key": key })
    }

    async fn exists(&self, key: &str) -> bool {
        self.app.app.store().head(&self.bucket(), key).await.unwrap().is_some()
    }
}

/// A server that reads the head of a request and then leaves the connection to a test.
struct Connections {
    address: SocketAddr,
    opened: mpsc::UnboundedReceiver<TcpStream>,
}

impl Connections {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, opened) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                if sender.send(stream).is_err() {
                    return;
                }
            }
        });
        Self { address, opened }
    }

    fn entry(&self) -> String {
        format!("{}+private", self.address)
    }

    fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    async fn next(&mut self) -> TcpStream {
        tokio::time::timeout(WAIT_TIMEOUT, self.opened.recv()).await.unwrap().unwrap()
    }
}

/// Waits until the client closes its connection, and returns how many bytes it sent before.
async fn until_closed(mut stream: TcpStream) -> usize {
    let mut bytes = Vec::new();
    // A reset is an end as well.
    let _ = tokio::time::timeout(WAIT_TIMEOUT, stream.read_to_end(&mut bytes)).await.expect("the client should leave");
    bytes.len()
}
