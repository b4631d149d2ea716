use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use dashmap::DashMap;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_postgres::{Row, error::SqlState};

use super::{
    Credentials, DbError, DbRole, ExclusiveClient, ServerAddress, Statement,
    connect::{Login, is_login_refused},
    connection::Connection,
    driver::{ConnectionDriver, Notices},
    pool::{Choice, Pool},
    session_settings,
};

/// How long a request waits for a connection before it fails with 503.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// Connections of a pool that was not used for this long are closed.
const IDLE_TIMEOUT_MS: u64 = 60_000;
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// Limits of the connections to projects' databases.
#[derive(Debug, Clone, Copy)]
pub struct PoolLimits {
    /// Maximum number of connections of all projects and roles.
    pub budget: usize,
    /// Maximum number of connections per project and role.
    pub size: usize,
    pub statement_timeout: Duration,
}

/// Connections to projects' databases. They are opened when needed, closed when idle, and never exceed the budget.
#[derive(Clone)]
pub struct ProjectPools {
    inner: Arc<Inner>,
}

struct Inner {
    server: ServerAddress,
    credentials: Arc<dyn Credentials>,
    limits: PoolLimits,
    budget: Arc<Semaphore>,
    pools: DashMap<String, Arc<[Pool; DbRole::ALL.len()]>>,
}

impl ProjectPools {
    /// Creates the pools and starts a background task that closes idle connections.
    ///
    /// # Panics
    /// Panics outside of a tokio runtime.
    pub fn new(server: ServerAddress, credentials: Arc<dyn Credentials>, limits: PoolLimits) -> Self {
        let inner = Arc::new(Inner {
            server,
            credentials,
            limits,
            budget: Arc::new(Semaphore::new(limits.budget)),
            pools: DashMap::new(),
        });
        tokio::spawn(sweep(Arc::downgrade(&inner)));
        Self { inner }
    }

    /// Runs one statement as the given role: one round trip, without an explicit transaction.
    ///
    /// Statements share connections; a `heavy` statement gets its own. A read is retried once if its connection was
    /// lost.
    pub async fn fetch(&self, project: &str, role: DbRole, statement: &Statement) -> Result<Vec<Row>, DbError> {
        let pools = self.pools_of(project);
        let pool = &pools[role as usize];
        let result = self.fetch_once(project, role, pool, statement).await;
        match result {
            Err(error) if !statement.writes && is_connection_lost(&error) => {
                as_unreachable(self.fetch_once(project, role, pool, statement).await)
            }
            result => as_unreachable(result),
        }
    }

    async fn fetch_once(
        &self,
        project: &str,
        role: DbRole,
        pool: &Pool,
        statement: &Statement,
    ) -> Result<Vec<Row>, DbError> {
        if statement.heavy {
            let checkout = self.check_out(project, role, pool).await?;
            let rows = checkout.connection()?.fetch(statement).await?;
            checkout.put_back();
            return Ok(rows);
        }
        let connection = match pool.choose(statement.writes) {
            Choice::Use(connection) => connection,
            Choice::UseAndGrow(connection) => {
                self.grow(project, role);
                connection
            }
            Choice::Open => {
                let _opening = timeout(ACQUIRE_TIMEOUT, pool.opening.lock()).await.map_err(|_| DbError::Overloaded)?;
                match pool.choose(statement.writes) {
                    Choice::Use(connection) | Choice::UseAndGrow(connection) => connection,
                    Choice::Open => {
                        let connection = self.open(project, role).await?;
                        pool.add(connection.clone());
                        connection
                    }
                }
            }
        };
        connection.fetch(statement).await
    }

    /// Runs one statement in a transaction that sets a signed-in user's claims. BEGIN, claims, statement and COMMIT
    /// are sent together, on a connection that no other statement uses meanwhile.
    ///
    /// The statement's result decides: after an error in a transaction, COMMIT succeeds and rolls back.
    pub async fn fetch_with_claims(
        &self,
        project: &str,
        role: DbRole,
        claims_json: &str,
        statement: &Statement,
    ) -> Result<Vec<Row>, DbError> {
        let pools = self.pools_of(project);
        let pool = &pools[role as usize];
        let checkout = self.check_out(project, role, pool).await?;
        let connection = checkout.connection()?;
        let mut claims = Statement::new("SELECT pg_catalog.set_config('request.jwt.claims', $1, true)");
        claims.push(Some(claims_json));
        // Prepared before BEGIN, so that the transaction needs a single round trip.
        let prepared_claims = as_unreachable(connection.prepare(&claims).await)?;
        let prepared = as_unreachable(connection.prepare(statement).await)?;
        let (begin, set, result, commit) = tokio::join!(
            biased;
            connection.client().batch_execute("BEGIN"),
            connection.run(&prepared_claims, &claims),
            connection.run(&prepared, statement),
            connection.client().batch_execute("COMMIT"),
        );
        let outcome = match (begin, set, result, commit) {
            (Ok(()), Ok(_), Ok(rows), Ok(())) => Ok(rows),
            (_, _, Err(error), _) | (_, Err(error), ..) => Err(error),
            (Err(error), ..) | (.., Err(error)) => Err(error.into()),
        };
        match &outcome {
            Ok(_) => checkout.put_back(),
            // The statement may have been prepared for an earlier schema. The next one gets a new connection.
            Err(_) => drop(checkout),
        }
        as_unreachable(outcome)
    }

    /// Opens a connection for a single caller. It is closed when dropped.
    pub async fn exclusive(&self, project: &str, role: DbRole) -> Result<ExclusiveClient, DbError> {
        let permit = self.acquire_permit().await?;
        let notices = Notices::default();
        let driver = ConnectionDriver { permit: Some(permit), notices: Some(notices.clone()) };
        let client = self.connect(project, role, driver).await?;
        Ok(ExclusiveClient::new(client, notices, self.inner.server.clone()))
    }

    /// Closes the connections to a project that is being deleted or whose roles changed.
    pub fn close(&self, project: &str) {
        if let Some((_, pools)) = self.inner.pools.remove(project) {
            pools.iter().for_each(Pool::close);
        }
    }

    /// Returns the number of open connections and the maximum.
    pub fn usage(&self) -> (usize, usize) {
        let budget = self.inner.limits.budget;
        (budget - self.inner.budget.available_permits().min(budget), budget)
    }

    fn pools_of(&self, project: &str) -> Arc<[Pool; DbRole::ALL.len()]> {
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
                && let Ok(client) = this.connect(&project, role, shared_driver(permit)).await
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
        let connection = match pool.take_idle() {
            Some(connection) => connection,
            None => self.open(project, role).await?,
        };
        Ok(Checkout { pool, connection: Some(connection), server: self.inner.server.clone(), _permit: permit })
    }

    async fn open(&self, project: &str, role: DbRole) -> Result<Arc<Connection>, DbError> {
        let permit = self.acquire_permit().await?;
        let client = self.connect(project, role, shared_driver(permit)).await?;
        Ok(Arc::new(Connection::new(client)))
    }

    /// Acquires a permit of the budget. If none is free, closes idle connections of the pool that is idle longest.
    async fn acquire_permit(&self) -> Result<OwnedSemaphorePermit, DbError> {
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
        let mut idle: Vec<(u64, Arc<[Pool; DbRole::ALL.len()]>)> = self
            .inner
            .pools
            .iter()
            .map(|entry| (entry.value().iter().map(Pool::idle_ms).min().unwrap_or(0), entry.value().clone()))
            .collect();
        idle.sort_by_key(|(idle_ms, _)| std::cmp::Reverse(*idle_ms));
        for (_, pools) in idle {
            if pools.iter().map(Pool::close_idle).sum::<usize>() > 0 {
                return;
            }
        }
    }

    /// Logs in. If the project's SQL stored settings for the role, removes them and logs in again.
    async fn connect(
        &self,
        project: &str,
        role: DbRole,
        driver: ConnectionDriver,
    ) -> Result<tokio_postgres::Client, DbError> {
        let notices = driver.notices.clone();
        let client = self.log_in(project, role, driver).await?;
        let stored = session_settings::stored_settings(&client).await.map_err(connect_error)?;
        if stored.is_empty() {
            return Ok(client);
        }
        let settings = stored.join(", ");
        tracing::warn!(project, role = role.suffix(), settings, "removing settings that were stored for a role");
        drop(client);
        self.inner.credentials.reset(project, role).await?;
        let driver = ConnectionDriver { permit: Some(self.acquire_permit().await?), notices };
        self.log_in(project, role, driver).await
    }

    /// Logs in. If the login is refused, resets the role's password and retries once.
    async fn log_in(
        &self,
        project: &str,
        role: DbRole,
        driver: ConnectionDriver,
    ) -> Result<tokio_postgres::Client, DbError> {
        let Inner { server, credentials, limits, .. } = &*self.inner;
        let options = session_settings::session_options(limits.statement_timeout);
        let login = Login::for_project(project, role, &credentials.password(project, role).await?);
        match server.log_in(&login, &options, driver).await {
            Ok(client) => Ok(client),
            Err((error, driver)) if is_login_refused(&error) => {
                tracing::warn!(project, role = role.suffix(), "a login was refused; resetting the role's password");
                credentials.reset(project, role).await?;
                let login = Login::for_project(project, role, &credentials.password(project, role).await?);
                let retried = server.log_in(&login, &options, driver).await;
                retried.map_err(|(error, _)| connect_error(error))
            }
            Err((error, _)) => Err(connect_error(error)),
        }
    }
}

fn shared_driver(permit: OwnedSemaphorePermit) -> ConnectionDriver {
    ConnectionDriver { permit: Some(permit), notices: None }
}

fn connect_error(error: tokio_postgres::Error) -> DbError {
    match error.code() {
        Some(code) if *code == SqlState::TOO_MANY_CONNECTIONS => DbError::Overloaded,
        Some(code) if *code == SqlState::INVALID_CATALOG_NAME => DbError::Gone,
        _ => DbError::Unreachable(error.into()),
    }
}

/// Returns whether the connection was lost before a response arrived. The statement may or may not have run.
fn is_connection_lost(error: &DbError) -> bool {
    matches!(error, DbError::Postgres(error) if ends_connection(error))
}

fn ends_connection(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        // Class 57P: the server shut the session down.
        Some(code) => code.code().starts_with("57P"),
        // Without a code, the socket is broken or the client is closed.
        None => {
            error.is_closed() || std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>())
        }
    }
}

fn as_unreachable<T>(result: Result<T, DbError>) -> Result<T, DbError> {
    match result {
        Err(DbError::Postgres(error)) if error.code().is_some_and(|code| *code == SqlState::QUERY_CANCELED) => {
            Err(DbError::Timeout)
        }
        Err(DbError::Postgres(error)) if ends_connection(&error) => Err(DbError::Unreachable(error.into())),
        result => result,
    }
}

/// A connection reserved for one statement or transaction. If dropped before [`Self::put_back`], its statement is
/// cancelled and the connection is closed.
struct Checkout<'a> {
    pool: &'a Pool,
    connection: Option<Arc<Connection>>,
    server: ServerAddress,
    _permit: OwnedSemaphorePermit,
}

impl Checkout<'_> {
    fn connection(&self) -> Result<&Connection, DbError> {
        self.connection.as_deref().ok_or(DbError::Overloaded)
    }

    fn put_back(mut self) {
        if let Some(connection) = self.connection.take() {
            self.pool.put_back(connection);
        }
    }
}

impl Drop for Checkout<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && connection.is_usable()
        {
            let (server, token) = (self.server.clone(), connection.client().cancel_token());
            tokio::spawn(async move {
                server.cancel(token).await;
                drop(connection);
            });
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
