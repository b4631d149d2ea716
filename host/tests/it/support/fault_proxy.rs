//! A TCP proxy in front of Postgres or the store that breaks or holds chosen requests. The server behind it is real,
//! and so are its errors.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::{JoinHandle, JoinSet},
};

const PROJECT_ID_LENGTH: usize = 16;

/// Forwards a port of its own to a server. Dropping it closes its connections.
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
}

#[derive(Clone)]
struct Fault {
    text: &'static str,
    action: Action,
    hits: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    /// Replaces the last character of the text with `?`, which makes SQL a syntax error and changes the path of a
    /// signed request.
    Corrupt,
    /// Forwards nothing more on this connection.
    Hold,
}

impl FaultProxy {
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
        let address = listener.local_addr().expect("address");
        let shared = Arc::new(Shared::default());
        let accepting = tokio::spawn(accept(listener, target, shared.clone()));
        Self { address, shared, accepting }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes requests that contain the text fail at the server.
    pub fn corrupt(&self, text: &'static str) {
        self.shared.faults.lock().push(Fault { text, action: Action::Corrupt, hits: 0 });
    }

    /// Holds requests that contain the text.
    pub fn hold(&self, text: &'static str) {
        self.shared.faults.lock().push(Fault { text, action: Action::Hold, hits: 0 });
    }

    /// Waits until a request is held.
    pub async fn wait_until_held(&self) {
        self.shared.held.notified().await;
    }

    /// Removes all faults. Returns the texts that no request contained.
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
    // Dropped with this task, which closes every connection.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let shared = shared.clone();
        connections.spawn(async move {
            let server = TcpStream::connect(target).await.expect("the server");
            let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                (client.into_split(), server.into_split());
            let up = async {
                let mut bytes = vec![0; 64 << 10];
                loop {
                    let length = from_client.read(&mut bytes).await.unwrap_or(0);
                    if length == 0 {
                        return to_server.shutdown().await;
                    }
                    shared.note_project_ids(&bytes[..length]);
                    if shared.apply_faults(&mut bytes[..length]) {
                        shared.held.notify_one();
                        std::future::pending::<()>().await;
                    }
                    to_server.write_all(&bytes[..length]).await?;
                }
            };
            let down = async {
                let copied = tokio::io::copy(&mut from_server, &mut to_client).await;
                let _ = to_client.shutdown().await;
                copied
            };
            let _ = tokio::join!(up, down);
        });
    }
}

impl Shared {
    /// Returns whether the bytes are to be held.
    fn apply_faults(&self, bytes: &mut [u8]) -> bool {
        let mut hold = false;
        for fault in self.faults.lock().iter_mut() {
            let text = fault.text.as_bytes();
            let matches: Vec<_> = memchr::memmem::find_iter(bytes, text).collect();
            fault.hits += matches.len();
            for at in matches {
                match fault.action {
                    Action::Corrupt => bytes[at + text.len() - 1] = b'?',
                    Action::Hold => hold = true,
                }
            }
        }
        hold
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
