//! An HTTP server on loopback that records requests and sends configurable responses, including invalid ones.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    sync::{Mutex, Semaphore, mpsc},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use super::WAIT_TIMEOUT;

/// A received request.
#[derive(Debug, Clone)]
pub struct WebRequest {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl WebRequest {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

pub enum WebResponse {
    /// The bytes of a complete response.
    Raw(Vec<u8>),
    /// Bytes, followed by an endless repetition of a chunk.
    Endless(Vec<u8>),
    /// Bytes, after which the connection stays open.
    Hang(Vec<u8>),
}

impl WebResponse {
    pub fn status(status: u16) -> Self {
        Self::with(status, &[], b"")
    }

    pub fn with(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let mut head = format!("HTTP/1.1 {status} Whatever\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        Self::Raw([head.as_bytes(), body].concat())
    }

    pub fn redirect(status: u16, location: &str) -> Self {
        Self::with(status, &[("location", location)], b"")
    }
}

/// A running server. Dropping it stops it.
pub struct WebServer {
    pub address: SocketAddr,
    scheme: &'static str,
    received: Mutex<mpsc::UnboundedReceiver<WebRequest>>,
    count: Arc<AtomicUsize>,
    /// One permit for each client that has closed a connection of [`WebResponse::Hang`].
    left: Arc<Semaphore>,
    accepting: JoinHandle<()>,
}

impl WebServer {
    pub async fn start(respond: impl Fn(&WebRequest) -> WebResponse + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0", respond).await
    }

    pub async fn start_at(address: &str, respond: impl Fn(&WebRequest) -> WebResponse + Send + Sync + 'static) -> Self {
        Self::start_with(address, None, respond).await
    }

    /// Starts a server with TLS. Clients that disconnect before their first request are not counted.
    pub async fn start_tls(
        acceptor: TlsAcceptor,
        respond: impl Fn(&WebRequest) -> WebResponse + Send + Sync + 'static,
    ) -> Self {
        Self::start_with("127.0.0.1:0", Some(acceptor), respond).await
    }

    async fn start_with(
        address: &str,
        acceptor: Option<TlsAcceptor>,
        respond: impl Fn(&WebRequest) -> WebResponse + Send + Sync + 'static,
    ) -> Self {
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let listener = TcpListener::bind(address).await.expect("port");
        let address = listener.local_addr().expect("address");
        let (sender, receiver) = mpsc::unbounded_channel();
        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        let left = Arc::new(Semaphore::new(0));
        let leaving = left.clone();
        let respond = Arc::new(respond);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (respond, sender, counted) = (respond.clone(), sender.clone(), counted.clone());
                let (acceptor, leaving) = (acceptor.clone(), leaving.clone());
                tokio::spawn(async move {
                    let respond = |request| {
                        counted.fetch_add(1, Ordering::SeqCst);
                        let response = respond(&request);
                        let _ = sender.send(request);
                        response
                    };
                    match acceptor {
                        None => serve(stream, respond, &leaving).await,
                        // A client that rejects the certificate disconnects.
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                serve(stream, respond, &leaving).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, scheme, received: Mutex::new(receiver), count, left, accepting }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// Returns an allowlist entry for this server.
    pub fn entry(&self) -> String {
        format!("{}+private", self.address)
    }

    /// Waits for the next request.
    pub async fn next(&self) -> WebRequest {
        let next = async { self.received.lock().await.recv().await.expect("the server should run") };
        tokio::time::timeout(WAIT_TIMEOUT, next).await.expect("a request should arrive")
    }

    /// Waits until a client has closed a connection of [`WebResponse::Hang`]. Each such client is counted once.
    pub async fn until_disconnected(&self) {
        let left = tokio::time::timeout(WAIT_TIMEOUT, self.left.acquire()).await.expect("the client should leave");
        left.expect("never closed").forget();
    }

    /// Returns the number of requests.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Handles one request on a connection.
async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    respond: impl FnOnce(WebRequest) -> WebResponse,
    left: &Semaphore,
) {
    let Some(request) = read_request(&mut stream).await else { return };
    match respond(request) {
        WebResponse::Raw(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
        WebResponse::Endless(bytes) => {
            let _ = stream.write_all(&bytes).await;
            while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
        }
        WebResponse::Hang(bytes) => {
            let _ = stream.write_all(&bytes).await;
            // Waits until the client disconnects.
            let _ = stream.read(&mut [0; 1]).await;
            left.add_permits(1);
        }
    }
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<WebRequest> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).expect("a head in UTF-8");
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let mut request = WebRequest {
        method: first.next()?.to_owned(),
        target: first.next()?.to_owned(),
        headers: lines.filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
        body: String::new(),
    };
    if request.header("transfer-encoding") == Some("chunked") {
        let body = read_chunks(stream, bytes.split_off(end + 4)).await?;
        request.body = String::from_utf8(body).expect("a body in UTF-8");
        return Some(request);
    }
    let length: usize = request.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    while bytes.len() < end + 4 + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    request.body = String::from_utf8(bytes[end + 4..].to_vec()).expect("a body in UTF-8");
    Some(request)
}

/// Reads a body in chunks (RFC 9112, section 7.1). `bytes` were read already. Returns `None` if the body is
/// incomplete.
async fn read_chunks(stream: &mut (impl AsyncRead + Unpin), mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = loop {
            if let Some(line) = bytes.windows(2).position(|window| window == b"\r\n") {
                break line;
            }
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        };
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..line]).ok()?, 16).ok()?;
        let end = line + 2 + size;
        while bytes.len() < end + 2 {
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        }
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(&bytes[line + 2..end]);
        bytes.drain(..end + 2);
    }
}
