//! The open connections: which of them ends when there are too many, or when its client waits too long.
//!
//! The task of a connection records its phase. The accept loop closes connections: a closed one notices through
//! [`Connection::closed`]. A connection whose request has a valid signature is never closed for another one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Maximum number of open connections. Every connection uses a file descriptor.
pub(crate) const MAX_CONNECTIONS: usize = 256;
/// Time within which the head of a request must arrive. It runs from the first byte, or from the start of a new
/// connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for which a connection may wait for its next request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// Time for which a client may read nothing of a response.
const WRITE_TIMEOUT: Duration = Duration::from_secs(120);

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

#[derive(Debug)]
struct State {
    phase: Phase,
    since: Instant,
    /// Whether the signature of the current request is valid.
    is_verified: bool,
    /// Whether a request of this connection had a valid signature.
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

    /// Returns the rank in which a new connection may replace this one, lowest first. Clients that are known to have
    /// the key, such as AtlasHub itself, rank above strangers.
    fn replaceable(&self) -> Option<(u8, Instant)> {
        match self.phase {
            Phase::New | Phase::Idle | Phase::ReadingHead => Some((u8::from(self.is_trusted), self.since)),
            Phase::Serving | Phase::Writing if !self.is_verified => Some((2, self.since)),
            Phase::Serving | Phase::Writing | Phase::Closing => None,
        }
    }

    fn is_expired(&self, now: Instant) -> bool {
        let (since, limit) = match self.phase {
            Phase::New | Phase::ReadingHead => (Some(self.since), HEAD_TIMEOUT),
            Phase::Idle => (Some(self.since), IDLE_TIMEOUT),
            Phase::Serving | Phase::Writing => (self.blocked_since, WRITE_TIMEOUT),
            Phase::Closing => (None, WRITE_TIMEOUT),
        };
        since.is_some_and(|since| now.saturating_duration_since(since) > limit)
    }
}

impl Connection {
    fn new() -> Arc<Self> {
        let state = State {
            phase: Phase::New,
            since: Instant::now(),
            is_verified: false,
            is_trusted: false,
            blocked_since: None,
        };
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
        state.is_verified = false;
        state.enter(Phase::Serving);
    }

    /// Records that the signature of the current request is valid.
    pub(crate) fn verify_request(&self) {
        let mut state = self.state.lock();
        state.is_verified = true;
        state.is_trusted = true;
    }

    /// Records that the response is complete, but perhaps not written.
    pub(crate) fn end_response(&self) {
        self.state.lock().enter(Phase::Writing);
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

    /// Adds a connection. If there are too many, closes one that waits for its client or has no valid signature.
    /// Returns `None` if all others serve requests with valid signatures.
    pub(crate) fn admit(self: &Arc<Self>) -> Option<Admission> {
        let mut open = self.open.lock();
        let active = open.iter().filter(|connection| connection.state.lock().phase != Phase::Closing).count();
        if active >= self.max && !close_one(&open) {
            return None;
        }
        let connection = Connection::new();
        open.push(Arc::clone(&connection));
        Some(Admission { connections: Arc::clone(self), connection })
    }

    /// Closes one connection, so that its file descriptor becomes free.
    pub(crate) fn make_room(&self) {
        close_one(&self.open.lock());
    }

    /// Closes the connections whose clients have waited too long at `now`.
    pub(crate) fn close_expired(&self, now: Instant) {
        for connection in self.open.lock().iter() {
            connection.close_if(|state| state.is_expired(now));
        }
    }
}

fn close_one(open: &[Arc<Connection>]) -> bool {
    loop {
        let candidates = open.iter().filter_map(|connection| {
            let rank = connection.state.lock().replaceable()?;
            Some((rank, connection))
        });
        let Some((rank, connection)) = candidates.min_by_key(|(rank, _)| *rank) else { return false };
        // Its client may have sent a request in the meantime. Then the next one is tried.
        if connection.close_if(|state| state.replaceable() == Some(rank)) {
            return true;
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.connections.open.lock().retain(|connection| !Arc::ptr_eq(connection, &self.connection));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phases(admissions: &[Admission]) -> Vec<Phase> {
        admissions.iter().map(|admission| admission.connection.state.lock().phase).collect()
    }

    fn admit(connections: &Arc<Connections>, count: usize) -> Vec<Admission> {
        (0..count).map(|_| connections.admit().unwrap()).collect()
    }

    fn serve_verified(connection: &Connection) {
        connection.begin_request();
        connection.verify_request();
    }

    #[test]
    fn new_connection_replaces_the_stranger_that_waited_longest() {
        let connections = Connections::new(4);
        let admissions = admit(&connections, 4);
        serve_verified(&admissions[0].connection);
        serve_verified(&admissions[1].connection);
        admissions[1].connection.end_response();
        admissions[1].connection.flushed();
        let newest = connections.admit().unwrap();
        assert_eq!(phases(&admissions), [Phase::Serving, Phase::Idle, Phase::Closing, Phase::New]);
        assert_eq!(newest.connection.state.lock().phase, Phase::New);
    }

    #[test]
    fn unverified_request_is_replaced_after_connections_that_wait() {
        let connections = Connections::new(2);
        let admissions = admit(&connections, 2);
        admissions[0].connection.begin_request();
        admissions[1].connection.received();
        let third = connections.admit().unwrap();
        assert_eq!(phases(&admissions), [Phase::Serving, Phase::Closing]);
        serve_verified(&third.connection);
        let fourth = connections.admit();
        assert!(fourth.is_some());
        assert_eq!(phases(&admissions), [Phase::Closing, Phase::Closing]);
    }

    #[test]
    fn connections_with_verified_requests_are_not_replaced() {
        let connections = Connections::new(2);
        let admissions = admit(&connections, 2);
        admissions.iter().for_each(|admission| serve_verified(&admission.connection));
        assert!(connections.admit().is_none());
        drop(admissions);
        assert!(connections.admit().is_some());
    }

    #[test]
    fn connections_that_wait_expire() {
        let check = |prepare: fn(&Connection), seconds: u64, expected| {
            let connection = Connection::new();
            prepare(&connection);
            let now = Instant::now() + Duration::from_secs(seconds);
            assert_eq!(connection.state.lock().is_expired(now), expected, "{connection:?} {seconds}");
        };
        let respond = |connection: &Connection| {
            serve_verified(connection);
            connection.end_response();
            connection.flushed();
        };
        let block = |connection: &Connection| {
            serve_verified(connection);
            connection.write_blocked();
        };
        check(|_| {}, 9, false);
        check(|_| {}, 11, true);
        check(Connection::received, 11, true);
        check(respond, 74, false);
        check(respond, 76, true);
        check(serve_verified, 100_000, false);
        check(block, 119, false);
        check(block, 121, true);
    }

    #[test]
    fn closed_connection_serves_nothing() {
        let connections = Connections::new(1);
        let first = connections.admit().unwrap();
        let _second = connections.admit().unwrap();
        first.connection.begin_request();
        assert_eq!(first.connection.state.lock().phase, Phase::Closing);
    }
}
