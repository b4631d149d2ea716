//! A TCP proxy in front of Postgres or the store. It breaks, holds or cuts chosen requests, responds to them itself, or
//! cuts or pauses the responses of the server. The server behind it is real.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use futures_util::FutureExt as _;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::{JoinHandle, JoinSet},
};

use super::Store;

const PROJECT_ID_LENGTH: usize = 16;

/// A proxy that listens on a free port. Dropping it closes its connections.
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    faults: Mutex<Vec<Fault>>,
    project_ids: Mutex<BTreeSet<String>>,
    held: Notify,
    released: Notify,
    resumed: Notify,
    closed: Notify,
}

#[derive(Clone)]
struct Fault {
    text: &'static str,
    action: Action,
    hits: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    /// Replaces the last character of the fault's text with `?`, which makes SQL a syntax error and changes the path of
    /// a signed request.
    Corrupt,
    /// Forwards no further bytes on this connection, which is closed by [`FaultProxy::release`].
    Hold,
    /// Closes the connection.
    Cut,
    /// Sends this response, and closes the connection.
    Respond(&'static str),
    /// Closes the connection after this many bytes of the response.
    CutResponse(usize),
    /// Pauses after this many bytes of the response.
    PauseResponse(usize),
}

impl FaultProxy {
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
        let address = listener.local_addr().expect("address");
        let shared = Arc::new(Shared::default());
        let accepting = tokio::spawn(accept(listener, target, shared.clone()));
        Self { address, shared, accepting }
    }

    /// Starts a proxy in front of the store of the tests. Returns it with its URL.
    pub async fn before_store() -> (Self, String) {
        let target = Store::shared().endpoint.trim_start_matches("http://").parse().expect("an address");
        let proxy = Self::start(target).await;
        let url = format!("http://{}", proxy.address());
        (proxy, url)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes requests that contain `text` fail at the server.
    pub fn corrupt(&self, text: &'static str) {
        self.add(text, Action::Corrupt);
    }

    /// Holds requests that contain `text`.
    pub fn hold(&self, text: &'static str) {
        self.add(text, Action::Hold);
    }

    /// Closes the connections of requests that are held.
    pub fn release(&self) {
        self.shared.released.notify_waiters();
    }

    /// Closes the connections of requests that contain `text`, without a response.
    pub fn cut(&self, text: &'static str) {
        self.add(text, Action::Cut);
    }

    /// Sends this response to requests that contain `text`, instead of the server's.
    pub fn respond(&self, text: &'static str, response: &'static str) {
        self.add(text, Action::Respond(response));
    }

    /// Sends only the first bytes of the response to requests that contain `text`.
    pub fn cut_response(&self, text: &'static str, bytes: usize) {
        self.add(text, Action::CutResponse(bytes));
    }

    /// Holds responses to requests that contain `text` after their first bytes, until [`FaultProxy::resume`].
    pub fn pause_response(&self, text: &'static str, bytes: usize) {
        self.add(text, Action::PauseResponse(bytes));
    }

    /// Forwards the rest of responses that are held.
    pub fn resume(&self) {
        self.shared.resumed.notify_waiters();
    }

    /// Closes all connections.
    pub fn close(&self) {
        self.shared.closed.notify_waiters();
    }

    fn add(&self, text: &'static str, action: Action) {
        // Requests that an earlier fault held do not count: some of several parallel requests may have been held after
        // the test stopped waiting.
        let _ = self.shared.held.notified().now_or_never();
        self.shared.faults.lock().push(Fault { text, action, hits: 0 });
    }

    /// Waits until a request or response has been held since the last fault was added.
    pub async fn wait_until_held(&self) {
        self.shared.held.notified().await;
    }

    /// Removes all faults. Returns the texts of those that no request contained.
    pub fn clear(&self) -> Vec<&'static str> {
        let faults = std::mem::take(&mut *self.shared.faults.lock());
        faults.iter().filter(|fault| fault.hits == 0).map(|fault| fault.text).collect()
    }

    /// Returns and forgets the ids of projects that requests contained.
    pub fn take_project_ids(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.shared.project_ids.lock())
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, shared: Arc<Shared>) {
    // Dropping this task drops the set, which closes every connection.
    let mut connections = JoinSet::new();
    loop {
        // The test fails after an error, such as too many open files, because it would look like a store that is down.
        let (client, _) = listener.accept().await.expect("a connection should be accepted");
        let shared = shared.clone();
        connections.spawn(async move {
            let server = TcpStream::connect(target).await.expect("the server");
            let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                (client.into_split(), server.into_split());
            let closed = shared.closed.notified();
            // Bytes of responses that are still forwarded.
            let remaining = AtomicUsize::new(usize::MAX);
            // Whether the rest of the response is held, instead of cut.
            let is_paused = AtomicBool::new(false);
            // Forwards requests until a fault ends the connection. Returns the response that is sent instead of the
            // server's.
            let up = async {
                let mut bytes = vec![0; 64 << 10];
                loop {
                    let length = from_client.read(&mut bytes).await.unwrap_or(0);
                    if length == 0 {
                        let _ = to_server.shutdown().await;
                        // The server closes the connection when it has sent its responses.
                        return std::future::pending().await;
                    }
                    shared.note_project_ids(&bytes[..length]);
                    match shared.apply_faults(&mut bytes[..length]) {
                        Some(Action::Hold) => {
                            let released = shared.released.notified();
                            shared.held.notify_one();
                            released.await;
                            return "";
                        }
                        Some(Action::Cut) => return "",
                        Some(Action::Respond(response)) => return response,
                        Some(Action::CutResponse(bytes)) => remaining.store(bytes, Ordering::Relaxed),
                        Some(Action::PauseResponse(bytes)) => {
                            is_paused.store(true, Ordering::Relaxed);
                            remaining.store(bytes, Ordering::Relaxed);
                        }
                        Some(Action::Corrupt) | None => {}
                    }
                    if to_server.write_all(&bytes[..length]).await.is_err() {
                        return "";
                    }
                }
            };
            let down = async {
                let mut bytes = vec![0; 64 << 10];
                loop {
                    let length = from_server.read(&mut bytes).await.unwrap_or(0);
                    let left = remaining.load(Ordering::Relaxed);
                    let forwarded = length.min(left);
                    remaining.store(left - forwarded, Ordering::Relaxed);
                    if length == 0 || to_client.write_all(&bytes[..forwarded]).await.is_err() {
                        return;
                    }
                    if forwarded == length {
                        continue;
                    }
                    if !is_paused.swap(false, Ordering::Relaxed) {
                        return;
                    }
                    let resumed = shared.resumed.notified();
                    shared.held.notify_one();
                    resumed.await;
                    remaining.store(usize::MAX, Ordering::Relaxed);
                    if to_client.write_all(&bytes[forwarded..length]).await.is_err() {
                        return;
                    }
                }
            };
            let response = tokio::select! {
                response = up => response,
                () = down => "",
                () = closed => "",
            };
            let _ = to_client.write_all(response.as_bytes()).await;
            let _ = to_client.shutdown().await;
        });
    }
}

impl Shared {
    /// Counts the hits of faults, and corrupts `bytes`. Returns the action of the last fault whose text is in `bytes`.
    fn apply_faults(&self, bytes: &mut [u8]) -> Option<Action> {
        let mut action = None;
        for fault in self.faults.lock().iter_mut() {
            let text = fault.text.as_bytes();
            let matches: Vec<_> = memchr::memmem::find_iter(bytes, text).collect();
            fault.hits += matches.len();
            if !matches.is_empty() {
                action = Some(fault.action);
            }
            if fault.action == Action::Corrupt {
                for at in matches {
                    bytes[at + text.len() - 1] = b'?';
                }
            }
        }
        action
    }

    fn note_project_ids(&self, bytes: &[u8]) {
        for prefix in ["proj_", "proj-"] {
            for at in memchr::memmem::find_iter(bytes, prefix) {
                let id = bytes.get(at + prefix.len()..at + prefix.len() + PROJECT_ID_LENGTH).unwrap_or_default();
                let is_id = id.first().is_some_and(u8::is_ascii_lowercase)
                    && id.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
                if is_id {
                    self.project_ids.lock().insert(String::from_utf8_lossy(id).into_owned());
                }
            }
        }
    }
}
