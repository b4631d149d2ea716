//! The connections of one project and role.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_postgres::Row;

use super::{
    Statement,
    connection::Connection,
    lookups::{Lookup, LookupTimeouts, Lookups},
    writes::{WriteTimeouts, Writes, WrittenRows},
};

/// Maximum number of shared connections for reads. Reads pipeline well: more connections only add server processes
/// that compete for the processor.
const MAX_READ_CONNECTIONS: usize = 4;
/// Number of statements in flight on a connection at which reads open another connection.
const READ_DEPTH: u32 = 4;
/// Run time of the oldest statement on a connection, in milliseconds, after which the connection counts as stuck.
const STUCK_AFTER_MS: u64 = 20;
/// Time after a failed attempt to connect, in milliseconds, during which no other attempt is made.
const UNREACHABLE_MS: u64 = 200;

/// The parameters of a lookup's statement.
pub type LookupKey = Vec<Option<Arc<str>>>;

/// The connections of one project and role.
pub(super) struct Pool {
    /// Connections that pipeline statements of many callers. The list is read far more often than it is changed.
    shared: ArcSwap<Vec<Arc<Connection>>>,
    /// Serializes changes of `shared`, `epoch` and `unreachable_at`.
    shared_lock: Mutex<()>,
    /// Idle connections for checkouts: each runs one statement or transaction at a time.
    idle: Mutex<Vec<Arc<Connection>>>,
    /// Limits the number of connections that are checked out.
    pub(super) checkout_permits: Arc<Semaphore>,
    /// The lookups that may share statements. The result of a lookup is its row, if there is one.
    pub(super) lookups: Arc<Lookups<Lookup, Option<Row>>>,
    /// The writes that may share transactions.
    pub(super) writes: Arc<Writes<Statement, WrittenRows>>,
    /// Held while a connection is being opened, so that a burst of requests opens one connection and not a hundred.
    pub(super) opening: tokio::sync::Mutex<()>,
    /// True while another shared connection is being opened in the background.
    pub(super) growing: AtomicBool,
    /// Number of times that the pool was closed.
    epoch: AtomicU64,
    /// Time of the last failure to reach the database, in milliseconds since `created_at`; 0 if there was none.
    unreachable_at: AtomicU64,
    used_at: AtomicU64,
    created_at: Instant,
    size: usize,
}

/// How suitable a connection is for a statement. The smallest value is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Suitability {
    is_stuck: bool,
    /// Whether the statement is a read that would wait behind a write.
    is_behind_write: bool,
    in_flight: u32,
}

impl Suitability {
    /// Returns whether the statement should use any other connection.
    fn is_avoided(self) -> bool {
        self.is_stuck || self.is_behind_write
    }
}

/// The shared connection that a statement should use.
pub(super) enum Choice {
    Use(Arc<Connection>),
    /// Use this one, and open another in the background.
    UseAndGrow(Arc<Connection>),
    /// No connection is usable: open one.
    Open,
}

impl Pool {
    pub(super) fn new(size: usize) -> Self {
        Self {
            shared: ArcSwap::from_pointee(Vec::new()),
            shared_lock: Mutex::new(()),
            idle: Mutex::new(Vec::new()),
            checkout_permits: Arc::new(Semaphore::new(size)),
            lookups: Lookups::new(LookupTimeouts::default()),
            writes: Writes::new(WriteTimeouts::default()),
            opening: tokio::sync::Mutex::new(()),
            growing: AtomicBool::new(false),
            epoch: AtomicU64::new(0),
            unreachable_at: AtomicU64::new(0),
            used_at: AtomicU64::new(0),
            created_at: Instant::now(),
            size,
        }
    }

    /// Chooses the connection with the fewest statements in flight, and a stuck one only if all are stuck. Writes
    /// spread over more connections than reads. A read avoids connections with a write in flight: the write may wait
    /// for a lock, and the read would wait with it.
    pub(super) fn choose(&self, writes: bool) -> Choice {
        self.used_at.store(self.now_ms(), Ordering::Relaxed);
        let shared = self.shared.load();
        let width = if writes { self.size } else { self.size.min(MAX_READ_CONNECTIONS) };
        let depth = if writes { 1 } else { READ_DEPTH };
        let mut best: Option<(&Arc<Connection>, Suitability)> = None;
        let mut usable = 0;
        let mut avoided = 0;
        for connection in shared.iter().filter(|connection| connection.is_usable()) {
            let in_flight = connection.in_flight();
            let suitability = Suitability {
                is_stuck: in_flight > 0 && connection.ms_since_progress() > STUCK_AFTER_MS,
                is_behind_write: !writes && connection.has_write_in_flight(),
                in_flight,
            };
            avoided += usize::from(suitability.is_avoided());
            usable += 1;
            // Only the first few connections are considered, plus one for each that is avoided.
            if usable > width + avoided {
                break;
            }
            if best.is_none_or(|(_, least)| suitability < least) {
                best = Some((connection, suitability));
            }
        }
        match best {
            None => Choice::Open,
            Some((connection, found))
                if (found.is_avoided() || found.in_flight >= depth)
                    && usable < self.size
                    && usable < width + avoided =>
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
        let _guard = self.shared_lock.lock();
        let mut connections: Vec<_> =
            self.shared.load().iter().filter(|connection| connection.is_usable()).cloned().collect();
        change(&mut connections);
        self.shared.store(Arc::new(connections));
    }

    /// Takes an idle connection out of the pool.
    pub(super) fn take_idle(&self) -> Option<Arc<Connection>> {
        let mut idle = self.idle.lock();
        while let Some(connection) = idle.pop() {
            if connection.is_usable() {
                return Some(connection);
            }
        }
        None
    }

    /// Puts back a connection that was taken or opened in `epoch`. If the pool was closed since, the connection is
    /// closed instead.
    pub(super) fn put_back(&self, connection: Arc<Connection>, epoch: u64) {
        self.used_at.store(self.now_ms(), Ordering::Relaxed);
        let mut idle = self.idle.lock();
        if self.epoch() == epoch {
            idle.push(connection);
        }
    }

    /// Returns a number that changes when the pool is closed. Call this before an attempt to connect, and before
    /// [`Self::take_idle`].
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Records that the database could not be reached, unless the pool was closed since the attempt began in `epoch`.
    /// A close means that the database or its roles may have changed.
    pub(super) fn note_unreachable(&self, epoch: u64) {
        let _guard = self.shared_lock.lock();
        if self.epoch() == epoch {
            self.unreachable_at.store(self.now_ms().max(1), Ordering::Relaxed);
        }
    }

    /// Returns whether an attempt to reach the database failed a moment ago.
    pub(super) fn was_unreachable(&self) -> bool {
        match self.unreachable_at.load(Ordering::Relaxed) {
            0 => false,
            at => self.now_ms().saturating_sub(at) < UNREACHABLE_MS,
        }
    }

    pub(super) fn idle_ms(&self) -> u64 {
        self.now_ms().saturating_sub(self.used_at.load(Ordering::Relaxed))
    }

    fn now_ms(&self) -> u64 {
        self.created_at.elapsed().as_millis() as u64
    }

    /// Closes the connections without a statement in flight. Returns their number.
    pub(super) fn close_idle(&self) -> usize {
        let mut closed = std::mem::take(&mut *self.idle.lock()).len();
        self.change(|connections| {
            let before = connections.len();
            connections.retain(|connection| connection.in_flight() > 0);
            closed += before - connections.len();
        });
        closed
    }

    /// Removes every connection from the pool, and forgets that the database could not be reached. Statements in flight
    /// complete first, and their connections are closed then.
    pub(super) fn close(&self) {
        self.change(|connections| {
            connections.clear();
            self.epoch.fetch_add(1, Ordering::Release);
            self.unreachable_at.store(0, Ordering::Relaxed);
        });
        // The epoch has changed, so no connection from before is put back after this.
        self.idle.lock().clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.shared.load().is_empty() && self.idle.lock().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use tokio::io::AsyncWriteExt as _;
    use tokio_postgres::{Config, NoTls, config::SslMode};

    use super::*;

    /// Returns a connection to a server that sends nothing after the login. The connection is closed when the second
    /// value is dropped.
    async fn connection() -> (Arc<Connection>, impl Sized) {
        let (stream, mut server) = tokio::io::duplex(1024);
        // AuthenticationOk and ReadyForQuery.
        server.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").await.unwrap();
        let mut config = Config::new();
        config.user("user").ssl_mode(SslMode::Disable);
        let (client, driver) = config.connect_raw(stream, NoTls).await.unwrap();
        (Arc::new(Connection::new(client)), (driver, server))
    }

    #[tokio::test]
    async fn closed_connections_do_not_keep_a_pool_from_growing() {
        let pool = Pool::new(2);
        let ((usable, _server), (closed, closed_server)) = (connection().await, connection().await);
        pool.add(usable.clone());
        pool.add(closed.clone());
        drop(closed_server);
        assert!(usable.is_usable() && !closed.is_usable());
        let statement = Statement::of_catalogue("SELECT 1");
        let mut rows = Vec::new();
        let mut fetching = pin!(usable.fetch(None, &statement, &mut rows));
        // The first poll puts the statement in flight.
        tokio::select! {
            biased;
            _ = &mut fetching => panic!("the statement ended without a response"),
            () = std::future::ready(()) => {}
        }
        assert!(matches!(pool.choose(true), Choice::UseAndGrow(_)));
    }

    #[tokio::test]
    async fn connection_is_not_put_back_if_the_pool_was_closed_while_it_was_used() {
        let pool = Pool::new(1);
        let (connection, _server) = connection().await;
        let epoch = pool.epoch();
        pool.close();
        pool.put_back(connection.clone(), epoch);
        assert!(pool.take_idle().is_none());
        pool.put_back(connection, pool.epoch());
        assert!(pool.take_idle().is_some());
    }

    #[test]
    fn reads_prefer_free_connections_then_those_with_a_write_then_stuck_ones() {
        let suitability = |is_stuck, is_behind_write, in_flight| Suitability { is_stuck, is_behind_write, in_flight };
        let sorted = [
            suitability(false, false, 0),
            suitability(false, false, 9),
            suitability(false, true, 1),
            suitability(true, false, 1),
            suitability(true, true, 1),
        ];
        assert!(sorted.is_sorted());
        assert_eq!(sorted.map(Suitability::is_avoided), [false, false, true, true, true]);
    }

    #[test]
    fn attempt_from_before_a_close_does_not_count_as_a_failure() {
        let pool = Pool::new(1);
        let earlier = pool.epoch();
        pool.note_unreachable(earlier);
        assert!(pool.was_unreachable());
        pool.close();
        assert!(!pool.was_unreachable());
        // The attempt began before the close and fails after it.
        pool.note_unreachable(earlier);
        assert!(!pool.was_unreachable());
        pool.note_unreachable(pool.epoch());
        assert!(pool.was_unreachable());
    }
}
