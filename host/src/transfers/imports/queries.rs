//! The fixed SQL of imports.

use api_types::{ImportError, ImportFormat, RunStatus};
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgExecutor, PgPool, types::Json};
use uuid::Uuid;

use super::plan::Plan;

type Result<T> = std::result::Result<T, sqlx::Error>;

/// The stored state. Together with the state of the run, it determines the state of the import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "camelCase")]
pub(in crate::transfers) enum StoredState {
    AwaitingUpload,
    Uploaded,
    Running,
    Committing,
    Done,
    Failed,
}

/// An import, with the state of its run.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(in crate::transfers) struct ImportRow {
    pub id: Uuid,
    pub project_id: String,
    pub table_name: String,
    pub format: ImportFormat,
    pub file_name: Option<String>,
    pub size_bytes: i64,
    pub object_key: String,
    pub state: StoredState,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    /// An [`api_types::PreviewImport`].
    pub hints: Option<Value>,
    /// A [`Plan`].
    pub plan: Option<Value>,
    pub run_id: Option<Uuid>,
    pub dry_run: bool,
    pub rows_read: i64,
    pub rows_inserted: i64,
    pub rows_updated: i64,
    pub rows_skipped: i64,
    pub errors: Json<Vec<ImportError>>,
    pub error_count: i64,
    pub error_text: Option<String>,
    pub transaction_id: Option<String>,
    pub finished_at: Option<DateTime<Utc>>,
    /// `None` if there is no such run.
    pub run_status: Option<RunStatus>,
    pub run_error: Option<String>,
    pub run_finished_at: Option<DateTime<Utc>>,
    /// Whether the import was started, or else created, less than a minute ago, so that its run may still be missing.
    pub is_new: bool,
}

macro_rules! select_imports {
    () => {
        "SELECT i.id, i.project_id, i.table_name, i.format, i.file_name, i.size_bytes, i.object_key, i.state,
             i.created_at, i.expires_at, i.hints, i.plan, i.run_id, i.dry_run, i.rows_read, i.rows_inserted,
             i.rows_updated, i.rows_skipped, i.errors, i.error_count, i.error_text, i.transaction_id, i.finished_at,
             r.status AS run_status, r.error_text AS run_error, r.finished_at AS run_finished_at,
             coalesce(i.started_at, i.created_at) > now() - interval '1 minute' AS is_new
         FROM imports i LEFT JOIN cron_job_runs r ON r.id = i.run_id
         WHERE i.expires_at > now() AND "
    };
}

pub(in crate::transfers) async fn import(pool: &PgPool, id: Uuid) -> Result<Option<ImportRow>> {
    sqlx::query_as(concat!(select_imports!(), "i.id = $1")).bind(id).fetch_optional(pool).await
}

/// Returns a page of imports, newest first. `before` is the creation time and id of the last import of the previous
/// page.
pub(super) async fn imports(
    pool: &PgPool,
    project: Option<&str>,
    limit: i64,
    before: Option<(DateTime<Utc>, Uuid)>,
) -> Result<Vec<ImportRow>> {
    let (at, id) = before.unzip();
    sqlx::query_as(concat!(
        select_imports!(),
        "($1::timestamptz IS NULL OR (i.created_at, i.id) < ($1, $2)) AND ($4::text IS NULL OR i.project_id = $4)
         ORDER BY i.created_at DESC, i.id DESC LIMIT $3"
    ))
    .bind(at)
    .bind(id)
    .bind(limit)
    .bind(project)
    .fetch_all(pool)
    .await
}

pub(super) async fn committing(pool: &PgPool) -> Result<Vec<ImportRow>> {
    sqlx::query_as(concat!(select_imports!(), "i.state = 'committing'")).fetch_all(pool).await
}

/// An import to insert.
pub(super) struct NewImport<'a> {
    pub id: Uuid,
    pub project_id: &'a str,
    pub table: &'a str,
    pub format: ImportFormat,
    pub file_name: Option<&'a str>,
    pub size_bytes: i64,
    pub object_key: &'a str,
    pub lifetime_seconds: f64,
}

pub(super) async fn insert(pool: &PgPool, import: &NewImport<'_>) -> Result<()> {
    sqlx::query(
        "INSERT INTO imports (id, project_id, table_name, format, file_name, size_bytes, object_key, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, now() + make_interval(secs => $8))",
    )
    .bind(import.id)
    .bind(import.project_id)
    .bind(import.table)
    .bind(import.format)
    .bind(import.file_name)
    .bind(import.size_bytes)
    .bind(import.object_key)
    .bind(import.lifetime_seconds)
    .execute(pool)
    .await
    .map(drop)
}

pub(super) async fn set_uploaded(pool: &PgPool, id: Uuid) -> Result<()> {
    sqlx::query("UPDATE imports SET state = 'uploaded' WHERE id = $1 AND state = 'awaitingUpload'")
        .bind(id)
        .execute(pool)
        .await
        .map(drop)
}

pub(super) async fn set_hints(pool: &PgPool, id: Uuid, hints: &Value) -> Result<()> {
    sqlx::query("UPDATE imports SET hints = $2 WHERE id = $1").bind(id).bind(hints).execute(pool).await.map(drop)
}

/// Assigns an import to a new run, unless it was changed since it was read. Returns whether it was assigned.
pub(super) async fn start(pool: &PgPool, import: &ImportRow, run: Uuid, plan: &Plan) -> Result<bool> {
    sqlx::query(
        "UPDATE imports SET state = 'running', run_id = $2, plan = $3, dry_run = $4, started_at = now(),
             rows_read = 0, rows_inserted = 0, rows_updated = 0, rows_skipped = 0, errors = '[]', error_count = 0,
             error_text = NULL, finished_at = NULL, transaction_id = NULL
         WHERE id = $1 AND state = $5 AND run_id IS NOT DISTINCT FROM $6",
    )
    .bind(import.id)
    .bind(run)
    .bind(Json(plan))
    .bind(plan.dry_run)
    .bind(import.state)
    .bind(import.run_id)
    .execute(pool)
    .await
    .map(|updated| updated.rows_affected() > 0)
}

/// Undoes [`start`], if the run could not be started.
pub(super) async fn undo_start(pool: &PgPool, id: Uuid, run: Uuid) -> Result<()> {
    sqlx::query("UPDATE imports SET state = 'uploaded', run_id = NULL WHERE id = $1 AND run_id = $2")
        .bind(id)
        .bind(run)
        .execute(pool)
        .await
        .map(drop)
}

/// Assigns a started import, whose rows are not in the table, to a run. Returns whether there is such an import.
pub(super) async fn claim(executor: impl PgExecutor<'_>, id: Uuid, run: Uuid) -> Result<bool> {
    sqlx::query(
        "UPDATE imports SET state = 'running', run_id = $2, started_at = now(), finished_at = NULL, error_text = NULL
         WHERE id = $1 AND plan IS NOT NULL AND (state IN ('running', 'failed') OR state = 'done' AND dry_run)",
    )
    .bind(id)
    .bind(run)
    .execute(executor)
    .await
    .map(|updated| updated.rows_affected() > 0)
}

/// The outcome of a run.
pub(super) struct Outcome<'a> {
    pub state: StoredState,
    pub rows_read: u64,
    pub rows_inserted: u64,
    pub rows_updated: u64,
    pub rows_skipped: u64,
    pub errors: &'a [ImportError],
    pub error_count: u64,
    pub error_text: Option<&'a str>,
    pub transaction_id: Option<&'a str>,
}

/// Records the outcome of a run. Returns whether the import still belongs to the run.
pub(super) async fn record(executor: impl PgExecutor<'_>, id: Uuid, run: Uuid, outcome: &Outcome<'_>) -> Result<bool> {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    sqlx::query(
        "UPDATE imports SET state = $3, rows_read = $4, rows_inserted = $5, rows_updated = $6, rows_skipped = $7,
             errors = $8, error_count = $9, error_text = $10, transaction_id = $11,
             finished_at = CASE WHEN $3 = 'committing' THEN NULL ELSE now() END
         WHERE id = $1 AND run_id = $2 AND state = 'running'",
    )
    .bind(id)
    .bind(run)
    .bind(outcome.state)
    .bind(number(outcome.rows_read))
    .bind(number(outcome.rows_inserted))
    .bind(number(outcome.rows_updated))
    .bind(number(outcome.rows_skipped))
    .bind(Json(outcome.errors))
    .bind(number(outcome.error_count))
    .bind(outcome.error_text)
    .bind(outcome.transaction_id)
    .execute(executor)
    .await
    .map(|updated| updated.rows_affected() > 0)
}

/// Returns the status of a transaction of this server: `committed`, `aborted` or `in progress`. Returns `None` if
/// Postgres no longer stores its status.
pub(super) async fn transaction_status(pool: &PgPool, transaction: &str) -> Result<Option<String>> {
    sqlx::query_scalar("SELECT pg_xact_status($1::xid8)").bind(transaction).fetch_one(pool).await
}

pub(super) async fn set_committed(pool: &PgPool, id: Uuid, transaction: &str) -> Result<()> {
    sqlx::query(
        "UPDATE imports SET state = 'done', finished_at = now()
         WHERE id = $1 AND state = 'committing' AND transaction_id = $2",
    )
    .bind(id)
    .bind(transaction)
    .execute(pool)
    .await
    .map(drop)
}

/// Undoes [`record`] for a transaction that was not committed. The state then follows from that of the run, as for any
/// other import that was cancelled or failed.
pub(super) async fn set_aborted(pool: &PgPool, id: Uuid, transaction: &str) -> Result<()> {
    sqlx::query(
        "UPDATE imports SET state = 'running', rows_inserted = 0, rows_updated = 0
         WHERE id = $1 AND state = 'committing' AND transaction_id = $2",
    )
    .bind(id)
    .bind(transaction)
    .execute(pool)
    .await
    .map(drop)
}

pub(in crate::transfers) async fn delete(pool: &PgPool, id: Uuid) -> Result<()> {
    sqlx::query("DELETE FROM imports WHERE id = $1").bind(id).execute(pool).await.map(drop)
}

/// Returns the ids of imports that have expired and are not running, and the object keys of their files.
pub(in crate::transfers) async fn expired(pool: &PgPool, limit: i64) -> Result<Vec<(Uuid, String)>> {
    sqlx::query_as(
        "SELECT i.id, i.object_key FROM imports i LEFT JOIN cron_job_runs r ON r.id = i.run_id
         WHERE i.expires_at <= now() AND r.status IS DISTINCT FROM 'running' ORDER BY i.expires_at LIMIT $1",
    )
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// Returns the object keys of the files of imports whose rows are in the table, and whose run ended within the last
/// hour without success.
pub(in crate::transfers) async fn imported_keys(pool: &PgPool) -> Result<Vec<String>> {
    sqlx::query_scalar(
        "SELECT i.object_key FROM imports i JOIN cron_job_runs r ON r.id = i.run_id
         WHERE i.state = 'done' AND NOT i.dry_run AND r.status NOT IN ('queued', 'running', 'success')
           AND r.finished_at > now() - interval '1 hour'",
    )
    .fetch_all(pool)
    .await
}

/// Returns which of these imports exist.
pub(in crate::transfers) async fn existing(pool: &PgPool, ids: &[Uuid]) -> Result<Vec<Uuid>> {
    sqlx::query_scalar("SELECT id FROM imports WHERE id = ANY($1)").bind(ids).fetch_all(pool).await
}
