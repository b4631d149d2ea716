//! The hyper service of a connection: passes requests to the router, and keeps track of their bodies and responses.

use std::{
    any::Any,
    fmt,
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::ConnectInfo,
    http::{HeaderValue, Request, Response, header},
};
use http_body::{Body as _, Frame, SizeHint};
use hyper::{body::Incoming, service::Service};
use parking_lot::Mutex;
use tokio::time::timeout;
use tower::Service as _;

use super::state::{ConnectionState, Phase};

/// Size up to which an unused body is received and discarded, so that the connection stays open.
const MAX_DRAINED_BYTES: u64 = 8 * 1024;

/// Time for which an unused body is received. Clients often send it right after the head.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Extension of a response: a value that is dropped once the response has been written, or its connection is closed.
#[derive(Clone)]
pub struct HeldUntilWritten(Arc<dyn Any + Send + Sync>);

impl HeldUntilWritten {
    pub fn new(value: impl Any + Send + Sync) -> Self {
        Self(Arc::new(value))
    }
}

impl fmt::Debug for HeldUntilWritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeldUntilWritten")
    }
}

/// Returns the service that hyper calls for each request of a connection.
pub(super) fn connection_service(
    router: Router,
    peer: SocketAddr,
    state: Arc<ConnectionState>,
) -> impl Service<Request<Incoming>, Response = Response<TrackedBody>, Error = io::Error, Future: Send> {
    hyper::service::service_fn(move |request: Request<Incoming>| {
        // False if the registry has just closed the connection. The client then receives no response.
        let is_open = state.enter(Phase::Serving);
        let (mut request, body) = share_body(request);
        request.extensions_mut().insert(ConnectInfo(peer));
        let responding = router.clone().call(request);
        let state = state.clone();
        async move {
            if !is_open {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            let mut response = responding.await.unwrap_or_else(|never| match never {});
            match body.filter(|body| !body.is_read()) {
                // The response is sent meanwhile.
                Some(body) if body.can_drain => drop(tokio::spawn(body.drain())),
                Some(_) => _ = response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close")),
                None => {}
            }
            if let Some(HeldUntilWritten(value)) = response.extensions_mut().remove() {
                state.hold(value);
            }
            Ok::<Response<TrackedBody>, io::Error>(response.map(|inner| TrackedBody { inner, state }))
        }
    })
}

/// Shares the body of a request with its response, unless it is empty. hyper closes the connection after the response
/// if the body was not read completely, and the response should announce that.
fn share_body(request: Request<Incoming>) -> (Request<Body>, Option<SharedBody>) {
    if request.body().is_end_stream() {
        return (request.map(Body::new), None);
    }
    let (parts, incoming) = request.into_parts();
    let is_small = incoming.size_hint().upper().is_some_and(|size| size <= MAX_DRAINED_BYTES);
    // A client that expects `100 Continue` sends no body after a refusal.
    let can_drain = is_small && !parts.headers.contains_key(header::EXPECT);
    let state = BodyState { incoming, has_ended: false };
    let body = SharedBody { state: Arc::new(Mutex::new(state)), can_drain };
    (Request::from_parts(parts, Body::new(body.clone())), Some(body))
}

/// The body of a request.
#[derive(Clone)]
struct SharedBody {
    state: Arc<Mutex<BodyState>>,
    /// Whether the rest of the body is worth receiving, to keep the connection open.
    can_drain: bool,
}

struct BodyState {
    incoming: Incoming,
    /// Whether the end was read. `Incoming` does not remember the end of a chunked body.
    has_ended: bool,
}

impl SharedBody {
    fn is_read(&self) -> bool {
        let state = self.state.lock();
        state.has_ended || state.incoming.is_end_stream()
    }

    /// Receives and discards the rest of the body. hyper closes the connection if it does not arrive in time.
    async fn drain(mut self) {
        let rest = poll_fn(|context| {
            while let Some(Ok(_)) = ready!(Pin::new(&mut self).poll_frame(context)) {}
            Poll::Ready(())
        });
        let _ = timeout(DRAIN_TIMEOUT, rest).await;
    }
}

impl http_body::Body for SharedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut state = self.state.lock();
        let frame = ready!(Pin::new(&mut state.incoming).poll_frame(cx));
        state.has_ended |= frame.is_none();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.state.lock().incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.state.lock().incoming.size_hint()
    }
}

/// The body of a response. When hyper drops it, the response is complete and only remains to be written.
pub(super) struct TrackedBody {
    inner: Body,
    state: Arc<ConnectionState>,
}

impl Drop for TrackedBody {
    fn drop(&mut self) {
        self.state.enter(Phase::Writing);
    }
}

impl http_body::Body for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
