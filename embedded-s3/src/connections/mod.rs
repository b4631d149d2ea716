//! The open connections. Closes one of them when there are too many, and those whose clients let the server wait too
//! long.
//!
//! The task of a connection records its phase. The accept loop closes connections: a closed one notices through
//! [`Connection::closed`]. [`Rank`] is the order in which new connections replace open ones.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Time after which a connection without a request counts as waiting.
const ARRIVAL_TIME: Duration = Duration::from_secs(1);

/// Maximum number of open connections. Every connection uses a file descriptor.
pub(crate) const MAX_CONNECTIONS: usize = 256;
/// Time within which the head of a request must arrive. It runs from the first byte, or from the start of a new
/// connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for which a connection may wait for its next request. It is longer than the time for which AtlasHub keeps its
/// unused connections.
const IDLE_TIMEOUT: Duration = Duration::from_secs(150);
/// Time for which a client may read nothing of a response. After this time, a response to a request without a valid
/// signature ends. Other responses do not end, but their connections may be replaced: AtlasHub keeps a list open for
/// minutes while it copies the objects in the list.
const MAX_BLOCKED: Duration = Duration::from_secs(120);
/// Time within which the signature of a request is normally checked.
const CHECK_TIME: Duration = Duration::from_secs(5);
/// One in this many connections is reserved for requests with a signature in their headers. Otherwise, a stranger with
/// one URL could use all connections.
const RESERVED_SHARE: usize = 8;

/// Phases of a connection, in the order in which a request passes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The client has not sent a byte.
    New,
    /// Between two requests.
    Idle,
    /// The client has sent a part of a request's head.
    ReadingHead,
    /// The request is processed, or its response is produced.
    Serving,
    /// The response is complete, but not written completely.
    Writing,
    /// The accept loop has closed the connection.
    Closing,
}

/// The place of a valid signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignedIn {
    /// The client has the key, such as AtlasHub itself.
    Headers,
    /// The client can be anyone who received the URL or the form.
    UrlOrForm,
}

/// The order in which new connections replace open ones: those of the first rank are replaced first. Connections of one
/// rank are replaced in the order of their time, earliest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Waits for a request. Its client is not known to have the key.
    StrangerWaits,
    /// Serves a request that began long ago, but whose signature is still not checked.
    UncheckedForLong,
    /// Was opened or began a request a moment ago. It may be a new connection of AtlasHub, whose request has not
    /// arrived yet.
    StrangerArrives,
    /// Waits for a request. Its client has the key.
    TrustedWaits,
    /// Serves a request that began recently, and whose signature is not checked yet.
    Unchecked,
    /// Serves a request with a signature in its URL or form. The client has read nothing for a long time.
    UrlBlocked,
    /// Serves one of the newest requests with a signature in their URL or form, on a reserved connection.
    UrlOnReserved,
    /// Serves a request with a signature in its headers. The client has read nothing for a long time.
    HeadersBlocked,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Start of the phase. For `Serving` and `Writing`, start of the request.
    since: Instant,
    /// The place of the current request's signature, if it is valid.
    signed_in: Option<SignedIn>,
    /// Whether a request of this connection had a valid signature in its headers.
    is_trusted: bool,
    /// Start of the wait for a client that does not read its response.
    blocked_since: Option<Instant>,
}

/// The state of a connection. Requests have it as an extension.
#[derive(Debug)]
pub(crate) struct Connection {
    state: Mutex<State>,
    closing: Notify,
}

impl State {
    fn enter(&mut self, phase: Phase) {
        if self.phase != Phase::Closing {
            self.phase = phase;
            self.since = Instant::now();
        }
    }

    /// Returns the start of the current request if it has a valid signature in its URL or form.
    fn url_signed_since(&self) -> Option<Instant> {
        let is_served = matches!(self.phase, Phase::Serving | Phase::Writing);
        (is_served && self.signed_in == Some(SignedIn::UrlOrForm)).then_some(self.since)
    }

    /// Returns the rank and the time of this connection, or `None` if it may not be replaced. Requests with a signature
    /// in their URL or form that began at `reserved_from` or later are on reserved connections.
    fn replaceable(&self, now: Instant, reserved_from: Option<Instant>) -> Option<(Rank, Instant)> {
        let is_older = |since: Instant, age: Duration| now.saturating_duration_since(since) > age;
        let blocked = self.blocked_since.filter(|since| is_older(*since, MAX_BLOCKED));
        match (self.phase, self.signed_in) {
            (Phase::New | Phase::Idle | Phase::ReadingHead, _) => {
                let is_waiting = self.phase == Phase::Idle || is_older(self.since, ARRIVAL_TIME);
                let stranger = if is_waiting { Rank::StrangerWaits } else { Rank::StrangerArrives };
                Some((if self.is_trusted { Rank::TrustedWaits } else { stranger }, self.since))
            }
            (Phase::Serving | Phase::Writing, None) => {
                let is_late = is_older(self.since, CHECK_TIME);
                Some((if is_late { Rank::UncheckedForLong } else { Rank::Unchecked }, self.since))
            }
            (Phase::Serving | Phase::Writing, Some(SignedIn::UrlOrForm)) => match blocked {
                Some(since) => Some((Rank::UrlBlocked, since)),
                None => {
                    let is_reserved = reserved_from.is_some_and(|start| self.since >= start);
                    is_reserved.then_some((Rank::UrlOnReserved, self.since))
                }
            },
            (Phase::Serving | Phase::Writing, Some(SignedIn::Headers)) => {
                blocked.map(|since| (Rank::HeadersBlocked, since))
            }
            (Phase::Closing, _) => None,
        }
    }

    fn is_expired(&self, now: Instant) -> bool {
        let (since, limit) = match self.phase {
            Phase::New | Phase::ReadingHead => (Some(self.since), HEAD_TIMEOUT),
            Phase::Idle => (Some(self.since), IDLE_TIMEOUT),
            Phase::Serving | Phase::Writing if self.signed_in.is_none() => (self.blocked_since, MAX_BLOCKED),
            Phase::Serving | Phase::Writing | Phase::Closing => (None, MAX_BLOCKED),
        };
        since.is_some_and(|since| now.saturating_duration_since(since) > limit)
    }
}

impl Connection {
    fn new() -> Arc<Self> {
        let state =
            State { phase: Phase::New, since: Instant::now(), signed_in: None, is_trusted: false, blocked_since: None };
        Arc::new(Self { state: Mutex::new(state), closing: Notify::new() })
    }

    /// Records that bytes arrived.
    pub(crate) fn received(&self) {
        let mut state = self.state.lock();
        match state.phase {
            // The time of a new connection runs from its start.
            Phase::New => state.phase = Phase::ReadingHead,
            Phase::Idle => state.enter(Phase::ReadingHead),
            _ => {}
        }
    }

    /// Records that the head of a request is complete.
    pub(crate) fn begin_request(&self) {
        let mut state = self.state.lock();
        state.signed_in = None;
        state.enter(Phase::Serving);
    }

    /// Records that the signature of the current request is valid.
    pub(crate) fn verify_request(&self, signed_in: SignedIn) {
        let mut state = self.state.lock();
        state.signed_in = Some(signed_in);
        state.is_trusted |= signed_in == SignedIn::Headers;
    }

    /// Records that the response is complete, but perhaps not written.
    pub(crate) fn end_response(&self) {
        let mut state = self.state.lock();
        if state.phase != Phase::Closing {
            state.phase = Phase::Writing;
        }
    }

    /// Records that nothing is left to write.
    pub(crate) fn flushed(&self) {
        let mut state = self.state.lock();
        state.blocked_since = None;
        if state.phase == Phase::Writing {
            state.enter(Phase::Idle);
        }
    }

    /// Records that the client accepted bytes.
    pub(crate) fn wrote(&self) {
        self.state.lock().blocked_since = None;
    }

    /// Records that the client accepts no more bytes at the moment.
    pub(crate) fn write_blocked(&self) {
        self.state.lock().blocked_since.get_or_insert_with(Instant::now);
    }

    /// Waits until the accept loop closes the connection.
    pub(crate) async fn closed(&self) {
        self.closing.notified().await;
    }

    /// Closes the connection if `condition` holds. Returns whether it did.
    fn close_if(&self, condition: impl FnOnce(&State) -> bool) -> bool {
        let mut state = self.state.lock();
        let is_closed = state.phase != Phase::Closing && condition(&state);
        if is_closed {
            state.enter(Phase::Closing);
            self.closing.notify_one();
        }
        is_closed
    }
}

/// All open connections.
#[derive(Debug)]
pub(crate) struct Connections {
    max: usize,
    open: Mutex<Vec<Arc<Connection>>>,
}

/// The entry of a connection. Dropping it removes the connection.
pub(crate) struct Admission {
    connections: Arc<Connections>,
    pub connection: Arc<Connection>,
}

impl Connections {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, open: Mutex::default() })
    }

    /// Adds a connection. If there are too many, closes another one. Returns `None` if no other one may be closed.
    pub(crate) fn admit(self: &Arc<Self>) -> Option<Admission> {
        let mut open = self.open.lock();
        let active = open.iter().filter(|connection| connection.state.lock().phase != Phase::Closing).count();
        if active >= self.max && !self.close_one(&open, |_| true) {
            return None;
        }
        let connection = Connection::new();
        open.push(Arc::clone(&connection));
        Some(Admission { connections: Arc::clone(self), connection })
    }

    /// Closes one connection of a stranger, so that its file descriptor becomes free. The process may have used up its
    /// descriptors for other purposes, so this closes no connection of a client that has the key.
    pub(crate) fn make_room(&self) {
        self.close_one(&self.open.lock(), |rank| rank < Rank::TrustedWaits);
    }

    /// Closes the connections whose clients have let the server wait too long at `now`.
    pub(crate) fn close_expired(&self, now: Instant) {
        for connection in self.open.lock().iter() {
            connection.close_if(|state| state.is_expired(now));
        }
    }

    /// Closes the connection that is the first to be replaced, of those whose rank satisfies the condition. Returns
    /// whether there is one.
    fn close_one(&self, open: &[Arc<Connection>], condition: impl Fn(Rank) -> bool) -> bool {
        let now = Instant::now();
        loop {
            let mut url_signed: Vec<Instant> =
                open.iter().filter_map(|connection| connection.state.lock().url_signed_since()).collect();
            url_signed.sort_unstable();
            let reserved_from = url_signed.get(self.max - self.max / RESERVED_SHARE).copied();
            let candidates = open.iter().filter_map(|connection| {
                let rank = connection.state.lock().replaceable(now, reserved_from)?;
                condition(rank.0).then_some((rank, connection))
            });
            let Some((rank, connection)) = candidates.min_by_key(|(rank, _)| *rank) else { return false };
            // The connection's client may have sent a request in the meantime. Then the next connection is tried.
            if connection.close_if(|state| state.replaceable(now, reserved_from) == Some(rank)) {
                return true;
            }
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.connections.open.lock().retain(|connection| !Arc::ptr_eq(connection, &self.connection));
    }
}

#[cfg(test)]
mod tests;
