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
    Availability, Credentials, DbError, DbRole, ExclusiveClient, ServerAddress, Statement,
    checkout::Checkout,
    connect::{Login, LoginError},
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
    availability: Availability,
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
    pub fn new(
        server: ServerAddress,
        availability: Availability,
        credentials: Arc<dyn Credentials>,
        limits: PoolLimits,
    ) -> Self {
        let inner = Arc::new(Inner {
            server,
            availability,
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
    /// Statements share connections, except those that are `heavy` or may run code of the project. A read is retried
    /// once if its connection was lost.
    pub async fn fetch(&self, project: &str, role: DbRole, statement: &Statement) -> Result<Vec<Row>, DbError> {
        if statement.heavy || statement.runs_project_code {
            retry_lost(statement, || self.fetch_alone(project, role, None, statement)).await
        } else {
            retry_lost(statement, || self.fetch_shared(project, role, statement)).await
        }
    }

    /// Runs one statement in a transaction that sets a signed-in user's claims, in one round trip, on a connection that
    /// no other statement uses meanwhile. A read is retried once if its connection was lost.
    pub async fn fetch_with_claims(
        &self,
        project: &str,
        role: DbRole,
        claims_json: &str,
        statement: &Statement,
    ) -> Result<Vec<Row>, DbError> {
        let fetch = || self.fetch_alone(project, role, Some(claims_json), statement);
        retry_lost(statement, fetch).await
    }

    async fn fetch_shared(&self, project: &str, role: DbRole, statement: &Statement) -> Result<Vec<Row>, DbError> {
        let pools = self.pools_of(project);
        let pool = &pools[role as usize];
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
                        let connection = self.open(project, role, pool).await?;
                        pool.add(connection.clone());
                        connection
                    }
                }
            }
        };
        connection.fetch(statement).await
    }

    /// Runs a statement on a connection that no other statement uses meanwhile. If the session's knowledge of the
    /// schema may be why it failed, it runs once more in a new session.
    async fn fetch_alone(
        &self,
        project: &str,
        role: DbRole,
        claims: Option<&str>,
        statement: &Statement,
    ) -> Result<Vec<Row>, DbError> {
        let pools = self.pools_of(project);
        let pool = &pools[role as usize];
        let mut checkout = self.check_out(project, role, pool).await?;
        let mut outcome = checkout.connection()?.fetch_alone(claims, statement).await;
        if outcome.attempt.is_stale {
            checkout.close();
            checkout.replace(self.open(project, role, pool).await?);
            outcome = checkout.connection()?.fetch_alone(claims, statement).await;
        }
        if outcome.is_clean {
            checkout.put_back();
        } else {
            checkout.close();
        }
        outcome.attempt.result
    }

    /// Returns whether the server responds.
    pub fn availability(&self) -> &Availability {
        &self.inner.availability
    }

    /// Opens a connection for a single caller. It is closed when dropped.
    pub async fn exclusive(&self, project: &str, role: DbRole) -> Result<ExclusiveClient, DbError> {
        self.inner.availability.check()?;
        let permit = self.acquire_permit().await?;
        let notices = Notices::default();
        let driver = ConnectionDriver { notices: Some(notices.clone()), ..self.driver(permit) };
        let client = self.inner.availability.guard(self.connect(project, role, driver)).await??;
        Ok(ExclusiveClient::new(client, notices, self.inner.server.clone()))
    }

    /// Closes the connections to a project that is being deleted or whose roles changed.
    pub fn close(&self, project: &str) {
        if let Some((_, pools)) = self.inner.pools.remove(project) {
            pools.iter().for_each(Pool::close);
        }
    }

    /// Replaces the role's connections by new ones. Statements in flight complete first.
    pub fn renew(&self, project: &str, role: DbRole) {
        self.pools_of(project)[role as usize].close();
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
        let connection = match pool.take_idle() {
            Some(connection) => connection,
            None => self.open(project, role, pool).await?,
        };
        Ok(Checkout::new(pool, connection, self.inner.server.clone(), permit))
    }

    /// Opens a connection. Fails at once while the server does not respond, and for a moment after another attempt to
    /// reach the database has failed, so that waiting requests share one failure.
    async fn open(&self, project: &str, role: DbRole, pool: &Pool) -> Result<Arc<Connection>, DbError> {
        self.inner.availability.check()?;
        if pool.was_unreachable() {
            return Err(DbError::Unreachable(anyhow::anyhow!("another request could not connect a moment ago")));
        }
        let permit = self.acquire_permit().await?;
        let connecting = self.connect(project, role, self.driver(permit));
        let connected = self.inner.availability.guard(connecting).await?;
        if let Err(DbError::Unreachable(_)) = connected {
            pool.note_unreachable();
        }
        Ok(Arc::new(Connection::new(connected?)))
    }

    fn driver(&self, permit: OwnedSemaphorePermit) -> ConnectionDriver {
        let availability = Some(self.inner.availability.clone());
        ConnectionDriver { permit: Some(permit), availability, ..ConnectionDriver::default() }
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
        let stored = session_settings::stored_settings(&client).await;
        let stored = stored.map_err(|error| connect_error(LoginError::Failed(error)))?;
        if stored.is_empty() {
            return Ok(client);
        }
        let settings = stored.join(", ");
        tracing::warn!(project, role = role.suffix(), settings, "removing settings that were stored for a role");
        drop(client);
        self.inner.credentials.reset(project, role).await?;
        let driver = ConnectionDriver { notices, ..self.driver(self.acquire_permit().await?) };
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
            Err((error, driver)) if error.is_refused() => {
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

fn connect_error(error: LoginError) -> DbError {
    match error.code() {
        Some(code) if *code == SqlState::TOO_MANY_CONNECTIONS => DbError::Overloaded,
        Some(code) if *code == SqlState::INVALID_CATALOG_NAME => DbError::Gone,
        _ => DbError::Unreachable(error.into()),
    }
}

/// Runs a statement. A read is run once more if its connection was lost.
async fn retry_lost<F>(statement: &Statement, fetch: impl Fn() -> F) -> Result<Vec<Row>, DbError>
where
    F: Future<Output = Result<Vec<Row>, DbError>>,
{
    match fetch().await {
        Err(error) if !statement.writes && is_connection_lost(&error) => as_unreachable(fetch().await),
        result => as_unreachable(result),
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
