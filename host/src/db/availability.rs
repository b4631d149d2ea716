//! Detects that Postgres does not respond, so that requests fail at once and connections that wait are closed.

use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::{
    DbError, ServerAddress,
    connect::{Login, LoginError},
    driver::ConnectionDriver,
};
use crate::{
    config::Secret,
    error::{ApiError, describe_cause},
};

/// Time between two heartbeats.
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(500);
/// Time after which a heartbeat without a response means that the session or the server does not respond.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(2);
/// Time between two attempts to reach a server that does not respond.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// Time between two attempts to log in to a server that responds, but refuses the login.
const REFUSED_INTERVAL: Duration = Duration::from_secs(1);

/// Reports whether the Postgres server responds, as observed by one session of this process.
///
/// While the server does not respond, requests fail at once instead of each waiting for a timeout of its own, and
/// connections that wait for a response are closed. Clones share the state. The session ends when the last clone is
/// dropped.
#[derive(Clone)]
pub struct Availability {
    down: watch::Receiver<bool>,
    stopped: CancellationToken,
}

/// The error that the server does not respond.
#[derive(Debug, thiserror::Error)]
#[error("Postgres does not respond")]
pub struct ServerDown;

impl Availability {
    /// Starts to watch the server, over a session of the platform's role.
    ///
    /// # Errors
    /// Fails if the URL is invalid, or if its root certificates can't be loaded.
    ///
    /// # Panics
    /// Panics outside of a tokio runtime.
    pub fn watch(database_url: &Secret) -> anyhow::Result<Self> {
        let server = ServerAddress::from_url(database_url.expose())?;
        let login = Login::from_url(database_url)?;
        let (sender, down) = watch::channel(false);
        let stopped = CancellationToken::new();
        let availability = Self { down, stopped: stopped.clone() };
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = stopped.cancelled() => {}
                () = sender.closed() => {}
                () = watch_server(&server, &login, &sender) => {}
            }
        });
        Ok(availability)
    }

    /// Stops watching, because the process ends. The end of the server is then neither noticed nor logged.
    pub fn stop(&self) {
        self.stopped.cancel();
    }

    /// Checks whether the server responds.
    ///
    /// # Errors
    /// Fails while the server does not respond.
    pub fn check(&self) -> Result<(), ServerDown> {
        if *self.down.borrow() { Err(ServerDown) } else { Ok(()) }
    }

    /// Runs `work`, or drops it as soon as the server does not respond.
    ///
    /// # Errors
    /// Fails if the server does not respond, or stops responding before `work` ends.
    pub async fn guard<T>(&self, work: impl Future<Output = T>) -> Result<T, ServerDown> {
        tokio::select! {
            biased;
            () = self.wait_until_down() => Err(ServerDown),
            output = work => Ok(output),
        }
    }

    /// Returns once the server does not respond. Never returns after [`Self::stop`], unless the server was down then.
    pub(super) async fn wait_until_down(&self) {
        let mut down = self.down.clone();
        if down.wait_for(|down| *down).await.is_err() {
            // The watching task has ended, because the process is shutting down.
            std::future::pending::<()>().await;
        }
    }
}

impl From<ServerDown> for ApiError {
    fn from(down: ServerDown) -> Self {
        Self::unavailable("Postgres", down)
    }
}

impl From<ServerDown> for DbError {
    fn from(down: ServerDown) -> Self {
        Self::Unreachable(down.into())
    }
}

async fn watch_server(server: &ServerAddress, login: &Login, down: &watch::Sender<bool>) {
    loop {
        let (on_end, ended) = oneshot::channel();
        let driver = ConnectionDriver { on_end: Some(on_end), ..ConnectionDriver::default() };
        match server.log_in(login, "", driver).await {
            Ok(session) => {
                set_down(down, None);
                tokio::select! {
                    () = beat(&session) => {}
                    // The sender is dropped when the connection is closed.
                    _ = ended => {}
                }
                // The next attempt to log in shows whether the server is down or only this session has ended.
                drop(session);
            }
            Err((error, _)) if error.is_server_down() => {
                set_down(down, Some(&error));
                tokio::time::sleep(RETRY_INTERVAL).await;
            }
            Err(_) => {
                set_down(down, None);
                tokio::time::sleep(REFUSED_INTERVAL).await;
            }
        }
    }
}

/// Sends heartbeats until one fails or receives no response in time.
async fn beat(session: &tokio_postgres::Client) {
    loop {
        tokio::time::sleep(HEARTBEAT_INTERVAL).await;
        match tokio::time::timeout(HEARTBEAT_TIMEOUT, session.simple_query("")).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

fn set_down(down: &watch::Sender<bool>, cause: Option<&LoginError>) {
    let changed = down.send_if_modified(|current| std::mem::replace(current, cause.is_some()) != cause.is_some());
    match cause {
        Some(cause) if changed => {
            tracing::error!(
                cause = describe_cause(cause),
                "Postgres does not respond; requests return 503 until it does"
            );
        }
        None if changed => tracing::info!("Postgres responds again"),
        _ => {}
    }
}
