//! The fixed SQL of backups.

use api_types::{Backup, BackupState, RunStatus};
use chrono::{DateTime, Utc};
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use super::retention::Fate;

type Result<T> = std::result::Result<T, sqlx::Error>;

#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct BackupRow {
    pub id: Uuid,
    pub target: String,
    pub title: Option<String>,
    pub created_at: DateTime<Utc>,
    pub size_bytes: i64,
    pub sha256: String,
    pub state: BackupState,
    pub object_key: String,
    pub manifest_key: String,
    pub run_id: Option<Uuid>,
    pub verified_at: Option<DateTime<Utc>>,
    /// Time when the last verification failed. `None` if it succeeded, or if there was none.
    pub failed_at: Option<DateTime<Utc>>,
    pub failure: Option<String>,
    /// Number of rows of the owner's tables. `None` until the manifest was read.
    pub row_count: Option<i64>,
    /// Whether the dump is in the age format.
    pub encrypted: bool,
    /// Number and total size of the project's objects. `None` if the backup does not include objects.
    pub object_count: Option<i64>,
    pub object_bytes: Option<i64>,
}

/// The columns of an entry that are compared with the bucket.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct CatalogueKeys {
    pub id: Uuid,
    pub object_key: String,
    pub manifest_key: String,
    pub state: BackupState,
    pub has_row_count: bool,
}

impl BackupRow {
    pub(super) fn to_wire(&self, fate: &Fate) -> Backup {
        Backup {
            id: self.id.to_string(),
            target: self.target.clone(),
            title: self.title.clone(),
            created_at: self.created_at,
            size_bytes: self.size_bytes,
            row_count: self.row_count,
            encrypted: self.encrypted,
            object_count: self.object_count,
            object_bytes: self.object_bytes,
            sha256: self.sha256.clone(),
            state: self.state,
            object_key: self.object_key.clone(),
            manifest_key: self.manifest_key.clone(),
            run_id: self.run_id.map(|id| id.to_string()),
            verified_at: self.verified_at,
            failed_at: self.failed_at,
            error_text: self.failure.clone(),
            kept_by: fate.kept_by.clone(),
            goes_at: fate.goes_at,
            only_good: fate.only_good,
        }
    }
}

/// Returns a page of backups, newest first. `before` is the creation time and the id of the last backup of the previous
/// page.
pub(super) async fn backups(
    pool: &PgPool,
    target: Option<&str>,
    limit: i64,
    before: Option<(DateTime<Utc>, Uuid)>,
) -> Result<Vec<BackupRow>> {
    let (at, id) = before.unzip();
    sqlx::query_as(
        "SELECT id, target, title, created_at, size_bytes, sha256, object_key, manifest_key, run_id, verified_at,
             failed_at, failure, row_count, encrypted, object_count, object_bytes,
             CASE WHEN failed_at IS NOT NULL AND state <> 'missing' THEN 'failed' ELSE state END AS state
         FROM backups
         WHERE ($1::timestamptz IS NULL OR (created_at, id) < ($1, $2)) AND ($4::text IS NULL OR target = $4)
         ORDER BY created_at DESC, id DESC LIMIT $3",
    )
    .bind(at)
    .bind(id)
    .bind(limit)
    .bind(target)
    .fetch_all(pool)
    .await
}

/// Summary of a target's backups. `good_…` describes the newest backup that is neither missing nor failed.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct TargetRow {
    pub target: String,
    pub good_id: Option<Uuid>,
    pub good_at: Option<DateTime<Utc>>,
    pub good_verified_at: Option<DateTime<Utc>>,
    pub last_verified_at: Option<DateTime<Utc>>,
    pub kept_count: i64,
    pub kept_bytes: i64,
    pub oldest_at: Option<DateTime<Utc>>,
}

/// Returns a summary for each target that has entries in the catalogue.
pub(super) async fn targets(pool: &PgPool) -> Result<Vec<TargetRow>> {
    sqlx::query_as(
        "SELECT b.target, good.id AS good_id, good.created_at AS good_at, good.verified_at AS good_verified_at,
             max(b.verified_at) AS last_verified_at, count(*) FILTER (WHERE b.state <> 'missing') AS kept_count,
             coalesce(sum(b.size_bytes) FILTER (WHERE b.state <> 'missing'), 0)::bigint AS kept_bytes,
             min(b.created_at) FILTER (WHERE b.state <> 'missing') AS oldest_at
         FROM backups b
         LEFT JOIN LATERAL (
             SELECT g.id, g.created_at, g.verified_at FROM backups g
             WHERE g.target = b.target AND g.state <> 'missing' AND g.failed_at IS NULL
             ORDER BY g.created_at DESC, g.id DESC LIMIT 1) AS good ON true
         GROUP BY b.target, good.id, good.created_at, good.verified_at",
    )
    .fetch_all(pool)
    .await
}

/// A database that backups should protect.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct ProtectedRow {
    /// `None` for the platform.
    pub project_id: Option<String>,
    pub name: Option<String>,
    pub created_at: Option<DateTime<Utc>>,
}

/// Returns the platform, then the ready projects by name.
pub(super) async fn protected_databases(pool: &PgPool) -> Result<Vec<ProtectedRow>> {
    sqlx::query_as(
        "SELECT NULL AS project_id, NULL AS name, min(installed_on) AS created_at FROM platform_migrations
         UNION ALL
         (SELECT id, name, created_at FROM projects WHERE state = 'ready' ORDER BY lower(name))",
    )
    .fetch_all(pool)
    .await
}

/// Returns the backups that are not missing, newest first. With a target, returns only its backups, without those whose
/// last verification failed, because retention must not count them.
pub(super) async fn present_backups(pool: &PgPool, target: Option<&str>) -> Result<Vec<BackupRow>> {
    sqlx::query_as(
        "SELECT id, target, title, created_at, size_bytes, sha256, object_key, manifest_key, run_id, verified_at,
             failed_at, failure, row_count, encrypted, object_count, object_bytes,
             CASE WHEN failed_at IS NOT NULL AND state <> 'missing' THEN 'failed' ELSE state END AS state
         FROM backups WHERE state <> 'missing' AND ($1::text IS NULL OR (target = $1 AND failed_at IS NULL))
         ORDER BY created_at DESC, id DESC",
    )
    .bind(target)
    .fetch_all(pool)
    .await
}

pub(super) async fn backup(pool: &PgPool, id: Uuid) -> Result<Option<BackupRow>> {
    sqlx::query_as(
        "SELECT id, target, title, created_at, size_bytes, sha256, object_key, manifest_key, run_id, verified_at,
             failed_at, failure, row_count, encrypted, object_count, object_bytes,
             CASE WHEN failed_at IS NOT NULL AND state <> 'missing' THEN 'failed' ELSE state END AS state
         FROM backups WHERE id = $1",
    )
    .bind(id)
    .fetch_optional(pool)
    .await
}

pub(super) async fn catalogue_keys(pool: &PgPool) -> Result<Vec<CatalogueKeys>> {
    sqlx::query_as("SELECT id, object_key, manifest_key, state, row_count IS NOT NULL AS has_row_count FROM backups")
        .fetch_all(pool)
        .await
}

/// Inserts an entry. If it already exists, only sets its run, title and number of rows, where they are missing.
pub(super) async fn insert(db: impl PgExecutor<'_>, row: &BackupRow) -> Result<()> {
    sqlx::query(
        "INSERT INTO backups (id, target, title, created_at, size_bytes, sha256, object_key, manifest_key, run_id,
                              row_count, encrypted, object_count, object_bytes)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
         ON CONFLICT (id) DO UPDATE SET run_id = coalesce(backups.run_id, excluded.run_id),
                                        title = coalesce(backups.title, excluded.title),
                                        row_count = coalesce(backups.row_count, excluded.row_count)",
    )
    .bind(row.id)
    .bind(&row.target)
    .bind(&row.title)
    .bind(row.created_at)
    .bind(row.size_bytes)
    .bind(&row.sha256)
    .bind(&row.object_key)
    .bind(&row.manifest_key)
    .bind(row.run_id)
    .bind(row.row_count)
    .bind(row.encrypted)
    .bind(row.object_count)
    .bind(row.object_bytes)
    .execute(db)
    .await
    .map(drop)
}

pub(super) async fn mark_missing(pool: &PgPool, ids: &[Uuid]) -> Result<u64> {
    let result = sqlx::query("UPDATE backups SET state = 'missing' WHERE id = ANY($1)").bind(ids).execute(pool).await?;
    Ok(result.rows_affected())
}

/// Marks missing backups as ready or verified again.
pub(super) async fn mark_found(pool: &PgPool, ids: &[Uuid]) -> Result<u64> {
    let result = sqlx::query(
        "UPDATE backups SET state = CASE WHEN verified_at IS NULL THEN 'ready' ELSE 'verified' END
         WHERE id = ANY($1) AND state = 'missing'",
    )
    .bind(ids)
    .execute(pool)
    .await?;
    Ok(result.rows_affected())
}

/// Marks a backup as verified. Returns false if the entry doesn't exist.
pub(super) async fn mark_verified(db: &mut sqlx::PgConnection, id: Uuid) -> Result<bool> {
    let result = sqlx::query(
        "UPDATE backups SET state = 'verified', verified_at = now(), failed_at = NULL, failure = NULL WHERE id = $1",
    )
    .bind(id)
    .execute(db)
    .await?;
    Ok(result.rows_affected() > 0)
}

/// Records why the verification of a backup failed. Returns false if the entry doesn't exist.
pub(super) async fn mark_failed(db: &mut sqlx::PgConnection, id: Uuid, failure: &str) -> Result<bool> {
    // The state is changed for older versions, which don't know `failed_at`: they must not return the backup as
    // verified.
    let result = sqlx::query(
        "UPDATE backups SET failed_at = now(), failure = $2,
             state = CASE state WHEN 'verified' THEN 'ready' ELSE state END
         WHERE id = $1",
    )
    .bind(id)
    .bind(failure)
    .execute(db)
    .await?;
    Ok(result.rows_affected() > 0)
}

pub(super) async fn run_is_running(pool: &PgPool, run: Uuid) -> Result<bool> {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM cron_job_runs WHERE id = $1 AND status = 'running')")
        .bind(run)
        .fetch_one(pool)
        .await
}

/// A project whose deletion waits for its final backup.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct WaitingDeletion {
    pub id: String,
    pub name: String,
    pub run: Uuid,
    /// The run's status. `None` if the run was removed from the history.
    pub status: Option<RunStatus>,
    pub error_text: Option<String>,
    /// Whether the run's backup is in the catalogue, and neither missing nor failed.
    pub backed_up: bool,
}

pub(super) async fn waiting_deletions(pool: &PgPool) -> Result<Vec<WaitingDeletion>> {
    sqlx::query_as(
        "SELECT p.id, p.name, p.delete_after_run AS run, r.status, r.error_text,
             EXISTS (SELECT FROM backups b WHERE b.run_id = p.delete_after_run AND b.target = 'project:' || p.id
                     AND b.state <> 'missing' AND b.failed_at IS NULL) AS backed_up
         FROM projects p LEFT JOIN cron_job_runs r ON r.id = p.delete_after_run
         WHERE p.delete_after_run IS NOT NULL AND p.state = 'ready' ORDER BY p.id",
    )
    .fetch_all(pool)
    .await
}

/// Returns whether a project's deletion waits for the run.
pub(super) async fn is_final_backup(pool: &PgPool, run: Uuid) -> Result<bool> {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM projects WHERE delete_after_run = $1)")
        .bind(run)
        .fetch_one(pool)
        .await
}

pub(super) async fn delete(pool: &PgPool, id: Uuid) -> Result<()> {
    sqlx::query("DELETE FROM backups WHERE id = $1").bind(id).execute(pool).await.map(drop)
}
