//! Fixed SQL on the table `cron_jobs`.

use api_types::{CatchUp, JobType, Overlap};
use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use serde_json::Value;
use sqlx::{PgPool, types::Json};
use uuid::Uuid;

use crate::jobs::signals;

macro_rules! job_columns {
    () => {
        "id, project_id, name, type, schedule_cron, timezone, http_url, http_method, http_headers_json, \
         http_body_json, plugin, plugin_job, params, enabled, timeout_ms, retries, retry_backoff_ms, overlap, \
         catch_up, scheduled_until, next_run_at, created_at, updated_at"
    };
}

/// A row of `cron_jobs`. Its JSON form has the table's column names, for `jsonb_populate_record`.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub(super) struct JobRow {
    pub id: Uuid,
    pub project_id: Option<String>,
    pub name: String,
    #[sqlx(rename = "type")]
    #[serde(rename = "type")]
    pub job_type: JobType,
    pub schedule_cron: String,
    pub timezone: String,
    pub http_url: Option<String>,
    pub http_method: Option<String>,
    /// Sealed.
    #[serde(serialize_with = "serialize_bytea")]
    pub http_headers_json: Option<Vec<u8>>,
    /// Sealed.
    #[serde(serialize_with = "serialize_bytea")]
    pub http_body_json: Option<Vec<u8>>,
    pub plugin: Option<String>,
    pub plugin_job: Option<String>,
    pub params: Value,
    pub enabled: bool,
    pub timeout_ms: i32,
    pub retries: i32,
    pub retry_backoff_ms: i32,
    pub overlap: Overlap,
    pub catch_up: CatchUp,
    pub scheduled_until: DateTime<Utc>,
    pub next_run_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Writes bytes in Postgres's hex format, which its `bytea` input accepts.
fn serialize_bytea<S: Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    bytes.as_ref().map(|bytes| format!("\\x{}", hex::encode(bytes))).serialize(serializer)
}

/// Filter of a list of jobs.
#[derive(Debug, Default)]
pub(super) struct JobFilter {
    pub project_id: Option<String>,
    /// The plugin that executes the job. For jobs of type `http`, this is always `http-job`.
    pub plugin: Option<String>,
    pub enabled: Option<bool>,
    /// Text that the name, the plugin or the URL contains, without regard to case.
    pub q: Option<String>,
}

/// Returns jobs, oldest first. Without a limit, returns all of them.
pub(super) async fn list_jobs(
    pool: &PgPool,
    filter: &JobFilter,
    after: Option<Uuid>,
    limit: Option<i64>,
) -> Result<Vec<JobRow>, sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT ",
        job_columns!(),
        " FROM cron_jobs
          WHERE ($1::text IS NULL OR project_id = $1)
            AND ($2::text IS NULL OR CASE type WHEN 'http' THEN 'http-job' ELSE plugin END = $2)
            AND ($3::boolean IS NULL OR enabled = $3) AND ($4::uuid IS NULL OR id > $4)
            AND ($6::text IS NULL OR position(lower($6) IN lower(concat_ws(' ', name, plugin, http_url))) > 0)
          ORDER BY id LIMIT $5"
    ))
    .bind(&filter.project_id)
    .bind(&filter.plugin)
    .bind(filter.enabled)
    .bind(after)
    .bind(limit)
    .bind(&filter.q)
    .fetch_all(pool)
    .await
}

pub(super) async fn get_job(pool: &PgPool, id: Uuid) -> Result<Option<JobRow>, sqlx::Error> {
    sqlx::query_as(concat!("SELECT ", job_columns!(), " FROM cron_jobs WHERE id = $1"))
        .bind(id)
        .fetch_optional(pool)
        .await
}

/// Returns the database's current time. Fire times follow this clock, since the clocks of nodes can differ.
pub(super) async fn current_time(pool: &PgPool) -> Result<DateTime<Utc>, sqlx::Error> {
    sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(pool).await
}

/// Creates a job and notifies the schedulers, in one statement. If a second statement sent the notification and failed,
/// the client would receive an error and create the job again.
pub(super) async fn insert_job(pool: &PgPool, job: &JobRow) -> Result<(), sqlx::Error> {
    sqlx::query(concat!(
        "WITH inserted AS (
             INSERT INTO cron_jobs (",
        job_columns!(),
        ") SELECT ",
        job_columns!(),
        " FROM jsonb_populate_record(NULL::cron_jobs, $1)
         )
         SELECT pg_notify($2, $3)"
    ))
    .bind(Json(job))
    .bind(signals::CHANNEL)
    .bind(signals::JOBS_CHANGED)
    .execute(pool)
    .await?;
    Ok(())
}

/// The version of the job that an update is based on, and the columns that it writes only if requested. The values of
/// those columns may have changed since the job was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct JobUpdate {
    /// `updated_at` of the row that the change is based on.
    pub read_at: DateTime<Utc>,
    /// Whether to write `scheduled_until` and `next_run_at`, which a scheduler may have advanced.
    pub schedule: bool,
    /// Whether to write the headers. A rotation of the master key may have sealed the stored ones again.
    pub headers: bool,
    /// Whether to write the body. A rotation of the master key may have sealed the stored one again.
    pub body: bool,
}

/// Updates a job and notifies the schedulers, in one statement. Returns false if the job was changed since it was read,
/// or no longer exists.
pub(super) async fn update_job(pool: &PgPool, job: &JobRow, update: JobUpdate) -> Result<bool, sqlx::Error> {
    let updated: Option<Uuid> = sqlx::query_scalar(
        "WITH updated AS (
             UPDATE cron_jobs j SET
                 name = n.name, schedule_cron = n.schedule_cron, timezone = n.timezone, http_url = n.http_url,
                 http_method = n.http_method, plugin = n.plugin, plugin_job = n.plugin_job, params = n.params,
                 enabled = n.enabled, timeout_ms = n.timeout_ms, retries = n.retries,
                 retry_backoff_ms = n.retry_backoff_ms, overlap = n.overlap, catch_up = n.catch_up,
                 scheduled_until = CASE WHEN $3 THEN n.scheduled_until ELSE j.scheduled_until END,
                 next_run_at = CASE WHEN $3 THEN n.next_run_at ELSE j.next_run_at END,
                 http_headers_json = CASE WHEN $4 THEN n.http_headers_json ELSE j.http_headers_json END,
                 http_body_json = CASE WHEN $5 THEN n.http_body_json ELSE j.http_body_json END,
                 updated_at = clock_timestamp()
             FROM jsonb_populate_record(NULL::cron_jobs, $1) AS n
             WHERE j.id = n.id AND j.updated_at = $2
             RETURNING j.id
         )
         SELECT id, pg_notify($6, $7)::text FROM updated",
    )
    .bind(Json(job))
    .bind(update.read_at)
    .bind(update.schedule)
    .bind(update.headers)
    .bind(update.body)
    .bind(signals::CHANNEL)
    .bind(signals::JOBS_CHANGED)
    .fetch_optional(pool)
    .await?;
    Ok(updated.is_some())
}

/// Deletes a job and returns its name, or `None` if it does not exist.
pub(super) async fn delete_job(pool: &PgPool, id: Uuid) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("DELETE FROM cron_jobs WHERE id = $1 RETURNING name").bind(id).fetch_optional(pool).await
}
