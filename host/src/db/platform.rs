//! The platform database: one sqlx pool.

use std::{str::FromStr, time::Duration};

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

/// A pool of up to `max` connections, opened lazily.
pub fn connect(url: &str, max: u32) -> Result<PgPool, sqlx::Error> {
    let options = PgConnectOptions::from_str(url)?
        .application_name("atlashub")
        .options([("statement_timeout", "15000"), ("idle_in_transaction_session_timeout", "60000")]);
    Ok(PgPoolOptions::new()
        .max_connections(max)
        .acquire_timeout(Duration::from_secs(3))
        .idle_timeout(Duration::from_secs(120))
        // A dead connection shows itself at its first use; a ping before each would cost a round trip.
        .test_before_acquire(false)
        .connect_lazy_with(options))
}

/// Runs a query once more where the connection it got had died while idle.
pub async fn retry_stale<T, F>(mut query: impl FnMut() -> F) -> Result<T, sqlx::Error>
where
    F: Future<Output = Result<T, sqlx::Error>>,
{
    match query().await {
        Err(error) if connection_lost(&error) => query().await,
        result => result,
    }
}

fn connection_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        // 57P01: the server shut the session down, as it does at a restart.
        sqlx::Error::Database(database) => database.code().is_some_and(|code| code.starts_with("57P")),
        _ => false,
    }
}
