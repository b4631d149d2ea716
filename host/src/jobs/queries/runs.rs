use api_types::{Run, RunProgress};
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgExecutor, PgPool, types::Json};
use uuid::Uuid;

use crate::jobs::names::{parse_status, parse_trigger};

/// A run as it is stored, without its log.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(in crate::jobs) struct RunRow {
    pub(in crate::jobs) id: Uuid,
    pub(in crate::jobs) job_id: Option<Uuid>,
    project_id: Option<String>,
    plugin: String,
    plugin_job: String,
    status: String,
    trigger: String,
    attempt: i32,
    scheduled_for: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    duration_ms: Option<i64>,
    http_status: Option<i32>,
    error_text: Option<String>,
    progress: Option<Json<RunProgress>>,
    result: Option<Value>,
    log_object_key: Option<String>,
}

impl RunRow {
    pub(in crate::jobs) fn into_wire(self) -> Run {
        Run {
            id: self.id.to_string(),
            job_id: self.job_id.map(|id| id.to_string()),
            project_id: self.project_id,
            plugin: self.plugin,
            plugin_job: self.plugin_job,
            status: parse_status(&self.status),
            trigger: parse_trigger(&self.trigger),
            attempt: self.attempt,
            scheduled_for: self.scheduled_for,
            created_at: self.created_at,
            started_at: self.started_at,
            finished_at: self.finished_at,
            duration_ms: self.duration_ms,
            http_status: self.http_status,
            error_text: self.error_text,
            progress: self.progress.map(|progress| progress.0),
            result: self.result,
            log_object_key: self.log_object_key,
        }
    }
}

/// What a list of runs is narrowed to.
#[derive(Debug, Default)]
pub(in crate::jobs) struct RunFilter {
    pub(in crate::jobs) job_id: Option<Uuid>,
    pub(in crate::jobs) project_id: Option<String>,
    pub(in crate::jobs) plugin: Option<String>,
    pub(in crate::jobs) status: Option<&'static str>,
}

/// Runs, newest first.
pub(in crate::jobs) async fn runs(
    pool: &PgPool,
    filter: &RunFilter,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<RunRow>, sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT ",
        run_columns!(),
        " FROM cron_job_runs
          WHERE ($1::uuid IS NULL OR job_id = $1) AND ($2::text IS NULL OR project_id = $2)
            AND ($3::text IS NULL OR plugin = $3) AND ($4::text IS NULL OR status = $4)
            AND ($5::uuid IS NULL OR id < $5)
          ORDER BY id DESC LIMIT $6"
    ))
    .bind(filter.job_id)
    .bind(&filter.project_id)
    .bind(&filter.plugin)
    .bind(filter.status)
    .bind(after)
    .bind(limit)
    .fetch_all(pool)
    .await
}

pub(in crate::jobs) async fn run(pool: &PgPool, id: Uuid) -> Result<Option<RunRow>, sqlx::Error> {
    sqlx::query_as(concat!("SELECT ", run_columns!(), " FROM cron_job_runs WHERE id = $1"))
        .bind(id)
        .fetch_optional(pool)
        .await
}

/// Queues a run of a job by hand; false where the job is gone.
pub(in crate::jobs) async fn begin_job_run(pool: &PgPool, id: Uuid, job: Uuid) -> Result<bool, sqlx::Error> {
    let begun: Option<Uuid> = sqlx::query_scalar(
        "WITH inserted AS (
             INSERT INTO cron_job_runs
                 (id, job_id, project_id, plugin, plugin_job, params, timeout_ms, retries_left, retry_backoff_ms,
                  exclusive, trigger)
             SELECT $1, id, project_id,
                 CASE type WHEN 'http' THEN 'http-job' ELSE coalesce(plugin, '') END,
                 CASE type WHEN 'http' THEN 'request' ELSE coalesce(plugin_job, '') END,
                 params, timeout_ms, retries, retry_backoff_ms, overlap <> 'allow', 'manual'
             FROM cron_jobs WHERE id = $2
             RETURNING id
         )
         SELECT id, pg_notify($3, 'queued')::text FROM inserted",
    )
    .bind(id)
    .bind(job)
    .bind(super::CHANNEL)
    .fetch_optional(pool)
    .await?;
    Ok(begun.is_some())
}

/// A run of no job.
#[derive(Debug)]
pub(in crate::jobs) struct NewRunRow<'a> {
    pub(in crate::jobs) id: Uuid,
    pub(in crate::jobs) project_id: Option<&'a str>,
    pub(in crate::jobs) plugin: &'a str,
    pub(in crate::jobs) plugin_job: &'a str,
    pub(in crate::jobs) params: &'a Value,
    pub(in crate::jobs) timeout_ms: i32,
}

pub(in crate::jobs) async fn begin_run(pool: &PgPool, run: &NewRunRow<'_>) -> Result<(), sqlx::Error> {
    sqlx::query(
        "WITH inserted AS (
             INSERT INTO cron_job_runs (id, project_id, plugin, plugin_job, params, timeout_ms, trigger)
             VALUES ($1, $2, $3, $4, $5, $6, 'manual')
         )
         SELECT pg_notify($7, 'queued')",
    )
    .bind(run.id)
    .bind(run.project_id)
    .bind(run.plugin)
    .bind(run.plugin_job)
    .bind(run.params)
    .bind(run.timeout_ms)
    .bind(super::CHANNEL)
    .execute(pool)
    .await?;
    Ok(())
}

/// Cancels a queued run, and asks the scheduler of a running one to; false where it has ended, or there is none.
pub(in crate::jobs) async fn cancel(pool: &PgPool, id: Uuid) -> Result<bool, sqlx::Error> {
    let cancelled: Option<String> = sqlx::query_scalar(
        "UPDATE cron_job_runs SET
             cancel_requested_at = coalesce(cancel_requested_at, now()),
             finished_at = CASE status WHEN 'queued' THEN now() ELSE finished_at END,
             error_text = CASE status WHEN 'queued' THEN 'cancelled before it began' ELSE error_text END,
             status = CASE status WHEN 'queued' THEN 'cancelled' ELSE status END
         WHERE id = $1 AND status IN ('queued', 'running')
         RETURNING pg_notify($2, 'cancel:' || id)::text",
    )
    .bind(id)
    .bind(super::CHANNEL)
    .fetch_optional(pool)
    .await?;
    Ok(cancelled.is_some())
}

/// Cancels what a job that was disabled still had queued; runs by hand stay.
pub(in crate::jobs) async fn cancel_queued(pool: &PgPool, job: Uuid) -> Result<u64, sqlx::Error> {
    let cancelled = sqlx::query(
        "UPDATE cron_job_runs SET status = 'cancelled', finished_at = now(), error_text = 'the job was disabled'
         WHERE job_id = $1 AND status = 'queued' AND trigger <> 'manual'",
    )
    .bind(job)
    .execute(pool)
    .await?;
    Ok(cancelled.rows_affected())
}

/// Runs of a job that are going on.
pub(in crate::jobs) async fn running_of_job(pool: impl PgExecutor<'_>, job: Uuid) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar("SELECT id FROM cron_job_runs WHERE job_id = $1 AND status = 'running'")
        .bind(job)
        .fetch_all(pool)
        .await
}

/// A run's log and where it stands, read together.
#[derive(Debug, sqlx::FromRow)]
pub(in crate::jobs) struct LogPart {
    pub(in crate::jobs) status: String,
    /// Bytes of the log that can be read, in the row or in storage.
    pub(in crate::jobs) log_bytes: i64,
    /// The beginning; none where there is nothing after the asked offset.
    pub(in crate::jobs) log_text: Option<String>,
    pub(in crate::jobs) log_object_key: Option<String>,
}

pub(in crate::jobs) async fn log_part(pool: &PgPool, id: Uuid, offset: i64) -> Result<Option<LogPart>, sqlx::Error> {
    sqlx::query_as(
        "SELECT status, log_bytes, log_object_key, CASE WHEN log_bytes > $2 THEN log_text END AS log_text
         FROM cron_job_runs WHERE id = $1",
    )
    .bind(id)
    .bind(offset)
    .fetch_optional(pool)
    .await
}
