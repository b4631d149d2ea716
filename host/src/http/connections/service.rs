//! The hyper service of a connection: passes requests to the router, and keeps track of their bodies and responses.

use std::{
    any::Any,
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::ConnectInfo,
    http::{HeaderValue, Request, Response, header},
};
use http_body::{Body as _, Frame, SizeHint};
use hyper::{body::Incoming, service::Service};
use tower::Service as _;

use super::state::{ConnectionState, Phase};

/// Size up to which hyper reads and discards an unused body that has arrived, and keeps the connection open.
const MAX_DRAINED_BYTES: u64 = 8 * 1024;

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
        let (mut request, unread) = track_large_body(request);
        request.extensions_mut().insert(ConnectInfo(peer));
        let responding = router.clone().call(request);
        let state = state.clone();
        async move {
            if !is_open {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            let mut response = responding.await.unwrap_or_else(|never| match never {});
            if unread.is_some_and(|unread| unread.load(Relaxed)) {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            if let Some(HeldUntilWritten(value)) = response.extensions_mut().remove() {
                state.hold(value);
            }
            Ok::<Response<TrackedBody>, io::Error>(response.map(|inner| TrackedBody { inner, state }))
        }
    })
}

/// Tracks whether a request's body is read completely, unless it is small. hyper closes the connection after the
/// response if the body was not read completely, and the response should announce that.
fn track_large_body(request: Request<Incoming>) -> (Request<Body>, Option<Arc<AtomicBool>>) {
    if request.body().size_hint().upper().is_some_and(|size| size <= MAX_DRAINED_BYTES) {
        return (request.map(Body::new), None);
    }
    let unread = Arc::new(AtomicBool::new(true));
    (request.map(|inner| Body::new(LargeBody { inner, unread: unread.clone() })), Some(unread))
}

/// A request body that records whether it was read completely.
struct LargeBody {
    inner: Incoming,
    unread: Arc<AtomicBool>,
}

impl http_body::Body for LargeBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.inner).poll_frame(cx);
        if matches!(frame, Poll::Ready(None)) || self.inner.is_end_stream() {
            self.unread.store(false, Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
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
