//! A wire to the store, or to Postgres, that a test can cut: refused, or connected and silent.

use std::{net::SocketAddr, sync::Mutex};

use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

use super::Store;

/// Forwards a port of its own to a server.
pub struct Proxy {
    address: SocketAddr,
    target: SocketAddr,
    accepting: Mutex<Option<JoinHandle<()>>>,
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
        let accepting = tokio::spawn(accept(listener, target, Mode::Forward));
        Self { address, target, accepting: Mutex::new(Some(accepting)) }
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

    pub async fn mend(&self) {
        self.switch(Mode::Forward).await;
    }

    async fn switch(&self, mode: Mode) {
        self.cut().await;
        let socket = tokio::net::TcpSocket::new_v4().expect("socket");
        socket.set_reuseaddr(true).expect("reuse");
        socket.bind(self.address).expect("the same port");
        let listener = socket.listen(64).expect("listens");
        *self.accepting.lock().expect("lock") = Some(tokio::spawn(accept(listener, self.target, mode)));
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, mode: Mode) {
    // Dropped, and so ended, with this task.
    let mut connections = JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        connections.spawn(async move {
            if mode == Mode::Silent {
                std::future::pending::<()>().await;
            }
            let mut server = TcpStream::connect(target).await.expect("the server");
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        });
    }
}
