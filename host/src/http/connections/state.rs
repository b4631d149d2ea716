//! The current state of a connection. The task of the connection changes it. The registry reads it, and can close the
//! connection.

use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::ListenerLimits;

/// Phases of a connection, in the order in which a request passes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// The client has not sent a byte.
    New = 0,
    /// Between two requests.
    Idle = 1,
    /// The client has sent a part of a request's head.
    ReadingHead = 2,
    /// The router handles the request, or its response is being produced.
    Serving = 3,
    /// The response is complete, but not written completely.
    Writing = 4,
    /// The last response is written, and the client should close the connection.
    Lingering = 5,
    /// The registry has closed the connection.
    Closing = 6,
}

/// The reason why a connection was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum CloseReason {
    /// Closed by the client, by a shutdown, or after a response that announced the end of the connection.
    Done = 0,
    HeaderTimeout = 1,
    IdleTimeout = 2,
    WriteTimeout = 3,
    /// A new connection replaced it.
    Replaced = 4,
    /// The request was malformed, its head was too large, or it was not HTTP/1.1.
    Malformed = 5,
}

impl CloseReason {
    /// Every reason, in the order of their numbers.
    pub(super) const ALL: [Self; 6] =
        [Self::Done, Self::HeaderTimeout, Self::IdleTimeout, Self::WriteTimeout, Self::Replaced, Self::Malformed];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::HeaderTimeout => "header_timeout",
            Self::IdleTimeout => "idle_timeout",
            Self::WriteTimeout => "write_timeout",
            Self::Replaced => "replaced",
            Self::Malformed => "malformed",
        }
    }
}

/// A clock in milliseconds since the listener started.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    /// Returns the time, at least 1, so that 0 can stand for "never".
    pub(super) fn now(self) -> u64 {
        self.0.elapsed().as_millis() as u64 + 1
    }
}

const PHASE_BITS: u32 = 3;

fn pack(phase: Phase, since: u64) -> u64 {
    since << PHASE_BITS | phase as u64
}

fn unpack(packed: u64) -> (Phase, u64) {
    let phase = match packed & ((1 << PHASE_BITS) - 1) {
        0 => Phase::New,
        1 => Phase::Idle,
        2 => Phase::ReadingHead,
        3 => Phase::Serving,
        4 => Phase::Writing,
        5 => Phase::Lingering,
        _ => Phase::Closing,
    };
    (phase, packed >> PHASE_BITS)
}

pub(super) struct ConnectionState {
    pub(super) id: u64,
    clock: Clock,
    /// Phase and its start, in one value, so that the registry can close a connection only if it still waits.
    phase: AtomicU64,
    /// Time when writing began to wait for the client; 0 if it is not waiting.
    blocked_since: AtomicU64,
    /// Time when the client last accepted bytes while writing waited.
    progress_at: AtomicU64,
    /// Bytes written since `blocked_since`.
    written: AtomicU64,
    /// Whether a value is held until the response is written. If so, the request counts in a share of `http::limits`.
    holds: AtomicBool,
    held: Mutex<Option<Arc<dyn Any + Send + Sync>>>,
    close_reason: AtomicU8,
    shutting_down: AtomicBool,
    signal: Notify,
}

impl ConnectionState {
    pub(super) fn new(id: u64, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            id,
            clock,
            phase: AtomicU64::new(pack(Phase::New, clock.now())),
            blocked_since: AtomicU64::new(0),
            progress_at: AtomicU64::new(0),
            written: AtomicU64::new(0),
            holds: AtomicBool::new(false),
            held: Mutex::new(None),
            close_reason: AtomicU8::new(CloseReason::Done as u8),
            shutting_down: AtomicBool::new(false),
            signal: Notify::new(),
        })
    }

    pub(super) fn phase(&self) -> Phase {
        unpack(self.phase.load(Relaxed)).0
    }

    /// Changes the phase, unless the connection is closing. Returns whether it changed.
    pub(super) fn enter(&self, phase: Phase) -> bool {
        // The start of these two phases is never read.
        let since = if matches!(phase, Phase::Serving | Phase::Writing) { 0 } else { self.clock.now() };
        let next = pack(phase, since);
        let change = |current| (unpack(current).0 != Phase::Closing).then_some(next);
        self.phase.fetch_update(Relaxed, Relaxed, change).is_ok()
    }

    /// Records that the client sent bytes. Returns whether a head begins with them.
    pub(super) fn received(&self) -> bool {
        // Loaded once, so that a connection that the registry closes in this moment keeps its phase.
        let (phase, since) = unpack(self.phase.load(Relaxed));
        matches!(phase, Phase::New | Phase::Idle) && {
            // A new connection's time runs from its start.
            let since = if phase == Phase::New { since } else { self.clock.now() };
            let next = pack(Phase::ReadingHead, since);
            self.phase.fetch_update(Relaxed, Relaxed, |now| (unpack(now).0 == phase).then_some(next)).is_ok()
        }
    }

    /// Records that the client accepts no more bytes at the moment.
    pub(super) fn write_blocked(&self) {
        if self.blocked_since.load(Relaxed) == 0 {
            let now = self.clock.now();
            self.written.store(0, Relaxed);
            self.progress_at.store(now, Relaxed);
            self.blocked_since.store(now, Relaxed);
        }
    }

    /// Records that the client accepted bytes.
    pub(super) fn wrote(&self, bytes: usize) {
        if self.blocked_since.load(Relaxed) != 0 {
            self.progress_at.store(self.clock.now(), Relaxed);
            self.written.fetch_add(bytes as u64, Relaxed);
        }
    }

    /// Records that hyper has nothing left to write. Returns whether that ends a response.
    pub(super) fn flushed(&self) -> bool {
        if self.blocked_since.load(Relaxed) != 0 {
            self.blocked_since.store(0, Relaxed);
        }
        let ends_response = self.phase() == Phase::Writing;
        if ends_response {
            self.enter(Phase::Idle);
            self.release();
        }
        ends_response
    }

    /// Keeps a value until the current response is written.
    pub(super) fn hold(&self, value: Arc<dyn Any + Send + Sync>) {
        *self.held.lock() = Some(value);
        self.holds.store(true, Relaxed);
    }

    pub(super) fn release(&self) {
        if self.holds.swap(false, Relaxed) {
            drop(self.held.lock().take());
        }
    }

    /// Returns the time since which the connection waits for the client, if a new connection may replace it. A client
    /// that reads nothing of a response counts as waiting if the response holds no value.
    pub(super) fn replaceable_since(&self) -> Option<u64> {
        let (phase, since) = unpack(self.phase.load(Relaxed));
        match phase {
            Phase::New | Phase::Idle | Phase::ReadingHead | Phase::Lingering => Some(since),
            Phase::Writing if !self.holds.load(Relaxed) => {
                Some(self.blocked_since.load(Relaxed)).filter(|since| *since != 0)
            }
            Phase::Serving | Phase::Writing | Phase::Closing => None,
        }
    }

    /// Returns the reason why the connection must be closed now, if it must.
    pub(super) fn expired(&self, now: u64, limits: &ListenerLimits) -> Option<CloseReason> {
        let elapsed = |since: u64| Duration::from_millis(now.saturating_sub(since));
        let blocked_since = self.blocked_since.load(Relaxed);
        if blocked_since != 0 {
            let written = Duration::from_millis(self.written.load(Relaxed) * 1000 / limits.min_bytes_per_second);
            let stalled = elapsed(self.progress_at.load(Relaxed)) > limits.write_timeout;
            let slow = elapsed(blocked_since) > limits.write_timeout + written;
            return (stalled || slow).then_some(CloseReason::WriteTimeout);
        }
        let (phase, since) = unpack(self.phase.load(Relaxed));
        match phase {
            Phase::New | Phase::ReadingHead if elapsed(since) > limits.head_timeout => Some(CloseReason::HeaderTimeout),
            Phase::Idle if elapsed(since) > limits.idle_timeout => Some(CloseReason::IdleTimeout),
            _ => None,
        }
    }

    /// Closes the connection. Does nothing if it is already closing, or if it serves a request and `reason` is not
    /// [`CloseReason::WriteTimeout`]. Returns whether this call closed the connection.
    pub(super) fn close(&self, reason: CloseReason) -> bool {
        let closing = pack(Phase::Closing, 0);
        let may_close = |packed: u64| match unpack(packed).0 {
            Phase::Closing => None,
            Phase::Serving if reason != CloseReason::WriteTimeout => None,
            _ => Some(closing),
        };
        let closed = self.phase.fetch_update(Relaxed, Relaxed, may_close).is_ok();
        if closed {
            self.set_reason(reason);
            self.signal.notify_one();
        }
        closed
    }

    /// Returns whether [`Self::close`] closed the connection.
    pub(super) fn is_closed_by_registry(&self) -> bool {
        self.phase() == Phase::Closing
    }

    pub(super) fn set_reason(&self, reason: CloseReason) {
        self.close_reason.store(reason as u8, Relaxed);
    }

    pub(super) fn reason(&self) -> CloseReason {
        let number = usize::from(self.close_reason.load(Relaxed));
        CloseReason::ALL.get(number).copied().unwrap_or(CloseReason::Done)
    }

    /// Asks the connection to end after the current request.
    pub(super) fn shut_down(&self) {
        self.shutting_down.store(true, Relaxed);
        self.signal.notify_one();
    }

    pub(super) fn is_shutting_down(&self) -> bool {
        self.shutting_down.load(Relaxed)
    }

    /// Waits for [`Self::close`] or [`Self::shut_down`].
    pub(super) async fn signalled(&self) {
        self.signal.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ConnectionsConfig, Vars};

    fn limits() -> ListenerLimits {
        ListenerLimits::public(&ConnectionsConfig::from_vars(&Vars::default()).unwrap())
    }

    #[test]
    fn waiting_connections_expire_and_serving_ones_do_not() {
        let check = |phases: &[Phase], seconds: u64, expected| {
            let state = ConnectionState::new(1, Clock::start());
            for phase in phases {
                assert!(state.enter(*phase));
            }
            assert_eq!(state.expired(seconds * 1000, &limits()), expected, "{phases:?} {seconds}");
        };
        check(&[], 9, None);
        check(&[], 11, Some(CloseReason::HeaderTimeout));
        check(&[Phase::ReadingHead], 11, Some(CloseReason::HeaderTimeout));
        check(&[Phase::Idle], 99, None);
        check(&[Phase::Idle], 101, Some(CloseReason::IdleTimeout));
        check(&[Phase::Serving], 100_000, None);
        check(&[Phase::Writing], 100_000, None);
    }

    #[test]
    fn client_that_reads_nothing_or_too_slowly_expires() {
        let state = ConnectionState::new(1, Clock::start());
        state.enter(Phase::Serving);
        state.write_blocked();
        assert_eq!(state.expired(29_000, &limits()), None);
        assert_eq!(state.expired(31_000, &limits()), Some(CloseReason::WriteTimeout));
        // 40 960 bytes allow ten more seconds, if the client keeps reading.
        state.wrote(40_960);
        state.progress_at.store(35_000, Relaxed);
        assert_eq!(state.expired(39_000, &limits()), None);
        assert_eq!(state.expired(41_000, &limits()), Some(CloseReason::WriteTimeout));
        state.flushed();
        assert_eq!(state.expired(100_000, &limits()), None);
    }

    #[test]
    fn connection_that_serves_a_request_is_not_replaced() {
        let state = ConnectionState::new(1, Clock::start());
        state.enter(Phase::Serving);
        assert_eq!(state.replaceable_since(), None);
        assert!(!state.close(CloseReason::Replaced));
        state.enter(Phase::Writing);
        state.flushed();
        assert!(state.replaceable_since().is_some());
        assert!(state.close(CloseReason::Replaced));
        assert!(!state.enter(Phase::Serving), "a closed connection serves nothing");
    }

    #[test]
    fn value_is_held_until_the_response_is_written() {
        let state = ConnectionState::new(1, Clock::start());
        let value = Arc::new(());
        state.enter(Phase::Serving);
        state.hold(value.clone());
        state.flushed();
        assert_eq!(Arc::strong_count(&value), 2, "the response is not complete");
        state.enter(Phase::Writing);
        state.flushed();
        assert_eq!(Arc::strong_count(&value), 1);
    }
}
