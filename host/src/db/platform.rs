//! The connection pools of the platform database.

use std::{str::FromStr, time::Duration};

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

/// Creates a pool of up to `max` connections, which are opened when first needed.
///
/// # Errors
/// Fails if the URL is invalid.
pub fn connect(url: &str, max: u32) -> Result<PgPool, sqlx::Error> {
    let options = PgConnectOptions::from_str(url)?
        .application_name("atlashub")
        .options([("statement_timeout", "15000"), ("idle_in_transaction_session_timeout", "60000")]);
    Ok(PgPoolOptions::new()
        .max_connections(max)
        .acquire_timeout(Duration::from_secs(3))
        .idle_timeout(Duration::from_secs(120))
        // A lost connection fails at its first use (see `retry_stale`). A ping before each use would cost a round trip.
        .test_before_acquire(false)
        .connect_lazy_with(options))
}

/// Creates a separate pool for the calls of plugins. Calls may wait longer for a connection than requests may. The
/// number of concurrent calls is limited in `plugins::guest`.
///
/// # Errors
/// Fails if the URL is invalid.
pub fn connect_for_plugins(url: &str, max: u32) -> Result<PgPool, sqlx::Error> {
    let options = PgConnectOptions::from_str(url)?
        .application_name("atlashub plugins")
        .options([("statement_timeout", "15000"), ("idle_in_transaction_session_timeout", "60000")]);
    Ok(PgPoolOptions::new()
        .max_connections(max)
        .acquire_timeout(Duration::from_secs(30))
        // Waiting is expected, and must not fill the log.
        .acquire_slow_threshold(Duration::from_secs(30))
        .idle_timeout(Duration::from_secs(60))
        .test_before_acquire(false)
        .connect_lazy_with(options))
}

/// Runs a query, and retries it once if its connection was lost, for example while the connection was idle. Postgres
/// may have run the first attempt too, so running the query twice must do no harm.
///
/// # Errors
/// Returns the error of the last attempt.
pub async fn retry_stale<T, F>(mut query: impl FnMut() -> F) -> Result<T, sqlx::Error>
where
    F: Future<Output = Result<T, sqlx::Error>>,
{
    match query().await {
        Err(error) if is_connection_lost(&error) => query().await,
        result => result,
    }
}

fn is_connection_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        // Codes that begin with 57P: the server ended the session, for example to restart.
        sqlx::Error::Database(database) => database.code().is_some_and(|code| code.starts_with("57P")),
        _ => false,
    }
}
