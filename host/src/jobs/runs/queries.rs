//! Fixed SQL on the table `cron_job_runs`.

use api_types::{Run, RunProgress, RunStatus, RunTrigger};
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgExecutor, PgPool, types::Json};
use uuid::Uuid;

use crate::{db::ids, jobs::signals};

macro_rules! run_columns {
    () => {
        "id, job_id, project_id, plugin, plugin_job, status, trigger, attempt, \
         attempt + retries_left AS max_attempts, retry_of, scheduled_for, created_at, started_at, finished_at, \
         duration_ms, http_status, error_text, progress, result, log_object_key, \
         (SELECT j.name FROM cron_jobs j WHERE j.id = job_id) AS job_name, \
         (SELECT p.name FROM projects p WHERE p.id = project_id) AS project_name"
    };
}

/// A row of `cron_job_runs`, without the log.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(in crate::jobs) struct RunRow {
    pub id: Uuid,
    pub job_id: Option<Uuid>,
    project_id: Option<String>,
    plugin: String,
    plugin_job: String,
    status: RunStatus,
    trigger: RunTrigger,
    attempt: i32,
    max_attempts: i32,
    retry_of: Option<Uuid>,
    pub scheduled_for: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    duration_ms: Option<i64>,
    http_status: Option<i32>,
    error_text: Option<String>,
    progress: Option<Json<RunProgress>>,
    result: Option<Value>,
    log_object_key: Option<String>,
    job_name: Option<String>,
    project_name: Option<String>,
}

impl RunRow {
    pub(in crate::jobs) fn into_wire(self) -> Run {
        Run {
            id: self.id.to_string(),
            job_id: self.job_id.map(|id| id.to_string()),
            job_name: self.job_name,
            project_id: self.project_id,
            project_name: self.project_name,
            plugin: self.plugin,
            plugin_job: self.plugin_job,
            status: self.status,
            trigger: self.trigger,
            attempt: self.attempt,
            max_attempts: self.max_attempts,
            retry_of: self.retry_of.map(|id| id.to_string()),
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

/// Filter of a list of runs.
#[derive(Debug, Default)]
pub(super) struct RunFilter {
    pub job_id: Option<Uuid>,
    pub project_id: Option<String>,
    pub plugin: Option<String>,
    /// Any of these; empty for all.
    pub statuses: Vec<RunStatus>,
    /// Any of these; empty for all.
    pub triggers: Vec<RunTrigger>,
    /// Whether the run has not ended.
    pub active: Option<bool>,
    /// Queued at or after this time.
    pub from: Option<DateTime<Utc>>,
    /// Queued before this time.
    pub to: Option<DateTime<Utc>>,
}

/// Returns the database spellings of the values, or `None` if there are no values.
pub(super) fn texts<T: Copy>(values: &[T], as_str: fn(T) -> &'static str) -> Option<Vec<&'static str>> {
    (!values.is_empty()).then(|| values.iter().map(|value| as_str(*value)).collect())
}

/// Returns runs, newest first.
pub(super) async fn list_runs(
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
            AND ($3::text IS NULL OR plugin = $3) AND ($4::text[] IS NULL OR status = ANY($4))
            AND ($5::uuid IS NULL OR id < $5) AND ($7::text[] IS NULL OR trigger = ANY($7))
            AND ($8::boolean IS NULL OR (status IN ('queued', 'running')) = $8)
            AND ($9::timestamptz IS NULL OR (created_at >= $9 AND id >= $10))
            AND ($11::timestamptz IS NULL OR (created_at < $11 AND id < $12))
          ORDER BY id DESC LIMIT $6"
    ))
    .bind(filter.job_id)
    .bind(&filter.project_id)
    .bind(&filter.plugin)
    .bind(texts(&filter.statuses, RunStatus::as_str))
    .bind(after)
    .bind(limit)
    .bind(texts(&filter.triggers, RunTrigger::as_str))
    .bind(filter.active)
    .bind(filter.from)
    .bind(filter.from.map(ids::lowest_id))
    .bind(filter.to)
    .bind(filter.to.map(ids::highest_id))
    .fetch_all(pool)
    .await
}

pub(super) async fn get_run(pool: &PgPool, id: Uuid) -> Result<Option<RunRow>, sqlx::Error> {
    sqlx::query_as(concat!("SELECT ", run_columns!(), " FROM cron_job_runs WHERE id = $1"))
        .bind(id)
        .fetch_optional(pool)
        .await
}

pub(super) async fn job_exists(pool: &PgPool, id: Uuid) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM cron_jobs WHERE id = $1)").bind(id).fetch_one(pool).await
}

/// Returns the newest run of each of the jobs. A skipped run is returned only if there is no other.
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

/// Queues a manual run of a job. Returns false if the job does not exist.
pub(in crate::jobs) async fn insert_job_run(pool: &PgPool, id: Uuid, job: Uuid) -> Result<bool, sqlx::Error> {
    let inserted: Option<Uuid> = sqlx::query_scalar(
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
         SELECT id, pg_notify($3, $4)::text FROM inserted",
    )
    .bind(id)
    .bind(job)
    .bind(signals::CHANNEL)
    .bind(signals::RUN_QUEUED)
    .fetch_optional(pool)
    .await?;
    Ok(inserted.is_some())
}

/// A new run that belongs to no job.
#[derive(Debug)]
pub(in crate::jobs) struct NewRunRow<'a> {
    pub id: Uuid,
    pub project_id: Option<&'a str>,
    pub plugin: &'a str,
    pub plugin_job: &'a str,
    pub params: &'a Value,
    pub timeout_ms: i32,
}

pub(in crate::jobs) async fn insert_run(pool: &PgPool, run: &NewRunRow<'_>) -> Result<(), sqlx::Error> {
    sqlx::query(
        "WITH inserted AS (
             INSERT INTO cron_job_runs (id, project_id, plugin, plugin_job, params, timeout_ms, trigger)
             VALUES ($1, $2, $3, $4, $5, $6, 'manual')
         )
         SELECT pg_notify($7, $8)",
    )
    .bind(run.id)
    .bind(run.project_id)
    .bind(run.plugin)
    .bind(run.plugin_job)
    .bind(run.params)
    .bind(run.timeout_ms)
    .bind(signals::CHANNEL)
    .bind(signals::RUN_QUEUED)
    .execute(pool)
    .await?;
    Ok(())
}

/// The work of a run, so that it can be executed again.
#[derive(Debug, sqlx::FromRow)]
pub(in crate::jobs) struct RunWork {
    pub status: RunStatus,
    pub job_id: Option<Uuid>,
    pub project_id: Option<String>,
    pub plugin: String,
    pub plugin_job: String,
    pub params: Value,
    pub timeout_ms: i32,
}

pub(in crate::jobs) async fn get_run_work(pool: &PgPool, id: Uuid) -> Result<Option<RunWork>, sqlx::Error> {
    sqlx::query_as(
        "SELECT status, job_id, project_id, plugin, plugin_job, params, timeout_ms FROM cron_job_runs WHERE id = $1",
    )
    .bind(id)
    .fetch_optional(pool)
    .await
}

/// Cancels a queued run, or asks the scheduler of a running one to cancel it. Returns false if the run has ended or
/// does not exist.
pub(in crate::jobs) async fn cancel_run(pool: &PgPool, id: Uuid) -> Result<bool, sqlx::Error> {
    let cancelled: Option<String> = sqlx::query_scalar(
        "UPDATE cron_job_runs SET
             cancel_requested_at = coalesce(cancel_requested_at, now()),
             finished_at = CASE status WHEN 'queued' THEN now() ELSE finished_at END,
             error_text = CASE status WHEN 'queued' THEN 'cancelled before it started' ELSE error_text END,
             status = CASE status WHEN 'queued' THEN 'cancelled' ELSE status END
         WHERE id = $1 AND status IN ('queued', 'running')
         RETURNING pg_notify($2, $3)::text",
    )
    .bind(id)
    .bind(signals::CHANNEL)
    .bind(signals::cancel_message(id))
    .fetch_optional(pool)
    .await?;
    Ok(cancelled.is_some())
}

/// Returns the name of the run's job, or `None` for a run without a job.
pub(super) async fn job_name(pool: &PgPool, run: Uuid) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT j.name FROM cron_job_runs r JOIN cron_jobs j ON j.id = r.job_id WHERE r.id = $1")
        .bind(run)
        .fetch_optional(pool)
        .await
}

/// Cancels the queued runs of a disabled job, except manual ones and their retries, which have no fire time.
pub(in crate::jobs) async fn cancel_queued_runs(pool: &PgPool, job: Uuid) -> Result<u64, sqlx::Error> {
    let cancelled = sqlx::query(
        "UPDATE cron_job_runs SET status = 'cancelled', finished_at = now(), error_text = 'the job was disabled'
         WHERE job_id = $1 AND status = 'queued' AND scheduled_for IS NOT NULL",
    )
    .bind(job)
    .execute(pool)
    .await?;
    Ok(cancelled.rows_affected())
}

/// Returns the running runs of a job.
pub(in crate::jobs) async fn running_runs(pool: &PgPool, job: Uuid) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar("SELECT id FROM cron_job_runs WHERE job_id = $1 AND status = 'running'")
        .bind(job)
        .fetch_all(pool)
        .await
}

/// A run's status and log, read together.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct StoredLog {
    pub status: RunStatus,
    /// Size of the readable log, whether in the row or in the object store.
    pub log_bytes: i64,
    /// The part in the row; `None` if nothing follows the requested offset.
    pub log_text: Option<String>,
    pub log_object_key: Option<String>,
}

pub(super) async fn read_log(pool: &PgPool, id: Uuid, offset: i64) -> Result<Option<StoredLog>, sqlx::Error> {
    sqlx::query_as(
        "SELECT status, log_bytes, log_object_key, CASE WHEN log_bytes > $2 THEN log_text END AS log_text
         FROM cron_job_runs WHERE id = $1",
    )
    .bind(id)
    .bind(offset)
    .fetch_optional(pool)
    .await
}

/// Returns whether a run holds its lease. Inside a transaction, the run can't be ended by others before the
/// transaction ends. A weaker lock than `FOR SHARE` would not prevent that, because ending a run changes no key column.
pub(super) async fn lock_lease(executor: impl PgExecutor<'_>, run: Uuid, lease: Uuid) -> Result<bool, sqlx::Error> {
    let held: Option<Uuid> = sqlx::query_scalar(
        "SELECT id FROM cron_job_runs WHERE id = $1 AND lease_token = $2 AND status = 'running' FOR SHARE",
    )
    .bind(run)
    .bind(lease)
    .fetch_optional(executor)
    .await?;
    Ok(held.is_some())
}

/// Returns whether a run holds a lease that has not expired.
pub(super) async fn lease_is_valid(pool: &PgPool, run: Uuid, lease: Uuid) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM cron_job_runs WHERE id = $1 AND lease_token = $2 AND status = 'running'
                          AND lease_until > clock_timestamp())",
    )
    .bind(run)
    .bind(lease)
    .fetch_one(pool)
    .await
}

/// The log of a deleted run. Its object, if it has one, is still in the object store.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct DeletedRun {
    pub log_object_key: Option<String>,
    pub log_bytes: i64,
}

/// Deletes runs that ended more than `days` days ago, oldest first. Keeps the newest run of each job, and the newest
/// that was not skipped.
pub(super) async fn delete_old_runs(pool: &PgPool, days: i32, limit: i64) -> Result<Vec<DeletedRun>, sqlx::Error> {
    sqlx::query_as(
        "DELETE FROM cron_job_runs WHERE id IN (
             SELECT r.id FROM cron_job_runs r
             WHERE r.finished_at < now() - make_interval(days => $1)
               AND (r.job_id IS NULL
                    OR EXISTS (SELECT 1 FROM cron_job_runs n WHERE n.job_id = r.job_id AND n.id > r.id
                                 AND (n.status <> 'skipped' OR r.status = 'skipped')))
             ORDER BY r.finished_at LIMIT $2 FOR UPDATE SKIP LOCKED)
         RETURNING log_object_key, log_bytes",
    )
    .bind(days)
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// Deletes the oldest ended runs of jobs that have more than `keep` of them. Skipped runs are counted separately, so
/// that a job which is due more often than it can run keeps the history of the runs that were executed.
pub(super) async fn delete_surplus_runs(pool: &PgPool, keep: i64, limit: i64) -> Result<Vec<DeletedRun>, sqlx::Error> {
    sqlx::query_as(
        "DELETE FROM cron_job_runs WHERE id IN (
             SELECT id FROM (
                 SELECT id, row_number() OVER (PARTITION BY job_id, status = 'skipped' ORDER BY id DESC) AS rank
                 FROM cron_job_runs WHERE job_id IS NOT NULL AND finished_at IS NOT NULL) ranked
             WHERE rank > $1 LIMIT $2)
         RETURNING log_object_key, log_bytes",
    )
    .bind(keep)
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// Returns the ids for which a run exists.
pub(super) async fn existing_runs(pool: &PgPool, ids: &[Uuid]) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar("SELECT id FROM cron_job_runs WHERE id = ANY($1)").bind(ids).fetch_all(pool).await
}
