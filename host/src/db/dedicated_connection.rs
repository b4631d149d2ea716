//! A connection that is dedicated to one task, for statements that must not wait for a free connection of a pool.
//!
//! A dedicated connection also saves a round trip per use: a pool pings each connection when it is returned, while this
//! type reuses a connection if its last statement left it usable.

use std::time::{Duration, Instant};

use sqlx::{
    ConnectOptions as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgDatabaseError, PgSeverity},
};
use tokio::sync::Mutex;

/// A connection that is opened when first needed, and replaced after an error that may have broken it or a long idle
/// time. One caller uses it at a time.
pub struct DedicatedConnection {
    options: PgConnectOptions,
    /// The connection, and the time of its last use.
    connection: Mutex<Option<(PgConnection, Instant)>>,
}

/// Idle time after which a connection is replaced: a firewall or NAT in between may have dropped it silently.
const MAX_IDLE: Duration = Duration::from_secs(90);

impl DedicatedConnection {
    /// Creates a connection to the pool's database for a fixed set of statements that find their rows by index.
    ///
    /// Each statement is planned once, and the plan doesn't depend on statistics. Statistics lag behind: for a table
    /// that was empty a moment ago they would suggest a sequential scan.
    pub fn for_fixed_statements(pool: &PgPool, name: &str) -> Self {
        let options = PgConnectOptions::clone(&pool.connect_options()).application_name(name).options([
            ("plan_cache_mode", "force_generic_plan"),
            ("enable_seqscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
            ("jit", "off"),
        ]);
        Self { options, connection: Mutex::new(None) }
    }

    /// Lets commits return before they are on disk, for writes that are repeated if a crash loses them. A later commit
    /// of another session that waits for the disk also waits for these.
    pub fn with_asynchronous_commit(mut self) -> Self {
        self.options = self.options.options([("synchronous_commit", "off")]);
        self
    }

    /// Waits for other callers, then runs `work` on the connection.
    ///
    /// `timeout` covers connecting and `work`, but not the wait. Choose it longer than Postgres's statement timeout, so
    /// that only a silent connection exceeds it. The connection is closed after a timeout and when the returned future
    /// is dropped.
    ///
    /// # Errors
    /// Returns the error of connecting or of `work`. Returns `Io` with `TimedOut` after a timeout; whether the work
    /// took effect is then unknown.
    pub async fn run<T>(
        &self,
        timeout: Duration,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let mut cached = self.connection.lock().await;
        let reusable = cached.take().filter(|(_, used_at)| used_at.elapsed() < MAX_IDLE);
        let work = async {
            let mut connection = match reusable {
                Some((connection, _)) => connection,
                None => self.options.connect().await?,
            };
            let outcome = work(&mut connection).await;
            if outcome.as_ref().err().is_none_or(leaves_session_usable) {
                *cached = Some((connection, Instant::now()));
            }
            outcome
        };
        tokio::time::timeout(timeout, work).await.unwrap_or_else(|_| {
            let error = std::io::Error::new(std::io::ErrorKind::TimedOut, "Postgres did not respond");
            Err(sqlx::Error::Io(error))
        })
    }
}

/// Returns whether the session can be used after the error: Postgres rejected a statement and kept the session. After
/// any other error, the session or the client's view of it may be inconsistent.
fn leaves_session_usable(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    let severity = error.try_downcast_ref::<PgDatabaseError>().map(PgDatabaseError::severity);
    !matches!(severity, None | Some(PgSeverity::Fatal | PgSeverity::Panic))
}
