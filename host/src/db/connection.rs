use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Instant,
};

use lru::LruCache;
use parking_lot::{Mutex, MutexGuard};
use tokio_postgres::{Client, Row};

use super::{DbError, Statement, TextParam};

/// A connection is retired if a caller stops waiting for a statement that has run for longer than this.
const RETIRE_AFTER_MS: u64 = 250;

/// Maximum number of prepared statements per connection.
const MAX_PREPARED_STATEMENTS: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// A connection that pipelines statements: requests are sent before the responses to earlier ones are read.
pub(super) struct Connection {
    client: Client,
    statements: Mutex<LruCache<Arc<str>, tokio_postgres::Statement>>,
    in_flight: AtomicU32,
    /// Time of the last response, or of the last request on an idle connection. In milliseconds since `opened_at`.
    progress_at: AtomicU64,
    opened_at: Instant,
    retired: AtomicBool,
}

impl Connection {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            statements: Mutex::new(LruCache::new(MAX_PREPARED_STATEMENTS)),
            in_flight: AtomicU32::new(0),
            progress_at: AtomicU64::new(0),
            opened_at: Instant::now(),
            retired: AtomicBool::new(false),
        }
    }

    /// Returns whether the connection can run another statement.
    pub(super) fn is_usable(&self) -> bool {
        !self.client.is_closed() && !self.retired.load(Ordering::Relaxed)
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the number of statements in flight.
    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Returns the time since the last response. On a busy connection, this is how long the oldest statement has run.
    pub(super) fn ms_since_progress(&self) -> u64 {
        self.now_ms().saturating_sub(self.progress_at.load(Ordering::Relaxed))
    }

    fn now_ms(&self) -> u64 {
        self.opened_at.elapsed().as_millis() as u64
    }

    /// Prepares and runs a statement. Other statements may be in flight on the connection at the same time.
    pub(super) async fn fetch(&self, statement: &Statement) -> Result<Vec<Row>, DbError> {
        let in_flight = InFlight::begin(self);
        let result = match self.prepare(statement).await {
            Ok(prepared) => self.run(&prepared, statement).await,
            Err(error) => Err(error),
        };
        in_flight.finish();
        if let Err(DbError::Postgres(error)) = &result
            && let Some(code) = error.code()
            // The schema may have changed since the statement was prepared: types, columns, or the table itself.
            && (code.code().starts_with("42") || code.code() == "0A000")
        {
            self.statements().pop(&statement.text);
        }
        result
    }

    pub(super) async fn prepare(&self, statement: &Statement) -> Result<tokio_postgres::Statement, DbError> {
        if let Some(prepared) = self.statements().get(&statement.text) {
            return Ok(prepared.clone());
        }
        let prepared = self.client.prepare(&statement.text).await?;
        if statement.cacheable {
            self.statements().put(statement.text.clone(), prepared.clone());
        }
        Ok(prepared)
    }

    pub(super) async fn run(
        &self,
        prepared: &tokio_postgres::Statement,
        statement: &Statement,
    ) -> Result<Vec<Row>, DbError> {
        use futures_util::TryStreamExt;
        let params = statement.params.iter().map(|param| TextParam(param.as_deref()));
        let rows = self.client.query_raw(prepared, params).await?;
        Ok(rows.try_collect().await?)
    }

    fn statements(&self) -> MutexGuard<'_, LruCache<Arc<str>, tokio_postgres::Statement>> {
        self.statements.lock()
    }
}

/// Counts a statement as in flight until dropped, including when the statement's future is dropped.
struct InFlight<'a> {
    connection: &'a Connection,
    started_ms: u64,
    finished: bool,
}

impl<'a> InFlight<'a> {
    fn begin(connection: &'a Connection) -> Self {
        let started_ms = connection.now_ms();
        if connection.in_flight.fetch_add(1, Ordering::Relaxed) == 0 {
            connection.progress_at.store(started_ms, Ordering::Relaxed);
        }
        Self { connection, started_ms, finished: false }
    }

    fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let connection = self.connection;
        connection.in_flight.fetch_sub(1, Ordering::Relaxed);
        if self.finished {
            connection.progress_at.store(connection.now_ms(), Ordering::Relaxed);
        } else if connection.now_ms().saturating_sub(self.started_ms) > RETIRE_AFTER_MS {
            // The caller stopped waiting. A single pipelined statement can't be cancelled, so the connection may be
            // blocked for long: new statements use another one.
            connection.retired.store(true, Ordering::Relaxed);
        }
    }
}
