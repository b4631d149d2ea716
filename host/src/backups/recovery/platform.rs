//! Restores the platform database.

use chrono::Utc;
use postgres_protocol::escape::escape_identifier;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};

use super::{Dump, RecoveryError, check_tables, merge};
use crate::{
    backups::StoredBackup,
    config::AgeIdentity,
    db::{
        audit::{self, NewAuditEntry},
        restore::{Archive, Restorer},
    },
    object_store::ObjectStore,
    secrets::{self, KeyId, SealedColumn, Sealer},
};

/// Ends the owner's sessions, and the work that was in progress when the backup was made.
///
/// Also ends the size limits of signed uploads, because objects above their limit are removed. An object may be newer
/// than the backup: its upload may have been signed with a higher limit, which is lost.
const SETTLE: &str = "DELETE FROM admin_sessions; DELETE FROM nodes; DELETE FROM run_identities;
    DELETE FROM notification_deliveries WHERE state = 'pending';
    UPDATE cron_job_runs SET status = 'fail', finished_at = now(), lease_token = NULL, lease_until = NULL,
        error_text = 'the platform database was restored' WHERE status IN ('queued', 'running');
    UPDATE restores SET state = 'failed', finished_at = now(), new_database = NULL,
        error_text = 'the platform database was restored' WHERE state IN ('loading', 'checking', 'swapping');
    DELETE FROM file_metadata WHERE gone;
    UPDATE file_metadata SET expires_at = 'epoch', owner_expires_at = 'epoch' WHERE expires_at > 'epoch';";

/// A restored platform database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoredPlatform {
    /// Number of rows of all tables.
    pub rows: u64,
    /// Name under which the previous database is kept. `None` if there was none, or if it was empty.
    pub kept: Option<String>,
    /// What became of the revocations that were made since the backup. `None` if no database was kept.
    pub revocations: Option<LaterRevocations>,
    /// Names of the projects that the previous database does not have. All their keys are revoked.
    pub returned_projects: Vec<String>,
    /// Tables of the backup that this version of AtlasHub does not have.
    pub unknown_tables: Vec<String>,
}

/// The revocations in the previous platform database that were made after the backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaterRevocations {
    /// The restored database contains them.
    Applied,
    /// The previous database could not be read.
    Unreadable,
    /// The previous database knows none of the restored projects, so it may belong to another installation.
    OfOtherInstallation,
}

/// The master keys that have to open the sealed values of a restored platform database.
pub struct RequiredKeys {
    pub sealer: Sealer,
    pub columns: Vec<SealedColumn>,
}

impl RequiredKeys {
    /// Returns the id of a key that sealed a value, and that the sealer does not have.
    async fn find_missing(&self, database: &mut PgConnection) -> Result<Option<KeyId>, sqlx::Error> {
        let found = secrets::find_keys(database, &self.columns).await?;
        Ok(found.into_iter().find(|key| !self.sealer.has_key(*key)))
    }
}

/// Returns the names of the programs that are connected to the platform database.
///
/// # Errors
/// Fails if Postgres can't be reached.
pub async fn other_sessions(restorer: &Restorer) -> Result<Vec<String>, RecoveryError> {
    let mut connection = restorer.connect_for_maintenance().await?;
    let names = sqlx::query_scalar(
        "SELECT DISTINCT coalesce(nullif(application_name, ''), 'unknown program') FROM pg_stat_activity
         WHERE datname = $1 AND pid <> pg_backend_pid() AND backend_type = 'client backend' ORDER BY 1",
    )
    .bind(restorer.platform_database())
    .fetch_all(&mut connection)
    .await?;
    connection.close().await?;
    Ok(names)
}

/// Returns the databases that were kept for a project when its database was replaced, but that no restore lists. Their
/// entries were lost when the platform database was restored while the previous one could not be read.
///
/// # Errors
/// Fails if the platform database can't be reached.
pub async fn unlisted_databases(platform: &PgPool) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT d.datname::text FROM pg_database d
         JOIN projects p ON starts_with(d.datname::text, 'proj_' || p.id || '_before_')
         WHERE NOT EXISTS (SELECT FROM restores r WHERE r.previous_database = d.datname) ORDER BY 1",
    )
    .fetch_all(platform)
    .await
}

/// Restores the platform database from a backup. No server may use the database. The call can be repeated after a
/// crash. With `keys`, the database is only replaced if they open the restored values.
///
/// # Errors
/// Fails if the dump is missing, was changed or can't be decrypted, if the loaded tables differ from the manifest, if
/// `keys` lacks a master key, or if Postgres or the store is unavailable. The database is then not replaced; for the
/// only exception, see [`RecoveryError`].
pub async fn restore_platform(
    store: &ObjectStore,
    restorer: &Restorer,
    backup: &StoredBackup,
    identity: Option<&AgeIdentity>,
    keys: Option<&RequiredKeys>,
) -> Result<RestoredPlatform, RecoveryError> {
    let live = restorer.platform_database().to_owned();
    let new = format!("{live}_restore");
    let mut dump = Dump::open(store, backup).await?;
    let loaded = {
        let mut bytes = dump.read(identity).await?;
        let archive = Archive { bytes: &mut bytes, dump_version: backup.manifest.dump_version.as_deref() };
        restorer.load_platform(&new, &secrets::random_password(), archive).await
    };
    let loaded = dump.check(backup, loaded)?;
    let is_loaded = |table: &&crate::backups::ManifestTable| {
        table.table != "platform_migrations" && !loaded.unknown_tables.contains(&table.table)
    };
    check_tables(backup.manifest.tables.iter().filter(is_loaded), &loaded.tables)?;

    let mut connection = restorer.connect_for_maintenance().await?;
    let present = Present::read(restorer, &mut connection, &live).await?;
    let mut restored = restorer.connect_to(&new).await?;
    let mut transaction = restored.begin().await?;
    sqlx::raw_sql(SETTLE).execute(&mut *transaction).await?;
    if let Some(keys) = keys
        && let Some(missing) = keys.find_missing(&mut transaction).await?
    {
        let _ = transaction.rollback().await;
        let _ = restored.close().await;
        // If the database can't be dropped, only the missing key is reported. The next restore drops the database.
        let dropped = execute(&mut connection, format!("DROP DATABASE {} WITH (FORCE)", escape_identifier(&new))).await;
        if let Err(error) = dropped {
            tracing::warn!(database = new, %error, "the database of a refused restore could not be dropped");
        }
        return Err(RecoveryError::MissingKey(missing));
    }
    let returned_projects = match &present {
        Present::Readable(revocations) => merge::apply(&mut transaction, revocations).await?,
        Present::Missing | Present::Empty | Present::Unreadable => None,
    };
    let mut entry = NewAuditEntry::new("cli", "platform.restore");
    entry.target = Some("platform".to_owned());
    entry.details = serde_json::json!({ "backup": backup.object_key, "createdAt": backup.manifest.created_at });
    audit::record(&mut *transaction, &entry).await?;
    transaction.commit().await?;
    restored.close().await?;

    let kept = present.is_kept().then(|| format!("{live}_before_{}", Utc::now().format("%Y%m%d%H%M%S")));
    if let Present::Empty = present {
        execute(&mut connection, format!("DROP DATABASE {}", escape_identifier(&live))).await?;
    }
    let mut transaction = connection.begin().await?;
    if let Some(kept) = &kept {
        rename(&mut transaction, &live, kept).await?;
    }
    rename(&mut transaction, &new, &live).await?;
    transaction.commit().await?;
    // An error must not hide that the database was replaced.
    let _ = connection.close().await;
    let rows = loaded.tables.iter().map(|table| table.rows).sum();
    let revocations = kept.as_ref().map(|_| match (&present, &returned_projects) {
        (Present::Readable(_), Some(_)) => LaterRevocations::Applied,
        (Present::Readable(_), None) => LaterRevocations::OfOtherInstallation,
        _ => LaterRevocations::Unreadable,
    });
    let returned_projects = returned_projects.unwrap_or_default();
    let unknown_tables = loaded.unknown_tables;
    Ok(RestoredPlatform { rows, kept, revocations, returned_projects, unknown_tables })
}

/// The current platform database.
enum Present {
    Missing,
    /// The database exists but contains no tables, as on a new machine.
    Empty,
    Readable(merge::Revocations),
    Unreadable,
}

impl Present {
    async fn read(restorer: &Restorer, connection: &mut PgConnection, live: &str) -> Result<Self, sqlx::Error> {
        let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(live)
            .fetch_one(connection)
            .await?;
        if !exists {
            return Ok(Self::Missing);
        }
        let reading = async {
            let mut present = restorer.connect_to(live).await?;
            let is_empty: bool = sqlx::query_scalar(
                "SELECT NOT EXISTS (SELECT FROM pg_class
                                    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace)",
            )
            .fetch_one(&mut present)
            .await?;
            let read = if is_empty { Self::Empty } else { Self::Readable(merge::read(&mut present).await?) };
            present.close().await?;
            Ok::<_, sqlx::Error>(read)
        };
        Ok(reading.await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the current platform database can't be read");
            Self::Unreadable
        }))
    }

    fn is_kept(&self) -> bool {
        matches!(self, Self::Readable(_) | Self::Unreadable)
    }
}

async fn execute(connection: &mut PgConnection, sql: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop)
}

async fn rename(connection: &mut PgConnection, from: &str, to: &str) -> Result<(), sqlx::Error> {
    execute(connection, format!("ALTER DATABASE {} RENAME TO {}", escape_identifier(from), escape_identifier(to))).await
}
