//! Migrations of the platform database: the files of `migrations/`, inside the binary.
//!
//! Expand, then contract: the version before must work on the tables of the version after, so migrations that
//! this binary does not carry are no obstacle. One that was applied with another text is: nobody knows then
//! what the tables look like. Not here: projects' databases, which are their owners'.

use std::{collections::HashMap, str::FromStr};

use api_types::{Migration, MigrationState};
use chrono::{DateTime, Utc};
use sqlx::{
    Acquire, ConnectOptions, Connection, PgConnection, Postgres, migrate::Migrator, postgres::PgConnectOptions,
};

/// Its table is `platform_migrations`, see `sqlx.toml`.
static MIGRATOR: Migrator = sqlx::migrate!();

/// Taken over reading and applying, so that nodes that start together take turns.
const ADVISORY_LOCK: i64 = i64::from_be_bytes(*b"atlashub");

#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    #[error(
        "Migration {version} ({name}) was applied to the platform database with another text than this version of \
         AtlasHub carries: start the version that applied it, or restore the database from a backup."
    )]
    Changed { version: i64, name: String },
    #[error("Migration {version} ({name}) failed and was undone: {cause}")]
    Failed { version: i64, name: String, cause: sqlx::Error },
    #[error("Migration {version} was begun by other means and never ended: restore the database from a backup.")]
    Unfinished { version: i64 },
    #[error("The platform database's migrations could not be read or applied: {0}")]
    Database(#[from] sqlx::Error),
}

/// Applies what is pending and answers it, oldest first. Safe to call from several processes at once and at
/// every start. Uses a connection of its own, whose end releases the lock whatever happens.
pub async fn apply(database_url: &str) -> Result<Vec<Migration>, MigrationError> {
    let mut connection = PgConnectOptions::from_str(database_url)?
        .application_name("atlashub migrations")
        // A change of a large table takes as long as it takes.
        .options([("statement_timeout", "0"), ("idle_in_transaction_session_timeout", "0")])
        .connect()
        .await?;
    let result = apply_on(&mut connection).await;
    if let Err(error) = connection.close().await {
        tracing::debug!(%error, "the migrations' connection did not close in order");
    }
    result
}

async fn apply_on(connection: &mut PgConnection) -> Result<Vec<Migration>, MigrationError> {
    sqlx::query("SELECT pg_advisory_lock($1)").bind(ADVISORY_LOCK).execute(&mut *connection).await?;
    let before = status_at_start(connection).await?;
    if let Some(changed) = before.iter().find(|migration| migration.state == MigrationState::Changed) {
        return Err(MigrationError::Changed { version: changed.version, name: changed.name.clone() });
    }
    for unknown in before.iter().filter(|migration| migration.state == MigrationState::Unknown) {
        tracing::warn!(
            version = unknown.version,
            name = unknown.name,
            "a newer AtlasHub has migrated this database; this one goes on, upgrade it soon"
        );
    }
    // Ours is held already, and an error would leave the migrator's own held.
    let migrator = Migrator {
        migrations: MIGRATOR.migrations.clone(),
        table_name: MIGRATOR.table_name.clone(),
        ..Migrator::DEFAULT
    };
    let migrator = Migrator { ignore_missing: true, locking: false, ..migrator };
    migrator.run_direct(None, &mut *connection, false).await.map_err(|error| explain(error, &before))?;
    Ok(before.into_iter().filter(|migration| migration.state == MigrationState::Pending).collect())
}

/// Every migration that this binary carries or the database has, by version. Changes nothing, also where the
/// database has never been migrated.
pub async fn status<'c>(database: impl Acquire<'c, Database = Postgres>) -> Result<Vec<Migration>, sqlx::Error> {
    match applied(&mut *database.acquire().await?).await {
        // 42P01: there is no such table, as nothing was ever applied.
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42P01") => Ok(compare(Vec::new())),
        rows => rows.map(compare),
    }
}

/// Version, name, time and checksum, as the migrator writes them.
type Row = (i64, String, DateTime<Utc>, Vec<u8>);

async fn applied(connection: &mut PgConnection) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as("SELECT version, description, installed_on, checksum FROM platform_migrations ORDER BY version")
        .fetch_all(connection)
        .await
}

/// As [`status`], without an error in the server's log where nothing was ever applied.
async fn status_at_start(connection: &mut PgConnection) -> Result<Vec<Migration>, sqlx::Error> {
    let migrated: bool =
        sqlx::query_scalar("SELECT to_regclass('platform_migrations') IS NOT NULL").fetch_one(&mut *connection).await?;
    Ok(compare(if migrated { applied(connection).await? } else { Vec::new() }))
}

fn compare(applied: Vec<Row>) -> Vec<Migration> {
    let mut applied: HashMap<i64, Row> = applied.into_iter().map(|row| (row.0, row)).collect();
    let mut migrations: Vec<Migration> = MIGRATOR
        .iter()
        .map(|migration| {
            let row = applied.remove(&migration.version);
            let state = match &row {
                None => MigrationState::Pending,
                Some((_, _, _, checksum)) if checksum.as_slice() == &*migration.checksum => MigrationState::Applied,
                Some(_) => MigrationState::Changed,
            };
            Migration {
                version: migration.version,
                name: migration.description.clone().into_owned(),
                state,
                applied_at: row.map(|(_, _, applied_at, _)| applied_at),
            }
        })
        .collect();
    migrations.extend(applied.into_values().map(|(version, name, applied_at, _)| Migration {
        version,
        name,
        state: MigrationState::Unknown,
        applied_at: Some(applied_at),
    }));
    migrations.sort_by_key(|migration| migration.version);
    migrations
}

/// The text of a migration that this binary carries.
pub fn text(version: i64) -> Option<&'static str> {
    MIGRATOR.iter().find(|migration| migration.version == version).map(|migration| migration.sql.as_str())
}

fn explain(error: sqlx::migrate::MigrateError, known: &[Migration]) -> MigrationError {
    use sqlx::migrate::MigrateError;
    let name = |version: i64| {
        known
            .iter()
            .find(|migration| migration.version == version)
            .map(|migration| migration.name.clone())
            .unwrap_or_default()
    };
    match error {
        MigrateError::ExecuteMigration(cause, version) => {
            MigrationError::Failed { version, name: name(version), cause }
        }
        MigrateError::VersionMismatch(version) => MigrationError::Changed { version, name: name(version) },
        MigrateError::Dirty(version) => MigrationError::Unfinished { version },
        MigrateError::Execute(error) => MigrationError::Database(error),
        other => MigrationError::Database(sqlx::Error::Protocol(other.to_string())),
    }
}
