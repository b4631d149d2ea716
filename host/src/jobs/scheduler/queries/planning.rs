//! Locks due jobs, and queues runs for their fire times.

use api_types::{CatchUp, RunStatus, RunTrigger};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use crate::jobs::signals;

/// Number of queued runs of one job at which the runs of further fire times are skipped. A job that is due more often
/// than it can run would otherwise fill the disk. Fire times that are planned together can exceed the number.
const MAX_QUEUED_RUNS: i64 = 100;

/// The columns of a job that determine its fire times.
#[derive(Debug, sqlx::FromRow)]
pub(in crate::jobs::scheduler) struct DueJob {
    pub id: Uuid,
    pub schedule_cron: String,
    pub timezone: String,
    pub catch_up: CatchUp,
    pub scheduled_until: DateTime<Utc>,
    /// The database's current time.
    pub now: DateTime<Utc>,
}

/// Returns due jobs, locked for this transaction. Skips jobs that another scheduler has locked.
pub(in crate::jobs::scheduler) async fn lock_due_jobs(
    transaction: &mut PgConnection,
    limit: i64,
) -> Result<Vec<DueJob>, sqlx::Error> {
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

/// A run for a fire time.
#[derive(Debug, Serialize)]
pub(in crate::jobs::scheduler) struct FiredRun {
    pub id: Uuid,
    pub job_id: Uuid,
    pub fire_at: DateTime<Utc>,
    pub trigger: RunTrigger,
}

/// A job's position in its fire times.
#[derive(Debug, Serialize)]
pub(in crate::jobs::scheduler) struct JobCursor {
    pub id: Uuid,
    pub scheduled_until: DateTime<Utc>,
    pub next_run_at: Option<DateTime<Utc>>,
}

/// Inserts the runs as queued or skipped, and advances the cursors. Returns the number of new runs by status. No second
/// run is inserted for a fire time that has one. The runs of a job with [`MAX_QUEUED_RUNS`] queued runs are skipped.
///
/// With the overlap policy `skip`, only the first of a job's runs is queued, and only if no run of the job is active or
/// queued. But a catch-up run is queued although a run of another scheduler than `worker` is active: that scheduler may
/// have crashed, and then its run only ends when the lease expires. The catch-up run waits until that run has ended.
pub(in crate::jobs::scheduler) async fn queue_due_runs(
    transaction: &mut PgConnection,
    runs: &[FiredRun],
    cursors: &[JobCursor],
    worker: &str,
) -> Result<Vec<(RunStatus, i64)>, sqlx::Error> {
    let counts: Vec<(RunStatus, i64, Option<String>)> = sqlx::query_as(
        "WITH fired AS (
             SELECT f.*, row_number() OVER (PARTITION BY f.job_id ORDER BY f.fire_at) AS position
             FROM jsonb_to_recordset($1) AS f (id uuid, job_id uuid, fire_at timestamptz, trigger text)
         ), judged AS (
             SELECT fired.*, CASE
                 WHEN j.overlap = 'skip' AND (
                     fired.position > 1
                     OR EXISTS (SELECT 1 FROM cron_job_runs o WHERE o.job_id = j.id AND o.status = 'running'
                                AND (fired.trigger <> 'catchUp' OR o.worker = $6))
                     OR EXISTS (SELECT 1 FROM cron_job_runs o WHERE o.job_id = j.id AND o.status = 'queued'))
                     THEN 'the previous run had not ended'
                 WHEN (SELECT count(*) FROM (SELECT 1 FROM cron_job_runs o WHERE o.job_id = j.id
                                             AND o.status = 'queued' LIMIT $5) queued) >= $5
                     THEN 'too many runs of the job are queued'
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
             FROM jsonb_to_recordset($2) AS c (id uuid, scheduled_until timestamptz, next_run_at timestamptz)
             WHERE j.id = c.id
         )
         SELECT status, count(*), (SELECT pg_notify($3, $4))::text FROM inserted GROUP BY status",
    )
    .bind(Json(runs))
    .bind(Json(cursors))
    .bind(signals::CHANNEL)
    .bind(signals::RUN_QUEUED)
    .bind(MAX_QUEUED_RUNS)
    .bind(worker)
    .fetch_all(transaction)
    .await?;
    Ok(counts.into_iter().map(|(status, count, _)| (status, count)).collect())
}

/// Returns the seconds until the next job is due, by the database's clock, or `None` if no enabled job has a next fire
/// time.
pub(in crate::jobs::scheduler) async fn seconds_until_due(
    connection: &mut PgConnection,
) -> Result<Option<f64>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT extract(epoch FROM min(next_run_at) - clock_timestamp())::float8 FROM cron_jobs WHERE enabled",
    )
    .fetch_one(connection)
    .await
}
