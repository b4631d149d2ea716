use std::time::Duration;

use api_types::RunProgress;
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor, PgPool, types::Json};
use uuid::Uuid;

use super::{HeldLease, column};

/// A run that this scheduler has to run, with what it takes.
#[derive(Debug, sqlx::FromRow)]
pub(in crate::jobs) struct ClaimedRow {
    pub(in crate::jobs) id: Uuid,
    pub(in crate::jobs) lease_token: Uuid,
    pub(in crate::jobs) job_id: Option<Uuid>,
    pub(in crate::jobs) project_id: Option<String>,
    pub(in crate::jobs) plugin: String,
    pub(in crate::jobs) plugin_job: String,
    pub(in crate::jobs) params: Value,
    pub(in crate::jobs) attempt: i32,
    pub(in crate::jobs) trigger: String,
    pub(in crate::jobs) scheduled_for: Option<DateTime<Utc>>,
    pub(in crate::jobs) started_at: DateTime<Utc>,
    pub(in crate::jobs) timeout_ms: i32,
    pub(in crate::jobs) job_type: Option<String>,
    pub(in crate::jobs) http_url: Option<String>,
    pub(in crate::jobs) http_method: Option<String>,
    /// Sealed.
    pub(in crate::jobs) http_headers_json: Option<Vec<u8>>,
    /// Sealed.
    pub(in crate::jobs) http_body_json: Option<Vec<u8>>,
}

/// Takes up to `limit` runs that are due, the longest due first, and never two exclusive ones of a job.
///
/// Exclusive runs of a job take turns in the order of their fire times, runs by hand by when they are due. One waits for
/// those before it that are due, and the run of a fire time also for an earlier one's retry that is not due yet.
///
/// `attempt > 0` is what `cron_job_runs_queued_idx` is for.
///
/// # Errors
/// A unique violation where another scheduler took an exclusive run of the same job at the same moment: nothing is
/// claimed then, and the next call finds the rest.
pub(in crate::jobs) async fn claim(
    connection: &mut PgConnection,
    worker: &str,
    lease: Duration,
    limit: i64,
) -> Result<Vec<ClaimedRow>, sqlx::Error> {
    sqlx::query_as(
        "WITH candidates AS MATERIALIZED (
             SELECT r.id, r.job_id FROM cron_job_runs r
             WHERE r.status = 'queued' AND r.attempt > 0 AND r.not_before <= now()
               AND (NOT r.exclusive
                    OR (NOT EXISTS (SELECT 1 FROM cron_job_runs o
                                    WHERE o.job_id = r.job_id AND o.status = 'running' AND o.exclusive)
                        AND NOT EXISTS (SELECT 1 FROM cron_job_runs o
                                        WHERE o.job_id = r.job_id AND o.status = 'queued' AND o.exclusive
                                          AND (coalesce(o.scheduled_for, o.not_before), o.id)
                                              < (coalesce(r.scheduled_for, r.not_before), r.id)
                                          AND (o.not_before <= now()
                                               OR (o.scheduled_for IS NOT NULL AND r.scheduled_for IS NOT NULL)))))
             ORDER BY r.not_before, r.id
             LIMIT $1
             FOR UPDATE OF r SKIP LOCKED
         )
         UPDATE cron_job_runs r SET
             status = 'running', started_at = clock_timestamp(), worker = $2, lease_token = gen_random_uuid(),
             lease_until = clock_timestamp() + make_interval(secs => $3)
         FROM candidates c LEFT JOIN cron_jobs j ON j.id = c.job_id
         WHERE r.id = c.id
         RETURNING r.id, r.lease_token, r.job_id, r.project_id, r.plugin, r.plugin_job, r.params, r.attempt, r.trigger,
             r.scheduled_for, r.started_at, r.timeout_ms, j.type AS job_type, j.http_url, j.http_method,
             j.http_headers_json, j.http_body_json",
    )
    .bind(limit)
    .bind(worker)
    .bind(lease.as_secs_f64())
    .fetch_all(connection)
    .await
}

/// Seconds until a queued run that waits for its time is due; none where there is none.
pub(in crate::jobs) async fn seconds_until_queued(connection: &mut PgConnection) -> Result<Option<f64>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT extract(epoch FROM min(not_before) - clock_timestamp())::float8
         FROM cron_job_runs WHERE status = 'queued' AND attempt > 0 AND not_before > now()",
    )
    .fetch_one(connection)
    .await
}

/// A run whose lease is still held.
#[derive(Debug, sqlx::FromRow)]
pub(in crate::jobs) struct Renewal {
    pub(in crate::jobs) id: Uuid,
    /// False where somebody else writes its row, or writes on its behalf: nobody is waited for, so that one run's
    /// transaction does not keep the leases of all others from being renewed.
    pub(in crate::jobs) renewed: bool,
    pub(in crate::jobs) cancel_requested: bool,
}

/// Makes the leases last from now on; answers which runs are still held.
pub(in crate::jobs) async fn renew(
    connection: &mut PgConnection,
    held: &[HeldLease],
    lease: Duration,
) -> Result<Vec<Renewal>, sqlx::Error> {
    sqlx::query_as(
        "WITH held AS (
             SELECT h.id, h.lease FROM unnest($1::uuid[], $2::uuid[]) AS h (id, lease)
         ), free AS (
             SELECT r.id FROM held h JOIN cron_job_runs r ON r.id = h.id
             WHERE r.lease_token = h.lease AND r.status = 'running'
             FOR NO KEY UPDATE OF r SKIP LOCKED
         ), renewed AS (
             UPDATE cron_job_runs r SET lease_until = clock_timestamp() + make_interval(secs => $3)
             FROM free WHERE r.id = free.id
             RETURNING r.id
         )
         SELECT r.id, n.id IS NOT NULL AS renewed, r.cancel_requested_at IS NOT NULL AS cancel_requested
         FROM held h JOIN cron_job_runs r ON r.id = h.id LEFT JOIN renewed n ON n.id = r.id
         WHERE r.lease_token = h.lease AND r.status = 'running'",
    )
    .bind(column(held, |run| run.id))
    .bind(column(held, |run| run.lease))
    .bind(lease.as_secs_f64())
    .fetch_all(connection)
    .await
}

/// What a run has told since the last time.
#[derive(Debug)]
pub(in crate::jobs) struct OutputPart {
    pub(in crate::jobs) id: Uuid,
    pub(in crate::jobs) lease: Uuid,
    /// All lines of the row, so that writing them twice does no harm.
    pub(in crate::jobs) log_text: String,
    /// Of the whole log, so far as it can be read.
    pub(in crate::jobs) log_bytes: i64,
    pub(in crate::jobs) log_object_key: Option<String>,
    pub(in crate::jobs) progress: Option<RunProgress>,
}

pub(in crate::jobs) async fn write_output(
    connection: &mut PgConnection,
    parts: &[OutputPart],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE cron_job_runs r SET
             log_text = p.log_text, log_bytes = p.log_bytes,
             log_object_key = coalesce(p.log_object_key, r.log_object_key),
             progress = coalesce(p.progress, r.progress)
         FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::jsonb[])
             AS p (id, lease, log_text, log_bytes, log_object_key, progress)
         WHERE r.id = p.id AND r.lease_token = p.lease AND r.status = 'running'",
    )
    .bind(column(parts, |part| part.id))
    .bind(column(parts, |part| part.lease))
    .bind(column(parts, |part| part.log_text.as_str()))
    .bind(column(parts, |part| part.log_bytes))
    .bind(column(parts, |part| part.log_object_key.as_deref()))
    .bind(column(parts, |part| part.progress.as_ref().map(Json)))
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether a run still holds its lease. Inside a transaction nobody can end the run before the transaction ends (a
/// weaker lock than `FOR SHARE` would not stop that: ending changes no key). The run's lease is not renewed meanwhile,
/// so the transaction must be short.
pub(in crate::jobs) async fn lease_is_held(
    executor: impl PgExecutor<'_>,
    run: Uuid,
    lease: Uuid,
) -> Result<bool, sqlx::Error> {
    let held: Option<Uuid> = sqlx::query_scalar(
        "SELECT id FROM cron_job_runs WHERE id = $1 AND lease_token = $2 AND status = 'running' FOR SHARE",
    )
    .bind(run)
    .bind(lease)
    .fetch_optional(executor)
    .await?;
    Ok(held.is_some())
}

/// Whether a run holds a lease that is not over.
pub(in crate::jobs) async fn lease_lasts(pool: &PgPool, run: Uuid, lease: Uuid) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM cron_job_runs WHERE id = $1 AND lease_token = $2 AND status = 'running'
                          AND lease_until > clock_timestamp())",
    )
    .bind(run)
    .bind(lease)
    .fetch_one(pool)
    .await
}
