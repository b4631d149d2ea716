use api_types::RunProgress;
use serde_json::Value;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::column;

/// A run and the proof that it is ours.
#[derive(Debug, Clone, Copy)]
pub(in crate::jobs) struct HeldLease {
    pub(in crate::jobs) id: Uuid,
    pub(in crate::jobs) lease: Uuid,
}

/// How a run ended, as its scheduler tells it.
#[derive(Debug, Clone)]
pub(in crate::jobs) struct EndingRun {
    pub(in crate::jobs) id: Uuid,
    pub(in crate::jobs) lease: Uuid,
    pub(in crate::jobs) status: &'static str,
    pub(in crate::jobs) retryable: bool,
    pub(in crate::jobs) http_status: Option<i32>,
    pub(in crate::jobs) error_text: Option<String>,
    pub(in crate::jobs) result: Option<Value>,
    pub(in crate::jobs) progress: Option<RunProgress>,
    pub(in crate::jobs) log_text: String,
    pub(in crate::jobs) log_bytes: i64,
    pub(in crate::jobs) log_object_key: Option<String>,
}

/// A run that ended just now.
#[derive(Debug, sqlx::FromRow)]
pub(in crate::jobs) struct EndedRow {
    pub(in crate::jobs) id: Uuid,
    pub(in crate::jobs) job_id: Option<Uuid>,
    pub(in crate::jobs) job_name: Option<String>,
    pub(in crate::jobs) project_id: Option<String>,
    pub(in crate::jobs) plugin: String,
    pub(in crate::jobs) plugin_job: String,
    pub(in crate::jobs) status: String,
    pub(in crate::jobs) error_text: Option<String>,
    pub(in crate::jobs) duration_ms: Option<i64>,
    /// Another attempt was queued.
    pub(in crate::jobs) retried: bool,
    /// How the job's run before this one ended, its retries being one run with it.
    pub(in crate::jobs) previous_status: Option<String>,
}

/// Ends what `$update` picks, and queues the next attempts in the same statement, so that there is never an end
/// without them. The pause doubles with each attempt, up to a day, with up to a quarter more, so that what failed
/// together is not tried again together. The ids are of version 7: they sort by time.
macro_rules! end_runs {
    ($($update:literal)+) => {
        concat!(
            "WITH ended AS (",
            $($update,)+
            " RETURNING r.*
             ), next_attempts AS (
                 INSERT INTO cron_job_runs
                     (id, job_id, project_id, plugin, plugin_job, params, timeout_ms, retries_left, retry_backoff_ms,
                      exclusive, scheduled_for, trigger, attempt, not_before)
                 SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
                            PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
                            FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid,
                     job_id, project_id, plugin, plugin_job, params, timeout_ms, retries_left - 1, retry_backoff_ms,
                     exclusive, scheduled_for, 'retry', attempt + 1,
                     clock_timestamp() + make_interval(secs => (1 + random() / 4)
                         * least(86400, retry_backoff_ms / 1000.0 * power(2, least(attempt - 1, 30)))::float8)
                 FROM ended WHERE retried
                 ON CONFLICT (job_id, scheduled_for, attempt) DO NOTHING
             )
             SELECT e.id, e.job_id, j.name AS job_name, e.project_id, e.plugin, e.plugin_job, e.status, e.error_text,
                 e.duration_ms, e.retried,
                 (SELECT p.status FROM cron_job_runs p
                  WHERE p.job_id = e.job_id AND p.id < e.id AND p.status IN ('success', 'fail', 'timeout')
                    AND NOT p.retried
                  ORDER BY p.id DESC LIMIT 1) AS previous_status
             FROM ended e LEFT JOIN cron_jobs j ON j.id = e.job_id"
        )
    };
}

/// Ends runs whose scheduler has stopped: those that `$which` picks.
macro_rules! give_up_runs {
    ($which:literal) => {
        end_runs!(
            "UPDATE cron_job_runs r SET
                 status = CASE WHEN r.cancel_requested_at IS NULL THEN 'fail' ELSE 'cancelled' END,
                 finished_at = clock_timestamp(),
                 duration_ms = (extract(epoch FROM clock_timestamp() - r.started_at) * 1000)::bigint,
                 error_text = 'its scheduler stopped',
                 retried = r.retries_left > 0 AND r.cancel_requested_at IS NULL,
                 lease_token = NULL, lease_until = NULL "
            $which
        )
    };
}

/// Ends runs as told; those whose lease was lost stay as they are, and are not in the answer.
pub(in crate::jobs) async fn finish(
    connection: &mut PgConnection,
    runs: &[EndingRun],
) -> Result<Vec<EndedRow>, sqlx::Error> {
    sqlx::query_as(end_runs!(
        "UPDATE cron_job_runs r SET
             status = e.status, finished_at = clock_timestamp(),
             duration_ms = (extract(epoch FROM clock_timestamp() - r.started_at) * 1000)::bigint,
             http_status = e.http_status, error_text = e.error_text,
             result = e.result, progress = coalesce(e.progress, r.progress),
             log_text = e.log_text, log_bytes = e.log_bytes,
             log_object_key = coalesce(e.log_object_key, r.log_object_key),
             retried = e.status IN ('fail', 'timeout') AND e.retryable AND r.retries_left > 0
                 AND r.cancel_requested_at IS NULL,
             lease_token = NULL, lease_until = NULL
         FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::boolean[], $5::integer[], $6::text[], $7::jsonb[],
                     $8::jsonb[], $9::text[], $10::bigint[], $11::text[])
             AS e (id, lease, status, retryable, http_status, error_text, result, progress, log_text, log_bytes,
                   log_object_key)
         WHERE r.id = e.id AND r.lease_token = e.lease AND r.status = 'running'"
    ))
    .bind(column(runs, |run| run.id))
    .bind(column(runs, |run| run.lease))
    .bind(column(runs, |run| run.status))
    .bind(column(runs, |run| run.retryable))
    .bind(column(runs, |run| run.http_status))
    .bind(column(runs, |run| run.error_text.as_deref()))
    .bind(column(runs, |run| run.result.as_ref().map(Json)))
    .bind(column(runs, |run| run.progress.as_ref().map(Json)))
    .bind(column(runs, |run| run.log_text.as_str()))
    .bind(column(runs, |run| run.log_bytes))
    .bind(column(runs, |run| run.log_object_key.as_deref()))
    .fetch_all(connection)
    .await
}

/// Ends runs that nobody renewed the lease of.
pub(in crate::jobs) async fn reap(connection: &mut PgConnection, limit: i64) -> Result<Vec<EndedRow>, sqlx::Error> {
    sqlx::query_as(give_up_runs!(
        "WHERE r.id IN (SELECT id FROM cron_job_runs WHERE status = 'running' AND lease_until < now()
                        ORDER BY lease_until LIMIT $1 FOR UPDATE SKIP LOCKED)"
    ))
    .bind(limit)
    .fetch_all(connection)
    .await
}

/// Ends runs that a scheduler had to give up when it was told to stop.
pub(in crate::jobs) async fn release(
    connection: &mut PgConnection,
    held: &[HeldLease],
) -> Result<Vec<EndedRow>, sqlx::Error> {
    sqlx::query_as(give_up_runs!(
        "FROM unnest($1::uuid[], $2::uuid[]) AS h (id, lease)
         WHERE r.id = h.id AND r.lease_token = h.lease AND r.status = 'running'"
    ))
    .bind(column(held, |run| run.id))
    .bind(column(held, |run| run.lease))
    .fetch_all(connection)
    .await
}
