//! The accept loop of a listener, and the task that serves a connection.

use std::{
    io,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    ListenerLimits, MAX_HEAD_BYTES,
    io::{ConnectionIo, Refused},
    refusal,
    registry::{Registration, Registry},
    service::connection_service,
    state::{CloseReason, Phase},
};
use crate::error::{ApiError, Code};

const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// Pause after a failed `accept`, most likely because too many files are open.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);
const ACCEPT_LOG_INTERVAL: Duration = Duration::from_secs(10);
/// Time for a client to read the last response and to close. Closing at once, with bytes of the client unread, would
/// reset the connection, and the client might lose the response.
const LINGER_TIMEOUT: Duration = Duration::from_secs(5);
const SHUTDOWN_LINGER_TIMEOUT: Duration = Duration::from_millis(250);
/// Maximum number of connections above the limit that receive an error response at the same time. Further ones are only
/// closed.
const MAX_LINGERING_REFUSALS: usize = 16;

/// Accepts connections and serves them until `stop`. Returns when all connections have ended: those without a request
/// at once, the others after their response.
pub async fn serve_connections(listener: TcpListener, router: Router, limits: ListenerLimits, stop: CancellationToken) {
    let registry = Registry::new(limits);
    let refusals = Arc::new(Semaphore::new(MAX_LINGERING_REFUSALS));
    let server = Server { registry, router, tasks: TaskTracker::new(), refusals };
    let mut sweeps = interval(SWEEP_INTERVAL);
    sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failure_log = FailureLog::default();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = sweeps.tick() => server.registry.sweep(),
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => server.admit(stream, peer),
                Err(error) if is_of_the_client(&error) => {}
                Err(error) => {
                    failure_log.log(server.registry.limits().name, &error);
                    server.registry.close_longest_waiting();
                    sleep(ACCEPT_RETRY_DELAY).await;
                }
            },
        }
    }
    drop(listener);
    server.registry.shut_down();
    server.tasks.close();
    loop {
        tokio::select! {
            () = server.tasks.wait() => return,
            _ = sweeps.tick() => server.registry.sweep(),
        }
    }
}

/// Returns whether the error concerns only one connection, which its client has ended.
fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

struct Server {
    registry: Arc<Registry>,
    router: Router,
    tasks: TaskTracker,
    refusals: Arc<Semaphore>,
}

impl Server {
    fn admit(&self, stream: TcpStream, peer: SocketAddr) {
        // Responses are written as a whole, so waiting to fill a packet would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set on a connection");
        }
        match self.registry.register() {
            Some(registration) => {
                self.tasks.spawn(serve_connection(stream, peer, registration, self.router.clone()));
            }
            None => self.refuse(stream),
        }
    }

    /// Refuses a connection above the limit: responds with 503, or only closes the connection if too many other refused
    /// clients are still reading their response.
    fn refuse(&self, mut stream: TcpStream) {
        let Ok(permit) = self.refusals.clone().try_acquire_owned() else { return };
        let name = self.registry.limits().name;
        self.tasks.spawn(async move {
            let error = ApiError::new(Code::Overloaded, "The server has too many connections, all with requests.")
                .with_hint("Try again in a moment.");
            let response = refusal::render(&error, name);
            // `try_write` would fail until the runtime has noticed that the new socket is writable.
            if let Ok(Ok(())) = timeout(LINGER_TIMEOUT, stream.write_all(&response)).await {
                drain(&mut stream, LINGER_TIMEOUT).await;
            }
            drop(permit);
        });
    }
}

async fn serve_connection(stream: TcpStream, peer: SocketAddr, registration: Registration, router: Router) {
    let state = &registration.state;
    let mut io = TokioIo::new(ConnectionIo::new(stream, state.clone()));
    let ended = {
        let service = connection_service(router, peer, state.clone());
        let mut http = http1::Builder::new();
        // The buffer also bounds what is held of a streamed response.
        http.max_header_size(MAX_HEAD_BYTES).max_buf_size(MAX_HEAD_BYTES);
        let mut connection = pin!(http.serve_connection(&mut io, service));
        loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => break Some(ended),
                () = state.signalled() => {
                    if state.is_closed_by_registry() {
                        break None;
                    }
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    };
    let mut io = io.into_inner();
    match ended {
        None => close(&mut io, &registration).await,
        Some(ended) => {
            if let Err(error) = &ended {
                tracing::debug!(%error, "connection ended with an error");
            }
            state.enter(Phase::Lingering);
            if let Some(refusal) = ended.err().and_then(|error| malformed(&io, &error)) {
                state.set_reason(CloseReason::Malformed);
                let response = refusal::render(&refusal, registration.limits().name);
                // Earlier responses that the client does not read may fill the socket.
                drop(timeout(LINGER_TIMEOUT, io.stream.write_all(&response)).await);
            }
            linger(&mut io.stream, &registration).await;
        }
    }
}

/// Ends a connection that the registry closed. A client that has sent a part of a head receives an error response. The
/// connection of a client that reads nothing is reset.
async fn close(io: &mut ConnectionIo, registration: &Registration) {
    match registration.state.reason() {
        CloseReason::HeaderTimeout if io.has_read() => {
            let timeout = registration.limits().head_timeout.as_secs();
            let error = ApiError::new(
                Code::RequestTimeout,
                format!("The headers of the request did not arrive within {timeout} seconds."),
            );
            if io.stream.try_write(&refusal::render(&error, registration.limits().name)).is_ok() {
                drain(&mut io.stream, SHUTDOWN_LINGER_TIMEOUT).await;
            }
        }
        CloseReason::WriteTimeout => {
            // Without this, the system would keep the unread response, and try to send it for many minutes.
            if let Err(error) = io.stream.set_zero_linger() {
                tracing::debug!(%error, "a connection could not be reset");
            }
        }
        _ => {}
    }
}

/// Returns the error for a request that hyper rejected: malformed, too large, or not HTTP/1.1.
fn malformed(io: &ConnectionIo, error: &hyper::Error) -> Option<ApiError> {
    if error.is_parse_version_h2() {
        return Some(
            ApiError::new(Code::HttpVersionNotSupported, "This listener speaks HTTP/1.1, not HTTP/2.")
                .with_hint("Use HTTP/1.1, or connect through a proxy that translates."),
        );
    }
    Some(match io.refused()? {
        Refused::UrlTooLong => {
            ApiError::new(Code::UrlTooLong, "The URL is too long: URL and headers can have at most 64 KiB together.")
                .with_hint("Send fewer or shorter parameters, or several requests.")
        }
        Refused::HeadTooLarge => ApiError::new(
            Code::HeadersTooLarge,
            "The headers are too large: a request can have at most 100 headers, and 64 KiB of URL and headers.",
        )
        .with_hint("Send fewer or shorter headers."),
        Refused::Malformed => {
            let refusal = ApiError::invalid(format!("The request is not valid HTTP/1.1: {error}."));
            // hyper names the part of the request only in its message.
            if error.to_string().contains("URI") {
                refusal.with_hint("Percent-encode characters such as `\"` and `{` in the URL: `%22` and `%7B`.")
            } else {
                refusal
            }
        }
    })
}

/// Lets the client read the last response, until a new connection needs its slot.
async fn linger(stream: &mut TcpStream, registration: &Registration) {
    let state = &registration.state;
    let limit = if state.is_shutting_down() { SHUTDOWN_LINGER_TIMEOUT } else { LINGER_TIMEOUT };
    let mut drained = pin!(drain(stream, limit));
    tokio::select! {
        biased;
        () = drained.as_mut() => {}
        () = state.signalled() => {
            // A shutdown only shortens the wait.
            if !state.is_closed_by_registry() {
                drop(timeout(SHUTDOWN_LINGER_TIMEOUT, drained.as_mut()).await);
            }
        }
    }
}

/// Sends the end of the stream, then reads and discards until the client closes, at most for `limit`.
async fn drain(stream: &mut TcpStream, limit: Duration) {
    let reading = async {
        stream.shutdown().await?;
        let mut buffer = vec![0; 16 * 1024];
        while stream.read(&mut buffer).await? > 0 {}
        io::Result::Ok(())
    };
    drop(timeout(limit, reading).await);
}

/// Logs failures to accept connections, at most every [`ACCEPT_LOG_INTERVAL`].
#[derive(Default)]
struct FailureLog {
    logged_at: Option<Instant>,
    suppressed: u64,
}

impl FailureLog {
    fn log(&mut self, listener: &'static str, error: &io::Error) {
        if self.logged_at.is_some_and(|at| at.elapsed() < ACCEPT_LOG_INTERVAL) {
            self.suppressed += 1;
            return;
        }
        tracing::error!(listener, %error, suppressed = self.suppressed,
            "could not accept a connection; closing one that waits, if any, and trying again");
        *self = Self { logged_at: Some(Instant::now()), suppressed: 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ConnectionsConfig, Vars};

    #[tokio::test]
    async fn connection_that_is_refused_at_once_receives_the_error_response() {
        let config = ConnectionsConfig::from_vars(&Vars::default()).unwrap();
        let server = Server {
            registry: Registry::new(ListenerLimits::public(&config)),
            router: Router::new(),
            tasks: TaskTracker::new(),
            refusals: Arc::new(Semaphore::new(1)),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        server.refuse(stream);
        let mut response = String::new();
        client.read_to_string(&mut response).await.unwrap();
        assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
    }
}
