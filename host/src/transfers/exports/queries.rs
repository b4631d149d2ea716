//! The fixed SQL of exports.

use api_types::{Export, ExportFormat, ExportSource, ExportState, RunStatus};
use chrono::{DateTime, Utc};
use sqlx::{PgExecutor, PgPool, types::Json};
use uuid::Uuid;

use crate::{db::DatabaseName, plugins::StoredExport};

type Result<T> = std::result::Result<T, sqlx::Error>;

/// An export, with the state of its run.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(in crate::transfers) struct ExportRow {
    pub id: Uuid,
    pub source: Json<ExportSource>,
    pub format: ExportFormat,
    pub gzip: bool,
    pub project_id: Option<String>,
    pub object_key: String,
    pub file_name: String,
    pub run_id: Uuid,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub ready_at: Option<DateTime<Utc>>,
    pub size_bytes: Option<i64>,
    pub sha256: Option<String>,
    pub row_count: Option<i64>,
    /// `None` if there is no such run.
    pub run_status: Option<RunStatus>,
    pub run_error: Option<String>,
    /// Whether the export is younger than a minute, so that its run may still be missing.
    pub is_new: bool,
}

impl ExportRow {
    pub(in crate::transfers) fn database(&self) -> DatabaseName {
        match &self.project_id {
            Some(id) => DatabaseName::Project(id.clone()),
            None => DatabaseName::Platform,
        }
    }

    pub(super) fn state(&self) -> ExportState {
        if self.ready_at.is_some() {
            return ExportState::Ready;
        }
        match self.run_status {
            Some(RunStatus::Queued | RunStatus::Running) => ExportState::Running,
            Some(RunStatus::Cancelled) => ExportState::Cancelled,
            None if self.is_new => ExportState::Running,
            _ => ExportState::Failed,
        }
    }

    pub(super) fn to_wire(&self) -> Export {
        let state = self.state();
        let error_text = (state == ExportState::Failed).then(|| match (self.run_status, &self.run_error) {
            (_, Some(error)) => error.clone(),
            (Some(RunStatus::Timeout), None) => "The run exceeded its time limit.".to_owned(),
            _ => "The run ended without a file.".to_owned(),
        });
        Export {
            id: self.id.to_string(),
            state,
            source: self.source.0.clone(),
            format: self.format,
            gzip: self.gzip,
            file_name: self.file_name.clone(),
            size_bytes: self.size_bytes.unwrap_or(0),
            row_count: self.row_count,
            sha256: self.sha256.clone(),
            run_id: self.run_id.to_string(),
            created_at: self.created_at,
            expires_at: self.expires_at,
            error_text,
        }
    }
}

macro_rules! select_exports {
    () => {
        "SELECT e.id, e.source, e.format, e.gzip, e.project_id, e.object_key, e.file_name, e.run_id, e.created_at,
             e.expires_at, e.ready_at, e.size_bytes, e.sha256, e.row_count, r.status AS run_status,
             r.error_text AS run_error, e.created_at > now() - interval '1 minute' AS is_new
         FROM exports e LEFT JOIN cron_job_runs r ON r.id = e.run_id
         WHERE e.expires_at > now() AND "
    };
}

/// Returns a page of exports, newest first. `before` is the creation time and id of the last export of the previous
/// page.
pub(in crate::transfers) async fn exports(
    pool: &PgPool,
    project: Option<&str>,
    limit: i64,
    before: Option<(DateTime<Utc>, Uuid)>,
) -> Result<Vec<ExportRow>> {
    let (at, id) = before.unzip();
    sqlx::query_as(concat!(
        select_exports!(),
        "($1::timestamptz IS NULL OR (e.created_at, e.id) < ($1, $2)) AND ($4::text IS NULL OR e.project_id = $4)
         ORDER BY e.created_at DESC, e.id DESC LIMIT $3"
    ))
    .bind(at)
    .bind(id)
    .bind(limit)
    .bind(project)
    .fetch_all(pool)
    .await
}

pub(in crate::transfers) async fn export(pool: &PgPool, id: Uuid) -> Result<Option<ExportRow>> {
    sqlx::query_as(concat!(select_exports!(), "e.id = $1")).bind(id).fetch_optional(pool).await
}

/// An export to insert.
pub(super) struct NewExport<'a> {
    pub id: Uuid,
    pub project_id: Option<&'a str>,
    pub source: &'a ExportSource,
    pub format: ExportFormat,
    pub gzip: bool,
    pub object_key: &'a str,
    pub file_name: &'a str,
    pub run_id: Uuid,
    pub lifetime_seconds: f64,
}

pub(super) async fn insert(pool: &PgPool, export: &NewExport<'_>) -> Result<()> {
    sqlx::query(
        "INSERT INTO exports (id, project_id, source, format, gzip, object_key, file_name, run_id, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now() + make_interval(secs => $9))",
    )
    .bind(export.id)
    .bind(export.project_id)
    .bind(Json(export.source))
    .bind(export.format)
    .bind(export.gzip)
    .bind(export.object_key)
    .bind(export.file_name)
    .bind(export.run_id)
    .bind(export.lifetime_seconds)
    .execute(pool)
    .await
    .map(drop)
}

/// Assigns an export to a run, unless the export is ready or has expired. Returns whether it was assigned.
pub(in crate::transfers) async fn claim(executor: impl PgExecutor<'_>, id: Uuid, run: Uuid) -> Result<bool> {
    sqlx::query("UPDATE exports SET run_id = $2 WHERE id = $1 AND ready_at IS NULL AND expires_at > now()")
        .bind(id)
        .bind(run)
        .execute(executor)
        .await
        .map(|updated| updated.rows_affected() > 0)
}

/// Marks an export of a run as ready. Returns whether there is such an export.
pub(in crate::transfers) async fn set_ready(
    executor: impl PgExecutor<'_>,
    id: Uuid,
    run: Uuid,
    stored: &StoredExport,
) -> Result<bool> {
    sqlx::query(
        "UPDATE exports SET ready_at = now(), size_bytes = $3, sha256 = $4, row_count = $5
         WHERE id = $1 AND run_id = $2 AND expires_at > now()",
    )
    .bind(id)
    .bind(run)
    .bind(i64::try_from(stored.size_bytes).unwrap_or(i64::MAX))
    .bind(&stored.sha256)
    .bind(i64::try_from(stored.row_count).unwrap_or(i64::MAX))
    .execute(executor)
    .await
    .map(|updated| updated.rows_affected() > 0)
}

pub(in crate::transfers) async fn delete(pool: &PgPool, id: Uuid) -> Result<()> {
    sqlx::query("DELETE FROM exports WHERE id = $1").bind(id).execute(pool).await.map(drop)
}

/// Returns ids and keys of exports that have expired.
pub(in crate::transfers) async fn expired(pool: &PgPool, limit: i64) -> Result<Vec<(Uuid, String)>> {
    sqlx::query_as("SELECT id, object_key FROM exports WHERE expires_at <= now() ORDER BY expires_at LIMIT $1")
        .bind(limit)
        .fetch_all(pool)
        .await
}

/// Returns which of these exports exist.
pub(in crate::transfers) async fn existing(pool: &PgPool, ids: &[Uuid]) -> Result<Vec<Uuid>> {
    sqlx::query_scalar("SELECT id FROM exports WHERE id = ANY($1)").bind(ids).fetch_all(pool).await
}

/// Returns which of these exports are not ready yet, but may still become ready.
pub(in crate::transfers) async fn in_progress(pool: &PgPool, ids: &[Uuid]) -> Result<Vec<Uuid>> {
    sqlx::query_scalar(
        "SELECT e.id FROM exports e LEFT JOIN cron_job_runs r ON r.id = e.run_id
         WHERE e.id = ANY($1) AND e.ready_at IS NULL
           AND (r.status IN ('queued', 'running') OR r.id IS NULL AND e.created_at > now() - interval '1 minute')",
    )
    .bind(ids)
    .fetch_all(pool)
    .await
}

/// Returns the keys of exports whose run ended within the last hour without a file.
pub(in crate::transfers) async fn failed_keys(pool: &PgPool) -> Result<Vec<String>> {
    sqlx::query_scalar(
        "SELECT e.object_key FROM exports e JOIN cron_job_runs r ON r.id = e.run_id
         WHERE e.ready_at IS NULL AND r.status NOT IN ('queued', 'running')
           AND r.finished_at > now() - interval '1 hour'",
    )
    .fetch_all(pool)
    .await
}
