use std::{
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Instant,
};

use lru::LruCache;
use tokio::sync::OwnedSemaphorePermit;
use tokio_postgres::{Client, Row};

use super::{DbError, Statement, TextParam, connect::Driver};

/// A statement that was given up after this long leaves its connection to nobody else.
const ABANDONED_MS: u64 = 250;

/// Prepared statements kept on a connection.
const STATEMENTS: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// One connection whose statements may be pipelined: many requests write to it before the first answer is in.
pub(super) struct Connection {
    client: Client,
    statements: Mutex<LruCache<Arc<str>, tokio_postgres::Statement>>,
    outstanding: AtomicU32,
    /// Milliseconds since `opened_at` of the last answer, or of the last send to an idle connection.
    progress_at: AtomicU64,
    opened_at: Instant,
    retired: AtomicBool,
}

/// Drives the socket and holds the connection's place in the budget until it is really closed.
pub(super) struct PlainDriver(pub(super) OwnedSemaphorePermit);

impl Driver for PlainDriver {
    fn spawn<S, T>(self, connection: tokio_postgres::Connection<S, T>)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
        T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a project connection ended");
            }
            drop(self.0);
        });
    }
}

impl Connection {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            statements: Mutex::new(LruCache::new(STATEMENTS)),
            outstanding: AtomicU32::new(0),
            progress_at: AtomicU64::new(0),
            opened_at: Instant::now(),
            retired: AtomicBool::new(false),
        }
    }

    /// May take another statement.
    pub(super) fn is_usable(&self) -> bool {
        !self.client.is_closed() && !self.retired.load(Ordering::Relaxed)
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn outstanding(&self) -> u32 {
        self.outstanding.load(Ordering::Relaxed)
    }

    /// How long nothing came back: of a busy connection, how long its head statement has run.
    pub(super) fn quiet_ms(&self) -> u64 {
        self.now_ms().saturating_sub(self.progress_at.load(Ordering::Relaxed))
    }

    fn now_ms(&self) -> u64 {
        self.opened_at.elapsed().as_millis() as u64
    }

    /// Runs one prepared statement; others may run on the connection at the same time.
    pub(super) async fn fetch(&self, statement: &Statement) -> Result<Vec<Row>, DbError> {
        let busy = Busy::enter(self);
        let result = match self.prepare(statement).await {
            Ok(prepared) => self.run(&prepared, statement).await,
            Err(error) => Err(error),
        };
        busy.finish();
        if let Err(DbError::Postgres(error)) = &result
            && let Some(code) = error.code()
            // The schema may have changed under the prepared statement: types, columns, the table itself.
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

    fn statements(&self) -> std::sync::MutexGuard<'_, LruCache<Arc<str>, tokio_postgres::Statement>> {
        self.statements.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a statement as outstanding while it lives, also when its future is dropped.
struct Busy<'a> {
    connection: &'a Connection,
    since_ms: u64,
    finished: bool,
}

impl<'a> Busy<'a> {
    fn enter(connection: &'a Connection) -> Self {
        let since_ms = connection.now_ms();
        if connection.outstanding.fetch_add(1, Ordering::Relaxed) == 0 {
            connection.progress_at.store(since_ms, Ordering::Relaxed);
        }
        Self { connection, since_ms, finished: false }
    }

    fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let connection = self.connection;
        connection.outstanding.fetch_sub(1, Ordering::Relaxed);
        if self.finished {
            connection.progress_at.store(connection.now_ms(), Ordering::Relaxed);
        } else if connection.now_ms().saturating_sub(self.since_ms) > ABANDONED_MS {
            // Nobody waits for the statement any more, and one pipelined statement can't be cancelled alone.
            connection.retired.store(true, Ordering::Relaxed);
        }
    }
}
