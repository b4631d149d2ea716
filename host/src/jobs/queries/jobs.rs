use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use super::{RunRow, column};

/// A job as it is stored.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(in crate::jobs) struct JobRow {
    pub(in crate::jobs) id: Uuid,
    pub(in crate::jobs) project_id: Option<String>,
    pub(in crate::jobs) name: String,
    #[sqlx(rename = "type")]
    pub(in crate::jobs) job_type: String,
    pub(in crate::jobs) schedule_cron: String,
    pub(in crate::jobs) timezone: String,
    pub(in crate::jobs) http_url: Option<String>,
    pub(in crate::jobs) http_method: Option<String>,
    /// Sealed.
    pub(in crate::jobs) http_headers_json: Option<Vec<u8>>,
    /// Sealed.
    pub(in crate::jobs) http_body_json: Option<Vec<u8>>,
    pub(in crate::jobs) plugin: Option<String>,
    pub(in crate::jobs) plugin_job: Option<String>,
    pub(in crate::jobs) params: Value,
    pub(in crate::jobs) enabled: bool,
    pub(in crate::jobs) timeout_ms: i32,
    pub(in crate::jobs) retries: i32,
    pub(in crate::jobs) retry_backoff_ms: i32,
    pub(in crate::jobs) overlap: String,
    pub(in crate::jobs) catch_up: String,
    pub(in crate::jobs) scheduled_until: DateTime<Utc>,
    pub(in crate::jobs) next_run_at: Option<DateTime<Utc>>,
    pub(in crate::jobs) created_at: DateTime<Utc>,
    pub(in crate::jobs) updated_at: DateTime<Utc>,
}

/// What a list of jobs is narrowed to.
#[derive(Debug, Default)]
pub(in crate::jobs) struct JobFilter {
    pub(in crate::jobs) project_id: Option<String>,
    pub(in crate::jobs) plugin: Option<String>,
    pub(in crate::jobs) enabled: Option<bool>,
}

/// Jobs, oldest first.
pub(in crate::jobs) async fn jobs(
    pool: &PgPool,
    filter: &JobFilter,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<JobRow>, sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT ",
        job_columns!(),
        " FROM cron_jobs
          WHERE ($1::text IS NULL OR project_id = $1) AND ($2::text IS NULL OR plugin = $2)
            AND ($3::boolean IS NULL OR enabled = $3) AND ($4::uuid IS NULL OR id > $4)
          ORDER BY id LIMIT $5"
    ))
    .bind(&filter.project_id)
    .bind(&filter.plugin)
    .bind(filter.enabled)
    .bind(after)
    .bind(limit)
    .fetch_all(pool)
    .await
}

pub(in crate::jobs) async fn job(pool: impl PgExecutor<'_>, id: Uuid) -> Result<Option<JobRow>, sqlx::Error> {
    sqlx::query_as(concat!("SELECT ", job_columns!(), " FROM cron_jobs WHERE id = $1"))
        .bind(id)
        .fetch_optional(pool)
        .await
}

/// The database's clock, which all fire times go by.
pub(in crate::jobs) async fn now(pool: &PgPool) -> Result<DateTime<Utc>, sqlx::Error> {
    sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(pool).await
}

/// The newest run of each of the jobs; one that was skipped only where there is no other.
pub(in crate::jobs) async fn last_runs(pool: &PgPool, jobs: &[Uuid]) -> Result<Vec<RunRow>, sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT newest.* FROM unnest($1::uuid[]) AS wanted (job)
         CROSS JOIN LATERAL (
             SELECT * FROM (
                 (SELECT ",
        run_columns!(),
        " FROM cron_job_runs WHERE job_id = wanted.job AND status <> 'skipped' ORDER BY id DESC LIMIT 1)
                 UNION ALL
                 (SELECT ",
        run_columns!(),
        " FROM cron_job_runs WHERE job_id = wanted.job AND status = 'skipped' ORDER BY id DESC LIMIT 1)) AS either
             ORDER BY status = 'skipped' LIMIT 1) AS newest"
    ))
    .bind(jobs)
    .fetch_all(pool)
    .await
}

pub(in crate::jobs) async fn insert_job(pool: &PgPool, job: &JobRow) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO cron_jobs
             (id, project_id, name, type, schedule_cron, timezone, http_url, http_method, http_headers_json,
              http_body_json, plugin, plugin_job, params, enabled, timeout_ms, retries, retry_backoff_ms, overlap,
              catch_up, scheduled_until, next_run_at, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)",
    )
    .bind(job.id)
    .bind(&job.project_id)
    .bind(&job.name)
    .bind(&job.job_type)
    .bind(&job.schedule_cron)
    .bind(&job.timezone)
    .bind(&job.http_url)
    .bind(&job.http_method)
    .bind(&job.http_headers_json)
    .bind(&job.http_body_json)
    .bind(&job.plugin)
    .bind(&job.plugin_job)
    .bind(&job.params)
    .bind(job.enabled)
    .bind(job.timeout_ms)
    .bind(job.retries)
    .bind(job.retry_backoff_ms)
    .bind(&job.overlap)
    .bind(&job.catch_up)
    .bind(job.scheduled_until)
    .bind(job.next_run_at)
    .bind(job.created_at)
    .bind(job.updated_at)
    .execute(pool)
    .await?;
    notify_schedules(pool).await
}

/// What of a job a PATCH writes; the rest others may have written since it was read.
#[derive(Debug, Clone, Copy)]
pub(in crate::jobs) struct JobChange {
    pub(in crate::jobs) read_at: DateTime<Utc>,
    /// Its fire times begin anew; otherwise a scheduler may have moved them.
    pub(in crate::jobs) rescheduled: bool,
    /// Otherwise they may have been sealed anew.
    pub(in crate::jobs) headers: bool,
    pub(in crate::jobs) body: bool,
}

/// Writes what PATCH may change; false where somebody else changed the job since it was read, or it is gone.
pub(in crate::jobs) async fn update_job(pool: &PgPool, job: &JobRow, change: JobChange) -> Result<bool, sqlx::Error> {
    let updated = sqlx::query(
        "UPDATE cron_jobs SET name = $3, schedule_cron = $4, timezone = $5, http_url = $6, http_method = $7,
             http_headers_json = CASE WHEN $22 THEN $8 ELSE http_headers_json END,
             http_body_json = CASE WHEN $23 THEN $9 ELSE http_body_json END, plugin = $10, plugin_job = $11, params = $12, enabled = $13,
             timeout_ms = $14, retries = $15, retry_backoff_ms = $16, overlap = $17, catch_up = $18,
             scheduled_until = CASE WHEN $19 THEN $20 ELSE scheduled_until END,
             next_run_at = CASE WHEN $19 THEN $21 ELSE next_run_at END,
             updated_at = clock_timestamp()
         WHERE id = $1 AND updated_at = $2",
    )
    .bind(job.id)
    .bind(change.read_at)
    .bind(&job.name)
    .bind(&job.schedule_cron)
    .bind(&job.timezone)
    .bind(&job.http_url)
    .bind(&job.http_method)
    .bind(&job.http_headers_json)
    .bind(&job.http_body_json)
    .bind(&job.plugin)
    .bind(&job.plugin_job)
    .bind(&job.params)
    .bind(job.enabled)
    .bind(job.timeout_ms)
    .bind(job.retries)
    .bind(job.retry_backoff_ms)
    .bind(&job.overlap)
    .bind(&job.catch_up)
    .bind(change.rescheduled)
    .bind(job.scheduled_until)
    .bind(job.next_run_at)
    .bind(change.headers)
    .bind(change.body)
    .execute(pool)
    .await?;
    notify_schedules(pool).await?;
    Ok(updated.rows_affected() > 0)
}

pub(in crate::jobs) async fn delete_job(pool: &PgPool, id: Uuid) -> Result<bool, sqlx::Error> {
    let deleted = sqlx::query("DELETE FROM cron_jobs WHERE id = $1").bind(id).execute(pool).await?;
    Ok(deleted.rows_affected() > 0)
}

async fn notify_schedules(pool: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_notify($1, 'jobs')").bind(super::CHANNEL).execute(pool).await?;
    Ok(())
}

/// What deciding about a job's fire times needs.
#[derive(Debug, sqlx::FromRow)]
pub(in crate::jobs) struct DueJob {
    pub(in crate::jobs) id: Uuid,
    pub(in crate::jobs) schedule_cron: String,
    pub(in crate::jobs) timezone: String,
    pub(in crate::jobs) catch_up: String,
    pub(in crate::jobs) scheduled_until: DateTime<Utc>,
    /// The database's clock.
    pub(in crate::jobs) now: DateTime<Utc>,
}

/// Jobs that are due, locked for this transaction; those that another scheduler holds are left to it.
pub(in crate::jobs) async fn due_jobs(transaction: &mut PgConnection, limit: i64) -> Result<Vec<DueJob>, sqlx::Error> {
    sqlx::query_as(
        "SELECT id, schedule_cron, timezone, catch_up, scheduled_until, clock_timestamp() AS now
         FROM cron_jobs
         WHERE enabled AND (next_run_at IS NULL OR next_run_at <= now())
         ORDER BY next_run_at NULLS FIRST, id LIMIT $1
         FOR UPDATE SKIP LOCKED",
    )
    .bind(limit)
    .fetch_all(transaction)
    .await
}

/// Runs of one job that may wait: one that is due more often than it can run must not fill the disk.
const MOST_QUEUED: i64 = 100;

/// A run to queue for a fire time.
#[derive(Debug)]
pub(in crate::jobs) struct FiredRun {
    pub(in crate::jobs) id: Uuid,
    pub(in crate::jobs) job_id: Uuid,
    pub(in crate::jobs) fire_at: DateTime<Utc>,
    pub(in crate::jobs) trigger: &'static str,
}

/// Where a job's fire times stand.
#[derive(Debug)]
pub(in crate::jobs) struct JobCursor {
    pub(in crate::jobs) id: Uuid,
    pub(in crate::jobs) scheduled_until: DateTime<Utc>,
    pub(in crate::jobs) next_run_at: Option<DateTime<Utc>>,
}

/// Queues the runs, or records them as skipped, and moves the jobs' cursors. Answers how many of each status there
/// are; a fire time that has its run already gets no other.
pub(in crate::jobs) async fn record_due(
    transaction: &mut PgConnection,
    runs: &[FiredRun],
    cursors: &[JobCursor],
) -> Result<Vec<(String, i64)>, sqlx::Error> {
    let counts: Vec<(String, i64, Option<String>)> = sqlx::query_as(
        "WITH fired AS (
             SELECT f.*, row_number() OVER (PARTITION BY f.job_id ORDER BY f.fire_at) AS place
             FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[]) AS f (id, job_id, fire_at, trigger)
         ), judged AS (
             SELECT fired.*, CASE
                 WHEN j.overlap = 'skip' AND (
                     place > 1
                     OR EXISTS (SELECT 1 FROM cron_job_runs o WHERE o.job_id = j.id AND o.status = 'running')
                     OR EXISTS (SELECT 1 FROM cron_job_runs o WHERE o.job_id = j.id AND o.status = 'queued'))
                     THEN 'the run before was still going'
                 WHEN (SELECT count(*) FROM (SELECT 1 FROM cron_job_runs o WHERE o.job_id = j.id
                                             AND o.status = 'queued' LIMIT $9) queued) >= $9
                     THEN 'too many runs of the job are waiting'
                 END AS skipped
             FROM fired JOIN cron_jobs j ON j.id = fired.job_id
         ), inserted AS (
             INSERT INTO cron_job_runs
                 (id, job_id, project_id, plugin, plugin_job, params, timeout_ms, retries_left, retry_backoff_ms,
                  exclusive, scheduled_for, not_before, trigger, status, finished_at, error_text)
             SELECT f.id, j.id, j.project_id,
                 CASE j.type WHEN 'http' THEN 'http-job' ELSE coalesce(j.plugin, '') END,
                 CASE j.type WHEN 'http' THEN 'request' ELSE coalesce(j.plugin_job, '') END,
                 j.params, j.timeout_ms, j.retries, j.retry_backoff_ms, j.overlap <> 'allow', f.fire_at, f.fire_at,
                 f.trigger,
                 CASE WHEN f.skipped IS NULL THEN 'queued' ELSE 'skipped' END,
                 CASE WHEN f.skipped IS NULL THEN NULL ELSE now() END,
                 f.skipped
             FROM judged f JOIN cron_jobs j ON j.id = f.job_id
             ON CONFLICT (job_id, scheduled_for, attempt) DO NOTHING
             RETURNING status
         ), moved AS (
             UPDATE cron_jobs j SET scheduled_until = c.scheduled_until, next_run_at = c.next_run_at
             FROM unnest($5::uuid[], $6::timestamptz[], $7::timestamptz[]) AS c (id, scheduled_until, next_run_at)
             WHERE j.id = c.id
         )
         SELECT status, count(*), (SELECT pg_notify($8, 'queued'))::text FROM inserted GROUP BY status",
    )
    .bind(column(runs, |run| run.id))
    .bind(column(runs, |run| run.job_id))
    .bind(column(runs, |run| run.fire_at))
    .bind(column(runs, |run| run.trigger))
    .bind(column(cursors, |cursor| cursor.id))
    .bind(column(cursors, |cursor| cursor.scheduled_until))
    .bind(column(cursors, |cursor| cursor.next_run_at))
    .bind(super::CHANNEL)
    .bind(MOST_QUEUED)
    .fetch_all(transaction)
    .await?;
    Ok(counts.into_iter().map(|(status, count, _)| (status, count)).collect())
}

/// Seconds until the next job is due, by the database's clock; none while none is enabled.
pub(in crate::jobs) async fn seconds_until_due(connection: &mut PgConnection) -> Result<Option<f64>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT extract(epoch FROM min(next_run_at) - clock_timestamp())::float8 FROM cron_jobs WHERE enabled",
    )
    .fetch_one(connection)
    .await
}
