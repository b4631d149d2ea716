//! Connects to the Postgres server at start: waits until it accepts connections, and rejects unsupported versions.

use std::{
    str::FromStr,
    time::{Duration, Instant},
};

use sqlx::{ConnectOptions, PgConnection, postgres::PgConnectOptions};

/// Major versions of Postgres that the platform is tested with.
pub const SUPPORTED_MAJORS: std::ops::RangeInclusive<u32> = 15..=18;

/// Reason why the platform database can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("ATLASHUB_DATABASE_URL is invalid ({0}): write it as postgres://user:password@host:5432/platform.")]
    Url(sqlx::Error),
    /// Retrying does not help: wrong password, unknown database, or no privilege to connect.
    #[error("Postgres at {address} rejects the login of ATLASHUB_DATABASE_URL ({message}): {remedy}.")]
    Refused { address: String, message: String, remedy: &'static str },
    #[error("Postgres at {address} can't be reached ({cause}): start it, or correct ATLASHUB_DATABASE_URL.")]
    Unreachable { address: String, cause: sqlx::Error },
    #[error("Postgres at {address} is version {major}, but AtlasHub needs a version from 15 to 18.")]
    Version { address: String, major: u32 },
}

/// Connects to the platform database. Retries for up to `timeout` while the server is unreachable.
///
/// # Errors
/// Returns [`ServerError::Url`] for an invalid URL, [`ServerError::Refused`] at once if a retry does not help,
/// [`ServerError::Unreachable`] after `timeout`, and [`ServerError::Version`] for an unsupported version.
pub async fn connect_with_retry(database_url: &str, timeout: Duration) -> Result<PgConnection, ServerError> {
    let options = PgConnectOptions::from_str(database_url).map_err(ServerError::Url)?.application_name("atlashub");
    let address = format!("{}:{}", options.get_host(), options.get_port());
    let started = Instant::now();
    let mut pause = Duration::from_millis(100);
    let mut connection = loop {
        let attempt = tokio::time::timeout(Duration::from_secs(5), options.connect()).await;
        let cause = match attempt {
            Ok(Ok(connection)) => break connection,
            Ok(Err(error)) => error,
            Err(_) => sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "no response in 5 seconds")),
        };
        if let Some((message, remedy)) = permanent_refusal(&cause) {
            return Err(ServerError::Refused { address, message, remedy });
        }
        if started.elapsed() + pause > timeout {
            return Err(ServerError::Unreachable { address, cause });
        }
        if pause >= Duration::from_secs(1) {
            tracing::warn!(address, error = %cause, waited_s = started.elapsed().as_secs(), "waiting for Postgres");
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    };
    match major(&mut connection).await {
        Ok(major) if SUPPORTED_MAJORS.contains(&major) => Ok(connection),
        Ok(major) => Err(ServerError::Version { address, major }),
        Err(cause) => Err(ServerError::Unreachable { address, cause }),
    }
}

/// Returns the server's major version, 15 for 15.14.
///
/// # Errors
/// Returns the error of the query.
pub async fn major(connection: &mut PgConnection) -> Result<u32, sqlx::Error> {
    let number: i32 =
        sqlx::query_scalar("SELECT current_setting('server_version_num')::int").fetch_one(connection).await?;
    Ok(number.unsigned_abs() / 10_000)
}

/// Returns Postgres's message and a remedy if retrying would fail the same way.
fn permanent_refusal(error: &sqlx::Error) -> Option<(String, &'static str)> {
    let error = error.as_database_error()?;
    let remedy = match error.code()?.as_ref() {
        "28P01" | "28000" => "correct its user and password, or the server's pg_hba.conf",
        "3D000" => "create the database on the server, for example with `CREATE DATABASE platform`",
        "42501" => "let its user connect, for example with `GRANT CONNECT ON DATABASE platform TO …`",
        _ => return None,
    };
    Some((error.message().to_owned(), remedy))
}
