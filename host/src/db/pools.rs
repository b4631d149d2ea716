//! The connections to all projects' databases, under one budget.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use dashmap::DashMap;
use futures_util::future::BoxFuture;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_postgres::Row;

use super::{
    Availability, Credentials, DbError, DbRole, ExclusiveClient, RowSink, ServerAddress, Statement,
    checkout::Checkout,
    connection::Connection,
    driver::{ConnectionDriver, Notices},
    failure::{as_unreachable, is_cancelled, is_connection_lost},
    pool::{Choice, Pool},
};

pub use super::pool::LookupKey;

/// Maximum time of each wait for a connection, after which a request fails with 503. A request may wait until another
/// one has opened a shared connection, until it may use a connection alone, and until the budget allows a new one.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// Time without use after which the connections of a pool are closed.
const IDLE_TIMEOUT_MS: u64 = 60_000;
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// Limits of the connections to projects' databases.
#[derive(Debug, Clone, Copy)]
pub struct PoolLimits {
    /// Maximum number of connections of all projects and roles.
    pub budget: usize,
    /// Maximum number of shared connections per project and role. It is also the maximum number of the other
    /// connections, each of which runs one statement at a time.
    pub size: usize,
    pub statement_timeout: Duration,
    /// Whether writes that wait at the same moment may share transactions.
    pub share_inserts: bool,
    /// Maximum size of a row. Larger rows are not received.
    pub max_row_bytes: usize,
}

/// Connections to projects' databases. They are opened when needed, closed when idle, and never exceed the budget.
#[derive(Clone)]
pub struct ProjectPools {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) server: ServerAddress,
    availability: Availability,
    pub(super) credentials: Arc<dyn Credentials>,
    pub(super) limits: PoolLimits,
    budget: Arc<Semaphore>,
    pools: DashMap<String, Arc<[Pool; DbRole::ALL.len()]>>,
}

impl ProjectPools {
    /// Creates the pools and starts a background task that closes idle connections.
    ///
    /// # Panics
    /// Panics outside of a tokio runtime.
    pub fn new(
        server: ServerAddress,
        availability: Availability,
        credentials: Arc<dyn Credentials>,
        limits: PoolLimits,
    ) -> Self {
        let inner = Arc::new(Inner {
            server: server.with_max_row_bytes(limits.max_row_bytes),
            availability,
            credentials,
            limits,
            budget: Arc::new(Semaphore::new(limits.budget)),
            pools: DashMap::new(),
        });
        tokio::spawn(sweep(Arc::downgrade(&inner)));
        Self { inner }
    }

    /// Runs one statement as the given role, without an explicit transaction: one round trip once it is prepared.
    ///
    /// Statements share connections, except those that are `heavy` or may run code of the project. A read is retried
    /// once if its connection was lost.
    ///
    /// # Errors
    /// Fails if no connection can be opened or becomes free in time, if the statement fails, or if it exceeds its
    /// timeout.
    pub async fn fetch(&self, project: &str, role: DbRole, statement: &Statement) -> Result<Vec<Row>, DbError> {
        let mut rows = Vec::new();
        self.fetch_into(project, role, None, statement, &mut rows).await?;
        Ok(rows)
    }

    /// Like [`Self::fetch`], but passes each row on as it arrives. With a signed-in user's claims, the statement runs
    /// in a transaction that sets them, still in one round trip.
    ///
    /// # Errors
    /// Returns the errors of [`Self::fetch`], and the error of `rows` if that rejects a row.
    pub async fn fetch_into(
        &self,
        project: &str,
        role: DbRole,
        claims: Option<&str>,
        statement: &Statement,
        rows: &mut dyn RowSink,
    ) -> Result<(), DbError> {
        statement.check_params()?;
        let is_alone = statement.heavy || statement.runs_project_code;
        // `fetch_alone` is boxed, because most statements don't need its space.
        let result = match is_alone {
            true => Box::pin(self.fetch_alone(project, role, claims, statement, rows)).await,
            false => self.fetch_shared(project, role, claims, statement, rows).await,
        };
        let result = match result {
            // An error undoes the whole statement, so it can run again.
            Err(DbError::Interrupted) => Box::pin(self.fetch_alone(project, role, claims, statement, rows)).await,
            Err(error) if !statement.writes && is_connection_lost(&error) => match is_alone {
                true => Box::pin(self.fetch_alone(project, role, claims, statement, rows)).await,
                false => self.fetch_shared(project, role, claims, statement, rows).await,
            },
            result => result,
        };
        as_unreachable(result)
    }

    async fn fetch_shared(
        &self,
        project: &str,
        role: DbRole,
        claims: Option<&str>,
        statement: &Statement,
        rows: &mut dyn RowSink,
    ) -> Result<(), DbError> {
        let connection = self.shared_connection(project, role, statement.writes).await?;
        match connection.fetch(claims, statement, rows).await {
            Err(error) if error.ends_early() => {
                connection.interrupt(&self.inner.server);
                Err(error)
            }
            Err(DbError::Postgres(error)) if is_cancelled(&error) && connection.was_interrupted() => {
                Err(DbError::Interrupted)
            }
            result => result,
        }
    }

    /// Returns the connection for a statement that shares its connection with others.
    pub(super) async fn shared_connection(
        &self,
        project: &str,
        role: DbRole,
        writes: bool,
    ) -> Result<Arc<Connection>, DbError> {
        let pools = self.pools_of(project);
        let pool = &pools[role as usize];
        match pool.choose(writes) {
            Choice::Use(connection) => Ok(connection),
            Choice::UseAndGrow(connection) => {
                self.grow(project, role);
                Ok(connection)
            }
            Choice::Open => {
                let _opening = timeout(ACQUIRE_TIMEOUT, pool.opening.lock()).await.map_err(|_| DbError::Overloaded)?;
                match pool.choose(writes) {
                    Choice::Use(connection) | Choice::UseAndGrow(connection) => Ok(connection),
                    Choice::Open => {
                        let connection = self.open(project, role, pool).await?;
                        pool.add(connection.clone());
                        Ok(connection)
                    }
                }
            }
        }
    }

    /// Runs a statement on a connection that no other statement uses at the same time. If it may have failed because
    /// the session remembers an earlier schema, it runs once more in a new session.
    async fn fetch_alone(
        &self,
        project: &str,
        role: DbRole,
        claims: Option<&str>,
        statement: &Statement,
        rows: &mut dyn RowSink,
    ) -> Result<(), DbError> {
        let pools = self.pools_of(project);
        let pool = &pools[role as usize];
        let mut checkout = self.check_out(project, role, pool).await?;
        let mut outcome = checkout.connection()?.fetch_alone(claims, statement, rows).await;
        if outcome.attempt.is_stale {
            checkout.close();
            checkout.replace(self.open(project, role, pool).await?);
            outcome = checkout.connection()?.fetch_alone(claims, statement, rows).await;
        }
        if outcome.attempt.ended_early() {
            drop(checkout);
        } else if outcome.is_clean {
            checkout.put_back();
        } else {
            checkout.close();
        }
        outcome.attempt.result
    }

    /// Returns the handle that reports whether the server responds.
    pub fn availability(&self) -> &Availability {
        &self.inner.availability
    }

    /// Opens a connection for a single caller. It is closed when dropped.
    ///
    /// # Errors
    /// Fails if the server does not respond, if the budget is used up, or if the login fails.
    pub async fn exclusive(&self, project: &str, role: DbRole) -> Result<ExclusiveClient, DbError> {
        self.inner.availability.check()?;
        let permit = self.acquire_permit().await?;
        let notices = Notices::default();
        let driver = ConnectionDriver { notices: Some(notices.clone()), ..self.driver(permit) };
        let client = self.inner.availability.guard(self.connect(project, role, driver)).await??;
        Ok(ExclusiveClient::new(client, notices, self.inner.server.clone()))
    }

    /// Closes the pooled connections to a project; statements in flight complete first. Does not close those of
    /// [`Self::exclusive`]. Call this function when the project is deleted, or when its database or roles change.
    pub fn close(&self, project: &str) {
        if let Some((_, pools)) = self.inner.pools.remove(project) {
            pools.iter().for_each(Pool::close);
        }
    }

    /// Replaces the role's connections with new connections. Statements in flight complete first.
    pub fn renew(&self, project: &str, role: DbRole) {
        self.pools_of(project)[role as usize].close();
    }

    /// Returns the number of open connections and the maximum.
    pub fn usage(&self) -> (usize, usize) {
        let budget = self.inner.limits.budget;
        (budget - self.inner.budget.available_permits().min(budget), budget)
    }

    pub(super) fn pools_of(&self, project: &str) -> Arc<[Pool; DbRole::ALL.len()]> {
        if let Some(pools) = self.inner.pools.get(project) {
            return pools.clone();
        }
        let size = self.inner.limits.size;
        self.inner
            .pools
            .entry(project.to_owned())
            .or_insert_with(|| Arc::new(std::array::from_fn(|_| Pool::new(size))))
            .clone()
    }

    /// Opens another shared connection in the background if the budget allows it.
    fn grow(&self, project: &str, role: DbRole) {
        let pools = self.pools_of(project);
        if pools[role as usize].growing.swap(true, Ordering::AcqRel) {
            return;
        }
        let (this, project) = (self.clone(), project.to_owned());
        tokio::spawn(async move {
            let pool = &pools[role as usize];
            if let Ok(permit) = this.inner.budget.clone().try_acquire_owned()
                && let Ok(client) = this.connect(&project, role, this.driver(permit)).await
            {
                pool.add(Arc::new(Connection::new(client)));
            }
            pool.growing.store(false, Ordering::Release);
        });
    }

    async fn check_out<'a>(&self, project: &str, role: DbRole, pool: &'a Pool) -> Result<Checkout<'a>, DbError> {
        let permit = timeout(ACQUIRE_TIMEOUT, pool.checkout_permits.clone().acquire_owned())
            .await
            .map_err(|_| DbError::Overloaded)?
            .map_err(|_| DbError::Gone)?;
        let epoch = pool.epoch();
        let connection = match pool.take_idle() {
            Some(connection) => connection,
            None => self.open(project, role, pool).await?,
        };
        Ok(Checkout::new(pool, connection, epoch, self.inner.server.clone(), permit))
    }

    /// Opens a connection. Fails at once while the server does not respond, and for a moment after another attempt to
    /// reach the database has failed, so that waiting requests share one failure.
    ///
    /// Boxed, because most statements find an open connection and don't need its space.
    fn open<'a>(
        &'a self,
        project: &'a str,
        role: DbRole,
        pool: &'a Pool,
    ) -> BoxFuture<'a, Result<Arc<Connection>, DbError>> {
        Box::pin(async move {
            self.inner.availability.check()?;
            if pool.was_unreachable() {
                return Err(DbError::Unreachable(anyhow::anyhow!("another request could not connect a moment ago")));
            }
            let permit = self.acquire_permit().await?;
            let epoch = pool.epoch();
            let connecting = self.connect(project, role, self.driver(permit));
            let connected = self.inner.availability.guard(connecting).await?;
            if let Err(DbError::Unreachable(_)) = connected {
                pool.note_unreachable(epoch);
            }
            Ok(Arc::new(Connection::new(connected?)))
        })
    }

    pub(super) fn driver(&self, permit: OwnedSemaphorePermit) -> ConnectionDriver {
        let availability = Some(self.inner.availability.clone());
        ConnectionDriver { permit: Some(permit), availability, ..ConnectionDriver::default() }
    }

    /// Acquires a permit of the budget. If none is free, first closes idle connections of the longest idle project.
    pub(super) async fn acquire_permit(&self) -> Result<OwnedSemaphorePermit, DbError> {
        let budget = self.inner.budget.clone();
        if let Ok(permit) = budget.clone().try_acquire_owned() {
            return Ok(permit);
        }
        self.close_longest_idle();
        match timeout(ACQUIRE_TIMEOUT, budget.acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(DbError::Overloaded),
        }
    }

    fn close_longest_idle(&self) {
        let mut pools: Vec<_> = self.inner.pools.iter().map(|entry| entry.value().clone()).collect();
        pools.sort_by_cached_key(|pools| std::cmp::Reverse(pools.iter().map(Pool::idle_ms).min()));
        for pools in pools {
            if pools.iter().map(Pool::close_idle).sum::<usize>() > 0 {
                return;
            }
        }
    }
}

async fn sweep(inner: Weak<Inner>) {
    let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        ticks.tick().await;
        let Some(inner) = inner.upgrade() else { return };
        for entry in &inner.pools {
            for pool in entry.value().iter().filter(|pool| pool.idle_ms() > IDLE_TIMEOUT_MS) {
                pool.close_idle();
            }
        }
        inner.pools.retain(|_, pools| {
            Arc::strong_count(pools) > 1
                || pools.iter().any(|pool| !pool.is_empty() || pool.idle_ms() <= IDLE_TIMEOUT_MS)
        });
        let used = inner.limits.budget - inner.budget.available_permits().min(inner.limits.budget);
        metrics::gauge!("atlashub_project_connections").set(used as f64);
    }
}
