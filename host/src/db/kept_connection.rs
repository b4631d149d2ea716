//! One connection that is kept for one use: for statements that must not wait until a pool has room.
//!
//! A pool also asks each connection that it gets back whether it is well; here its last answer says so, which saves a
//! round trip each time.

use std::time::{Duration, Instant};

use sqlx::{
    ConnectOptions as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgDatabaseError, PgSeverity},
};
use tokio::sync::Mutex;

/// Opened when it is first needed, and anew after it failed. One use at a time.
pub struct KeptConnection {
    options: PgConnectOptions,
    connection: Mutex<Option<(PgConnection, Instant)>>,
}

/// A connection that was not used for so long is opened anew: whatever lies between may have dropped it without a word.
const LONGEST_IDLE: Duration = Duration::from_secs(90);

impl KeptConnection {
    /// To the same database as a pool's, for a few statements over and over, each on rows that an index finds: they are
    /// planned once, and in such a way that no statistics, which lag behind a table that was empty a moment ago, make a
    /// scan of them.
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

    /// For writes that are done anew where Postgres lost them in a crash. Whoever builds on one of them, and waits for the
    /// disk, has waited for it too.
    pub fn without_waiting_for_disk(mut self) -> Self {
        self.options = self.options.options([("synchronous_commit", "off")]);
        self
    }

    /// Does the work, alone, and once it is its turn with connecting within `patience`: longer than Postgres itself lets a
    /// statement run, so that only a connection that went silent is given up. Such a one is closed, as is one whose use was
    /// dropped on the way.
    ///
    /// # Errors
    /// What the work fails with; `Io` with `TimedOut` where the time was up, and then what became of it is not known.
    pub async fn run<T>(
        &self,
        patience: Duration,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let mut kept = self.connection.lock().await;
        let kept_before = kept.take().filter(|(_, used)| used.elapsed() < LONGEST_IDLE);
        let work = async {
            let mut connection = match kept_before {
                Some((connection, _)) => connection,
                None => self.options.connect().await?,
            };
            let outcome = work(&mut connection).await;
            if outcome.as_ref().err().is_none_or(is_sound_after) {
                *kept = Some((connection, Instant::now()));
            }
            outcome
        };
        tokio::time::timeout(patience, work).await.unwrap_or_else(|_| {
            let silent = std::io::Error::new(std::io::ErrorKind::TimedOut, "Postgres did not answer");
            Err(sqlx::Error::Io(silent))
        })
    }
}

/// Postgres refused something and goes on. Anything else may have left the session, or what is known of it, halfway.
fn is_sound_after(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    let severity = error.try_downcast_ref::<PgDatabaseError>().map(PgDatabaseError::severity);
    !matches!(severity, None | Some(PgSeverity::Fatal | PgSeverity::Panic))
}
