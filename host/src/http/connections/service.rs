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

/// Time for which a response waits until an unused body has arrived. Clients often send it right after the head.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(250);

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
            if let Some(body) = body
                && !body.is_read()
                && !body.drain().await
            {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
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
    let body = SharedBody { incoming: Arc::new(Mutex::new(incoming)), can_drain };
    (Request::from_parts(parts, Body::new(body.clone())), Some(body))
}

/// The body of a request.
#[derive(Clone)]
struct SharedBody {
    incoming: Arc<Mutex<Incoming>>,
    /// Whether the rest of the body is worth receiving, to keep the connection open.
    can_drain: bool,
}

impl SharedBody {
    fn is_read(&self) -> bool {
        self.incoming.lock().is_end_stream()
    }

    /// Receives and discards the rest of the body, if that is worth it. Returns whether it was read completely.
    async fn drain(mut self) -> bool {
        if !self.can_drain {
            return false;
        }
        let rest = poll_fn(|context| {
            while let Some(frame) = ready!(Pin::new(&mut self).poll_frame(context)) {
                if frame.is_err() {
                    return Poll::Ready(false);
                }
            }
            Poll::Ready(true)
        });
        timeout(DRAIN_TIMEOUT, rest).await.unwrap_or(false)
    }
}

impl http_body::Body for SharedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut *self.incoming.lock()).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.lock().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.lock().size_hint()
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
