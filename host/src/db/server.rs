//! The Postgres server at the start: waiting for one that is still coming up, and refusing a version that the
//! platform was not tested with.

use std::{
    str::FromStr,
    time::{Duration, Instant},
};

use sqlx::{ConnectOptions, PgConnection, postgres::PgConnectOptions};

/// The majors the platform is tested with.
pub const SUPPORTED_MAJORS: std::ops::RangeInclusive<u32> = 15..=18;

#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("ATLASHUB_DATABASE_URL can't be used ({0}): write it as postgres://user:password@host:5432/platform.")]
    Url(sqlx::Error),
    /// Waiting does not help: wrong password, no such database, no right to connect.
    #[error("Postgres at {address} refuses ATLASHUB_DATABASE_URL ({message}): {remedy}.")]
    Refused { address: String, message: String, remedy: &'static str },
    #[error("Postgres at {address} can't be reached ({cause}): start it, or correct ATLASHUB_DATABASE_URL.")]
    Unreachable { address: String, cause: sqlx::Error },
    #[error("Postgres at {address} is version {major}; AtlasHub works with 15 to 18: connect it to one of these.")]
    Version { address: String, major: u32 },
}

/// Connects as the platform, trying for as long as `patience` where the server does not answer yet.
pub async fn reach(database_url: &str, patience: Duration) -> Result<PgConnection, ServerError> {
    let options = PgConnectOptions::from_str(database_url).map_err(ServerError::Url)?.application_name("atlashub");
    let address = format!("{}:{}", options.get_host(), options.get_port());
    let started = Instant::now();
    let mut pause = Duration::from_millis(100);
    let mut connection = loop {
        let attempt = tokio::time::timeout(Duration::from_secs(5), options.connect()).await;
        let cause = match attempt {
            Ok(Ok(connection)) => break connection,
            Ok(Err(error)) => error,
            Err(_) => sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer in 5 seconds")),
        };
        if let Some((message, remedy)) = refusal(&cause) {
            return Err(ServerError::Refused { address, message, remedy });
        }
        if started.elapsed() + pause > patience {
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

/// 15 for 15.14.
pub async fn major(connection: &mut PgConnection) -> Result<u32, sqlx::Error> {
    let number: i32 =
        sqlx::query_scalar("SELECT current_setting('server_version_num')::int").fetch_one(connection).await?;
    Ok(number.unsigned_abs() / 10_000)
}

/// What Postgres says where trying again would get the same answer.
fn refusal(error: &sqlx::Error) -> Option<(String, &'static str)> {
    let error = error.as_database_error()?;
    let remedy = match error.code()?.as_ref() {
        "28P01" | "28000" => "correct its user and password, or the server's pg_hba.conf",
        "3D000" => "create the database on the server, for example with `CREATE DATABASE platform`",
        "42501" => "let its user connect, for example with `GRANT CONNECT ON DATABASE platform TO …`",
        _ => return None,
    };
    Some((error.message().to_owned(), remedy))
}
