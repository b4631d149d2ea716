//! A TCP proxy to the store or to Postgres that simulates outages.

use std::{io, net::SocketAddr};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use super::Store;

/// A proxy that forwards connections on its own port to a server.
pub struct Proxy {
    address: SocketAddr,
    target: SocketAddr,
    listener: Mutex<Option<JoinHandle<()>>>,
    stalled: watch::Sender<bool>,
    cut: watch::Sender<Option<&'static str>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Forward,
    /// Accepts connections and never responds, like a machine that hangs.
    Silent,
}

impl Proxy {
    /// Starts a proxy to the shared store.
    pub async fn start() -> Self {
        Self::start_to(Store::shared().endpoint.trim_start_matches("http://").parse().expect("an address")).await
    }

    pub async fn start_to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
        let address = listener.local_addr().expect("address");
        let stalled = watch::Sender::new(false);
        let cut = watch::Sender::new(None);
        let task = tokio::spawn(accept(listener, target, Mode::Forward, stalled.subscribe(), cut.subscribe()));
        Self { address, target, listener: Mutex::new(Some(task)), stalled, cut }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Closes every connection and refuses new ones.
    pub async fn disconnect(&self) {
        let task = self.listener.lock().take();
        if let Some(task) = task {
            task.abort();
            // The port is free once the task has ended.
            let _ = task.await;
        }
    }

    /// Closes every connection. Accepts new ones and never responds to them.
    pub async fn accept_silently(&self) {
        self.restart(Mode::Silent).await;
    }

    /// Keeps existing and new connections open, but forwards nothing in either direction.
    pub fn stall(&self) {
        self.stalled.send_replace(true);
    }

    /// Closes each connection whose client sends this text, and does not forward the text.
    pub fn cut_at(&self, text: &'static str) {
        self.cut.send_replace(Some(text));
    }

    /// Closes every connection, and forwards new ones again.
    pub async fn restore(&self) {
        self.restart(Mode::Forward).await;
    }

    async fn restart(&self, mode: Mode) {
        self.disconnect().await;
        let socket = tokio::net::TcpSocket::new_v4().expect("socket");
        socket.set_reuseaddr(true).expect("reuse");
        socket.bind(self.address).expect("the same port");
        let listener = socket.listen(64).expect("listens");
        self.stalled.send_replace(false);
        let task = tokio::spawn(accept(listener, self.target, mode, self.stalled.subscribe(), self.cut.subscribe()));
        *self.listener.lock() = Some(task);
    }
}

async fn accept(
    listener: TcpListener,
    target: SocketAddr,
    mode: Mode,
    stalled: watch::Receiver<bool>,
    cut: watch::Receiver<Option<&'static str>>,
) {
    // Connections end when this task is dropped.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let (stalled, cut) = (stalled.clone(), cut.clone());
        connections.spawn(async move {
            if mode == Mode::Silent {
                std::future::pending::<()>().await;
            }
            let server = TcpStream::connect(target).await.expect("the server");
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            let (up, down) = (
                forward(from_client, to_server, stalled.clone(), Some(cut)),
                forward(from_server, to_client, stalled, None),
            );
            let _ = tokio::join!(up, down);
        });
    }
}

async fn forward(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut stalled: watch::Receiver<bool>,
    cut: Option<watch::Receiver<Option<&'static str>>>,
) -> io::Result<()> {
    let mut bytes = vec![0; 16 << 10];
    loop {
        let read = from.read(&mut bytes).await?;
        let _ = stalled.wait_for(|stalled| !stalled).await;
        if read == 0 {
            return to.shutdown().await;
        }
        let text = cut.as_ref().and_then(|cut| *cut.borrow());
        if text.is_some_and(|text| bytes[..read].windows(text.len()).any(|part| part == text.as_bytes())) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        to.write_all(&bytes[..read]).await?;
    }
}
