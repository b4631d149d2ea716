//! A wire to the store, or to Postgres, that a test can cut: refused, or connected and silent.

use std::{io, net::SocketAddr, sync::Mutex};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use super::Store;

/// Forwards a port of its own to a server.
pub struct Proxy {
    address: SocketAddr,
    target: SocketAddr,
    accepting: Mutex<Option<JoinHandle<()>>>,
    hushed: watch::Sender<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Forward,
    /// Takes connections and never answers, like a machine that hangs.
    Silent,
}

impl Proxy {
    /// A wire to the shared store.
    pub async fn start() -> Self {
        Self::start_to(Store::shared().endpoint.trim_start_matches("http://").parse().expect("an address")).await
    }

    pub async fn start_to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
        let address = listener.local_addr().expect("address");
        let hushed = watch::Sender::new(false);
        let accepting = tokio::spawn(accept(listener, target, Mode::Forward, hushed.subscribe()));
        Self { address, target, accepting: Mutex::new(Some(accepting)), hushed }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends every connection and refuses new ones.
    pub async fn cut(&self) {
        let task = self.accepting.lock().expect("lock").take();
        if let Some(task) = task {
            task.abort();
            // The port is free once the task is gone.
            let _ = task.await;
        }
    }

    /// Ends every connection; new ones are taken and never answered.
    pub async fn silence(&self) {
        self.switch(Mode::Silent).await;
    }

    /// Connections stay open, old ones and new ones, and nothing comes through any more, either way.
    pub fn hush(&self) {
        self.hushed.send_replace(true);
    }

    /// Ends what was silent, and forwards again.
    pub async fn mend(&self) {
        self.switch(Mode::Forward).await;
    }

    async fn switch(&self, mode: Mode) {
        self.cut().await;
        let socket = tokio::net::TcpSocket::new_v4().expect("socket");
        socket.set_reuseaddr(true).expect("reuse");
        socket.bind(self.address).expect("the same port");
        let listener = socket.listen(64).expect("listens");
        self.hushed.send_replace(false);
        let accepting = tokio::spawn(accept(listener, self.target, mode, self.hushed.subscribe()));
        *self.accepting.lock().expect("lock") = Some(accepting);
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, mode: Mode, hushed: watch::Receiver<bool>) {
    // Dropped, and so ended, with this task.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let hushed = hushed.clone();
        connections.spawn(async move {
            if mode == Mode::Silent {
                std::future::pending::<()>().await;
            }
            let server = TcpStream::connect(target).await.expect("the server");
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            let (up, down) = (pass(from_client, to_server, hushed.clone()), pass(from_server, to_client, hushed));
            let _ = tokio::join!(up, down);
        });
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut hushed: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut bytes = vec![0; 16 << 10];
    loop {
        let read = from.read(&mut bytes).await?;
        let _ = hushed.wait_for(|hushed| !hushed).await;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&bytes[..read]).await?;
    }
}
