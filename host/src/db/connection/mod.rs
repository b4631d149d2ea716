//! A connection to a project's database as one of the project's roles. Requests share it, unless a statement is heavy
//! or may run code of the project.

mod sending;
mod shared_transaction;

use std::{
    future::poll_fn,
    num::NonZeroUsize,
    pin::pin,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    task::Poll,
    time::Instant,
};

use futures_util::future::{BoxFuture, maybe_done};
use lru::LruCache;
use parking_lot::{Mutex, MutexGuard};
use tokio_postgres::{Client, SimpleQueryMessage};

use self::sending::send;
pub(super) use self::shared_transaction::UserRead;
use super::{
    DbError, RowSink, ServerAddress, Statement, TextParam,
    prepared::{Prepared, PreparedClaims, is_stale_oid, is_unknown_statement},
    wire::{SET_CLAIMS, is_row_too_large},
};

/// Run time of a statement, in milliseconds, after which its connection is retired if the caller stops waiting.
const RETIRE_AFTER_MS: u64 = 250;

/// Maximum number of prepared statements per connection.
const MAX_PREPARED_STATEMENTS: NonZeroUsize = NonZeroUsize::new(256).unwrap();

static SET_CLAIMS_TEXT: LazyLock<Arc<str>> = LazyLock::new(|| SET_CLAIMS.into());

/// Resets the session as `DISCARD ALL` does, but keeps prepared statements and plans. Also returns whether SQL of the
/// project prepared a statement, which could have the name of one of AtlasHub's statements. The caller appends the
/// argument of `setseed`, a random seed.
const RESET_SESSION: &str = "RESET ROLE; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; CLOSE ALL; UNLISTEN *; \
    DISCARD TEMP; DISCARD SEQUENCES; \
    SELECT EXISTS (SELECT FROM pg_catalog.pg_prepared_statement() AS p WHERE p.from_sql) AS is_tampered, \
           pg_catalog.pg_advisory_unlock_all(), pg_catalog.setseed";

/// A connection that pipelines statements: requests are sent before the responses to earlier ones are read.
pub(super) struct Connection {
    client: Client,
    statements: Mutex<LruCache<Arc<str>, tokio_postgres::Statement>>,
    /// Held while requests are sent, so that no other statement comes between a user's claims and the statement that
    /// they are for. Only a Close message can come between them; `wire` handles that.
    sending: Mutex<()>,
    in_flight: AtomicU32,
    /// Number of writes among the statements in flight. They may wait for locks.
    writes_in_flight: AtomicU32,
    /// Time of the last response, or of the last request that was sent while the connection was idle, in milliseconds
    /// since `opened_at`.
    progress_at: AtomicU64,
    opened_at: Instant,
    retired: AtomicBool,
    /// Whether a statement ran alone on the connection. Functions that ran may remember types.
    ran_alone: AtomicBool,
    /// Whether a statement was cancelled because its rows were not all received.
    interrupted: AtomicBool,
}

impl Connection {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            statements: Mutex::new(LruCache::new(MAX_PREPARED_STATEMENTS)),
            sending: Mutex::new(()),
            in_flight: AtomicU32::new(0),
            writes_in_flight: AtomicU32::new(0),
            progress_at: AtomicU64::new(0),
            opened_at: Instant::now(),
            retired: AtomicBool::new(false),
            ran_alone: AtomicBool::new(false),
            interrupted: AtomicBool::new(false),
        }
    }

    /// Returns whether the connection can run another statement.
    pub(super) fn is_usable(&self) -> bool {
        !self.client.is_closed() && !self.retired.load(Ordering::Relaxed)
    }

    /// Cancels the statement that Postgres is running, because the rest of its rows is not read. Postgres may already
    /// run a later statement, so [`Self::was_interrupted`] applies to all statements in flight. No new statement uses
    /// the connection.
    pub(super) fn interrupt(&self, server: &ServerAddress) {
        self.retired.store(true, Ordering::Relaxed);
        self.interrupted.store(true, Ordering::Relaxed);
        let (server, token) = (server.clone(), self.client.cancel_token());
        tokio::spawn(async move { server.cancel(token).await });
    }

    /// Returns whether a statement on this connection may have been cancelled in place of another statement.
    pub(super) fn was_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the number of statements in flight. Writes that share a transaction count as one.
    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Returns whether a write is in flight. Statements behind it wait for as long as it waits for a lock.
    pub(super) fn has_write_in_flight(&self) -> bool {
        self.writes_in_flight.load(Ordering::Relaxed) > 0
    }

    /// Returns the time since the last response. On a busy connection, this is the time for which the oldest statement
    /// has run.
    pub(super) fn ms_since_progress(&self) -> u64 {
        self.now_ms().saturating_sub(self.progress_at.load(Ordering::Relaxed))
    }

    fn now_ms(&self) -> u64 {
        self.opened_at.elapsed().as_millis() as u64
    }

    /// Prepares and runs a statement. With claims, it runs in a transaction that sets them. Other statements may be in
    /// flight on the connection at the same time.
    ///
    /// If Postgres rejects a statement that was prepared before a change of the schema, it is prepared and run once
    /// more: an error undoes the whole statement, so nothing is changed twice.
    pub(super) async fn fetch(
        self: &Arc<Self>,
        claims: Option<&str>,
        statement: &Statement,
        rows: &mut dyn RowSink,
    ) -> Result<(), DbError> {
        let in_flight = InFlight::begin(self, 1, statement.writes);
        let result = match self.prepare_and_run(claims, statement, rows).await {
            Attempt { is_stale: true, .. } => {
                self.statements().pop(&statement.text);
                self.statements().pop(SET_CLAIMS);
                self.prepare_and_run(claims, statement, rows).await.result
            }
            attempt => attempt.result,
        };
        in_flight.finish();
        result
    }

    async fn prepare_and_run(
        self: &Arc<Self>,
        claims: Option<&str>,
        statement: &Statement,
        rows: &mut dyn RowSink,
    ) -> Attempt {
        match self.prepare_with_claims(claims, statement).await {
            Ok((prepared, claims)) => self.attempt(&prepared, claims.as_ref(), statement, rows).await,
            Err(error) => Attempt { result: Err(error), is_stale: false },
        }
    }

    /// Runs a statement on a connection that no other statement uses at the same time. With claims, it runs in a
    /// transaction that sets them.
    ///
    /// If the statement may run the project's code, the session is reset in the same round trip.
    pub(super) async fn fetch_alone(
        self: &Arc<Self>,
        claims: Option<&str>,
        statement: &Statement,
        rows: &mut dyn RowSink,
    ) -> Outcome {
        let ran_before = self.ran_alone.swap(true, Ordering::Relaxed);
        // Everything is prepared first, so that all of the following is sent together.
        let prepared = self.prepare_with_claims(claims, statement).await;
        let run = async {
            let attempt = match prepared {
                Ok((prepared, claims)) => self.attempt(&prepared, claims.as_ref(), statement, rows).await,
                Err(error) => Attempt { is_stale: is_unknown_statement(&error), result: Err(error) },
            };
            // If the statement ended early, the commands after it have no result yet.
            if attempt.ended_early() { Err(attempt) } else { Ok(attempt) }
        };
        let reset = async { Ok(!statement.runs_project_code || self.reset().await) };
        let (mut attempt, is_clean) = match tokio::try_join!(biased; run, reset) {
            Ok(results) => results,
            Err(attempt) => return Outcome { attempt, is_clean: false },
        };
        let may_remember = statement.runs_project_code && ran_before;
        attempt.is_stale |= may_remember && attempt.result.as_ref().is_err_and(is_stale_oid);
        Outcome { attempt, is_clean }
    }

    async fn attempt(
        &self,
        prepared: &Prepared,
        claims: Option<&PreparedClaims>,
        statement: &Statement,
        rows: &mut dyn RowSink,
    ) -> Attempt {
        rows.clear();
        if let Some(claims) = claims {
            return self.attempt_with_claims(prepared, claims, statement, rows).await;
        }
        let mut run = pin!(self.run(prepared, statement, rows));
        let mut is_sent = false;
        let result = poll_fn(|context| {
            // The request is sent when the future is first polled.
            let _sending = (!std::mem::replace(&mut is_sent, true)).then(|| self.sending.lock());
            run.as_mut().poll(context)
        })
        .await;
        Attempt { is_stale: result.as_ref().is_err_and(|error| prepared.is_stale(error)), result }
    }

    /// Sends claims and statement together. `wire` makes one transaction of them.
    ///
    /// The future is boxed, because statements without claims don't need its space.
    fn attempt_with_claims<'a>(
        &'a self,
        prepared: &'a Prepared,
        claims: &'a PreparedClaims,
        statement: &'a Statement,
        rows: &'a mut dyn RowSink,
    ) -> BoxFuture<'a, Attempt> {
        Box::pin(async move {
            let mut no_rows = Vec::new();
            let mut set_claims = pin!(maybe_done(self.run(&claims.prepared, &claims.statement, &mut no_rows)));
            let mut run = pin!(maybe_done(self.run(prepared, statement, rows)));
            // No other statement may come between these two.
            poll_fn(|context| {
                let _sending = self.sending.lock();
                if send(set_claims.as_mut(), context) && !send(run.as_mut(), context) {
                    // The statement could not be sent. `wire` closes the connection, so that no other statement runs
                    // with these claims.
                    let _ = pin!(self.client.simple_query("")).poll(context);
                }
                Poll::Ready(())
            })
            .await;
            set_claims.as_mut().await;
            if let Some(Err(error)) = set_claims.take_output() {
                // Postgres did not run the statement, or the connection was lost.
                return Attempt { is_stale: claims.prepared.is_stale(&error), result: Err(error) };
            }
            run.as_mut().await;
            let result = run.take_output().unwrap_or(Err(DbError::Overloaded));
            Attempt { is_stale: result.as_ref().is_err_and(|error| prepared.is_stale(error)), result }
        })
    }

    /// Undoes everything that a statement can leave in its session. Returns whether the session is like new; if not, it
    /// must not be used again.
    async fn reset(&self) -> bool {
        let [first, second, third, fourth, ..] = *uuid::Uuid::new_v4().as_bytes();
        let seed = f64::from(i32::from_be_bytes([first, second, third, fourth])) / f64::from(1_u32 << 31);
        let sql = format!("{RESET_SESSION}('{seed}')");
        let Ok(messages) = self.client.simple_query(&sql).await else { return false };
        messages.iter().any(|message| match message {
            SimpleQueryMessage::Row(row) => row.try_get("is_tampered").ok().flatten() == Some("f"),
            _ => false,
        })
    }

    async fn prepare_with_claims(
        self: &Arc<Self>,
        claims: Option<&str>,
        statement: &Statement,
    ) -> Result<(Prepared, Option<PreparedClaims>), DbError> {
        let prepared = self.prepare(statement).await?;
        let Some(claims) = claims else { return Ok((prepared, None)) };
        let mut statement = Statement::of_catalogue(SET_CLAIMS_TEXT.clone());
        statement.push(Some(claims));
        Ok((prepared, Some(PreparedClaims { prepared: self.prepare(&statement).await?, statement })))
    }

    async fn prepare(self: &Arc<Self>, statement: &Statement) -> Result<Prepared, DbError> {
        let cached = self.statements().get(&statement.text).cloned();
        match cached {
            Some(statement) => Ok(Prepared { statement, is_cached: true }),
            None => self.prepare_uncached(statement).await,
        }
    }

    /// Prepares a statement in a task of its own, which continues when the caller stops waiting. If preparing ended
    /// then, the library would not know the statement's name, and Postgres would keep the statement until the
    /// connection is closed.
    async fn prepare_uncached(self: &Arc<Self>, statement: &Statement) -> Result<Prepared, DbError> {
        let (connection, text, cacheable) = (Arc::clone(self), statement.text.clone(), statement.cacheable);
        let preparing = tokio::spawn(async move {
            let mut preparing = pin!(connection.client.prepare(&text));
            // Every poll can send a request, because the library looks up types that it does not know.
            let prepared = poll_fn(|context| {
                let _sending = connection.sending.lock();
                preparing.as_mut().poll(context)
            })
            .await?;
            if cacheable {
                connection.statements().put(text.clone(), prepared.clone());
            }
            Ok::<_, DbError>(Prepared { statement: prepared, is_cached: false })
        });
        preparing.await.unwrap_or_else(|error| Err(DbError::Unreachable(error.into())))
    }

    async fn run(&self, prepared: &Prepared, statement: &Statement, rows: &mut dyn RowSink) -> Result<(), DbError> {
        use futures_util::StreamExt;
        let params = statement.params.iter().map(|param| TextParam(param.as_deref()));
        let mut stream = pin!(self.client.query_raw(&prepared.statement, params).await?);
        while let Some(row) = stream.next().await {
            match row {
                Ok(row) => rows.add(row)?,
                Err(error) if is_row_too_large(&error) => return Err(DbError::RowTooLarge),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn statements(&self) -> MutexGuard<'_, LruCache<Arc<str>, tokio_postgres::Statement>> {
        self.statements.lock()
    }
}

/// One attempt to run a statement.
pub(super) struct Attempt {
    pub(super) result: Result<(), DbError>,
    /// Whether the statement may have failed because the session remembers an earlier schema. A statement that failed
    /// changed nothing.
    pub(super) is_stale: bool,
}

impl Attempt {
    /// Returns whether the statement may still be running, because its further rows are not received.
    pub(super) fn ended_early(&self) -> bool {
        self.result.as_ref().is_err_and(DbError::ends_early)
    }
}

/// The outcome of a statement on a connection of its own.
pub(super) struct Outcome {
    pub(super) attempt: Attempt,
    /// Whether the session is as it was before the statement.
    pub(super) is_clean: bool,
}

/// Counts statements as in flight until dropped, including when their future is dropped.
struct InFlight<'a> {
    connection: &'a Connection,
    count: u32,
    writes: bool,
    started_ms: u64,
    finished: bool,
}

impl<'a> InFlight<'a> {
    fn begin(connection: &'a Connection, count: usize, writes: bool) -> Self {
        let (started_ms, count) = (connection.now_ms(), u32::try_from(count).unwrap_or(u32::MAX));
        if connection.in_flight.fetch_add(count, Ordering::Relaxed) == 0 {
            connection.progress_at.store(started_ms, Ordering::Relaxed);
        }
        connection.writes_in_flight.fetch_add(u32::from(writes), Ordering::Relaxed);
        Self { connection, count, writes, started_ms, finished: false }
    }

    fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let connection = self.connection;
        connection.in_flight.fetch_sub(self.count, Ordering::Relaxed);
        connection.writes_in_flight.fetch_sub(u32::from(self.writes), Ordering::Relaxed);
        if self.finished {
            connection.progress_at.store(connection.now_ms(), Ordering::Relaxed);
        } else if connection.now_ms().saturating_sub(self.started_ms) > RETIRE_AFTER_MS {
            // The caller stopped waiting. A single pipelined statement can't be cancelled, so the connection may be
            // blocked for long. New statements use another connection.
            connection.retired.store(true, Ordering::Relaxed);
        }
    }
}
