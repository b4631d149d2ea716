//! Migrations of the platform database, from the files of `migrations/` that are embedded in the binary.
//!
//! Migrations expand first and contract later: the previous version of AtlasHub must work on the tables of the next
//! one. So migrations that this binary doesn't contain are accepted. A migration that was applied with different SQL is
//! an error, since the state of the tables is then unknown.
//!
//! Deliberately absent: projects' databases, whose schema belongs to their owners.

use std::{collections::HashMap, str::FromStr};

use api_types::{Migration, MigrationState};
use chrono::{DateTime, Utc};
use sqlx::{ConnectOptions, Connection, PgConnection, migrate::Migrator, postgres::PgConnectOptions};

/// The embedded migrations. `sqlx.toml` names their table, `platform_migrations`.
static MIGRATOR: Migrator = sqlx::migrate!();

/// Key of the lock that is held while migrations are read and applied, so that nodes that start at the same time take
/// turns.
const ADVISORY_LOCK: i64 = i64::from_be_bytes(*b"atlashub");

/// Reason why the migrations could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    #[error(
        "Migration {version} ({name}) was applied to the platform database with different SQL than this version of \
         AtlasHub contains: start the version that applied it, or restore the database from a backup."
    )]
    Changed { version: i64, name: String },
    #[error("Migration {version} ({name}) failed and was rolled back: {cause}.")]
    Failed { version: i64, name: String, cause: sqlx::Error },
    #[error("Migration {version} was started by another tool and never completed: restore the database from a backup.")]
    Unfinished { version: i64 },
    #[error("The platform database's migrations could not be read or applied: {0}.")]
    Database(#[from] sqlx::Error),
}

/// Applies the pending migrations and returns them, oldest first.
///
/// Several processes may call this at the same time, at every start. It opens its own connection, so that closing it
/// always releases the lock.
///
/// # Errors
/// Returns one of the reasons in [`MigrationError`]. Migrations before the failed one stay applied.
pub async fn apply(database_url: &str) -> Result<Vec<Migration>, MigrationError> {
    let mut connection = PgConnectOptions::from_str(database_url)?
        .application_name("atlashub migrations")
        // Changing a large table may take long.
        .options([("statement_timeout", "0"), ("idle_in_transaction_session_timeout", "0")])
        .connect()
        .await?;
    let result = apply_on(&mut connection).await;
    if let Err(error) = connection.close().await {
        tracing::debug!(%error, "the connection for migrations was not closed cleanly");
    }
    result
}

async fn apply_on(connection: &mut PgConnection) -> Result<Vec<Migration>, MigrationError> {
    sqlx::query("SELECT pg_advisory_lock($1)").bind(ADVISORY_LOCK).execute(&mut *connection).await?;
    let known = status(&mut *connection).await?;
    if let Some(changed) = known.iter().find(|migration| migration.state == MigrationState::Changed) {
        return Err(MigrationError::Changed { version: changed.version, name: changed.name.clone() });
    }
    for unknown in known.iter().filter(|migration| migration.state == MigrationState::Unknown) {
        tracing::warn!(
            version = unknown.version,
            name = unknown.name,
            "a newer version of AtlasHub has migrated this database; upgrade this node soon"
        );
    }
    // Locking is off: the lock above is already held, and an error would leave the migrator's own lock held.
    let migrator = Migrator {
        migrations: MIGRATOR.migrations.clone(),
        table_name: MIGRATOR.table_name.clone(),
        ..Migrator::DEFAULT
    };
    let migrator = Migrator { ignore_missing: true, locking: false, ..migrator };
    migrator.run_direct(None, &mut *connection, false).await.map_err(|error| migration_error(error, &known))?;
    Ok(known.into_iter().filter(|migration| migration.state == MigrationState::Pending).collect())
}

/// Returns every migration of this binary or the database, by version. Changes nothing, even if the database was never
/// migrated.
///
/// # Errors
/// Returns the error of the queries.
pub async fn status(connection: &mut PgConnection) -> Result<Vec<Migration>, sqlx::Error> {
    // Before the first migration there is no table. Selecting from it would put an error into the server's log.
    let is_migrated: bool =
        sqlx::query_scalar("SELECT to_regclass('platform_migrations') IS NOT NULL").fetch_one(&mut *connection).await?;
    if !is_migrated {
        return Ok(compare(Vec::new()));
    }
    sqlx::query_as("SELECT version, description, installed_on, checksum FROM platform_migrations ORDER BY version")
        .fetch_all(&mut *connection)
        .await
        .map(compare)
}

/// Version, name, time and checksum, as the migrator writes them.
type Row = (i64, String, DateTime<Utc>, Vec<u8>);

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

/// Returns the SQL of a migration that this binary contains.
pub fn sql(version: i64) -> Option<&'static str> {
    MIGRATOR.iter().find(|migration| migration.version == version).map(|migration| migration.sql.as_str())
}

fn migration_error(error: sqlx::migrate::MigrateError, known: &[Migration]) -> MigrationError {
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
