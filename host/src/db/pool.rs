use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use arc_swap::ArcSwap;
use tokio::sync::Semaphore;

use super::connection::Connection;

/// Reads pipeline well: more connections only add processes that compete for the processor.
const READ_WIDTH: usize = 4;
/// Statements in flight on a connection before reads ask for another one.
const READ_DEPTH: u32 = 4;
/// A connection whose head statement runs for this long is avoided.
const STUCK_MS: u64 = 20;

/// The connections of one project and role.
pub(super) struct Pool {
    /// Pipelined, read far more often than changed.
    shared: ArcSwap<Vec<Arc<Connection>>>,
    changing: Mutex<()>,
    /// Idle connections for one statement or transaction at a time.
    lent: Mutex<Vec<Arc<Connection>>>,
    /// Places for connections that are lent.
    pub(super) lending: Arc<Semaphore>,
    /// Held while a connection is being opened, so that a burst opens one and not a hundred.
    pub(super) opening: tokio::sync::Mutex<()>,
    pub(super) growing: AtomicBool,
    used_at: AtomicU64,
    created_at: Instant,
    size: usize,
}

/// What a statement finds.
pub(super) enum Choice {
    Use(Arc<Connection>),
    /// Use it, and have another one opened meanwhile.
    UseAndGrow(Arc<Connection>),
    /// There is none: wait for one.
    Open,
}

impl Pool {
    pub(super) fn new(size: usize) -> Self {
        Self {
            shared: ArcSwap::from_pointee(Vec::new()),
            changing: Mutex::new(()),
            lent: Mutex::new(Vec::new()),
            lending: Arc::new(Semaphore::new(size)),
            opening: tokio::sync::Mutex::new(()),
            growing: AtomicBool::new(false),
            used_at: AtomicU64::new(0),
            created_at: Instant::now(),
            size,
        }
    }

    /// The connection with the fewest statements in flight, leaving out those that are stuck.
    pub(super) fn choose(&self, writes: bool) -> Choice {
        self.used_at.store(self.created_at.elapsed().as_millis() as u64, Ordering::Relaxed);
        let shared = self.shared.load();
        let width = if writes { self.size } else { self.size.min(READ_WIDTH) };
        let depth = if writes { 1 } else { READ_DEPTH };
        let mut best: Option<(&Arc<Connection>, u32, bool)> = None;
        let mut usable = 0;
        let mut stuck_count = 0;
        for connection in shared.iter().filter(|connection| connection.is_usable()) {
            let outstanding = connection.outstanding();
            let stuck = outstanding > 0 && connection.quiet_ms() > STUCK_MS;
            stuck_count += usize::from(stuck);
            usable += 1;
            // Reads keep to the first few, unless those are stuck.
            if usable > width + stuck_count {
                break;
            }
            if best.is_none_or(|(_, least, best_stuck)| (stuck, outstanding) < (best_stuck, least)) {
                best = Some((connection, outstanding, stuck));
            }
        }
        match best {
            None => Choice::Open,
            Some((connection, outstanding, stuck))
                if (stuck || outstanding >= depth) && shared.len() < self.size && usable < width + stuck_count =>
            {
                Choice::UseAndGrow(connection.clone())
            }
            Some((connection, ..)) => Choice::Use(connection.clone()),
        }
    }

    pub(super) fn add(&self, connection: Arc<Connection>) {
        self.change(|connections| connections.push(connection));
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Connection>>)) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut connections: Vec<_> =
            self.shared.load().iter().filter(|connection| connection.is_usable()).cloned().collect();
        change(&mut connections);
        self.shared.store(Arc::new(connections));
    }

    pub(super) fn take_lent(&self) -> Option<Arc<Connection>> {
        let mut lent = self.lent.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(connection) = lent.pop() {
            if connection.is_usable() {
                return Some(connection);
            }
        }
        None
    }

    pub(super) fn give_back(&self, connection: Arc<Connection>) {
        self.used_at.store(self.created_at.elapsed().as_millis() as u64, Ordering::Relaxed);
        self.lent.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }

    pub(super) fn idle_ms(&self) -> u64 {
        (self.created_at.elapsed().as_millis() as u64).saturating_sub(self.used_at.load(Ordering::Relaxed))
    }

    /// Lets go of what is not in use; answers how many connections that were.
    pub(super) fn close_idle(&self) -> usize {
        let lent = std::mem::take(&mut *self.lent.lock().unwrap_or_else(PoisonError::into_inner));
        let mut closed = lent.len();
        self.change(|connections| {
            let before = connections.len();
            connections.retain(|connection| connection.outstanding() > 0);
            closed += before - connections.len();
        });
        closed
    }

    /// Lets go of everything: statements in flight still end.
    pub(super) fn close(&self) {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.change(Vec::clear);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.shared.load().is_empty() && self.lent.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}
