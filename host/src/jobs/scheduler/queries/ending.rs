//! Ends runs, and queues their retries.

use api_types::{RunProgress, RunStatus};
use serde::Serialize;
use serde_json::Value;
use sqlx::{Connection as _, PgConnection, types::Json};
use uuid::Uuid;

use super::HeldLease;
use crate::jobs::runs::output::OutputSnapshot;

/// Error of runs whose scheduler crashed or shut down.
pub(in crate::jobs::scheduler) const SCHEDULER_STOPPED: &str = "its scheduler stopped";

/// The outcome of a run, without its output.
#[derive(Debug, Clone, Serialize)]
pub(in crate::jobs::scheduler) struct Ending {
    pub status: RunStatus,
    pub retryable: bool,
    pub http_status: Option<i32>,
    pub error_text: Option<String>,
    pub result: Option<Value>,
}

/// A run to end. Its JSON form has the columns of the record in [`end_runs`].
#[derive(Debug, Clone, Serialize)]
pub(in crate::jobs::scheduler) struct EndingRun {
    #[serde(flatten)]
    run: HeldLease,
    #[serde(flatten)]
    ending: Ending,
    /// Whether the run did not end by itself. If so, and if its cancellation was requested, it counts as cancelled.
    abandoned: bool,
    progress: Option<RunProgress>,
    /// With `None`, the stored log is kept.
    log_text: Option<String>,
    log_bytes: Option<i64>,
    log_object_key: Option<String>,
}

impl EndingRun {
    pub(in crate::jobs::scheduler) fn new(run: HeldLease, ending: Ending, output: OutputSnapshot) -> Self {
        Self {
            run,
            ending,
            abandoned: false,
            progress: output.progress,
            log_text: Some(output.log_text),
            log_bytes: Some(output.log_bytes),
            log_object_key: output.log_object_key,
        }
    }

    /// Creates the end of a run whose scheduler crashed or shuts down. Without `output`, the stored output stays.
    pub(in crate::jobs::scheduler) fn abandoned(run: HeldLease, output: Option<OutputSnapshot>) -> Self {
        let ending = Ending {
            status: RunStatus::Fail,
            retryable: true,
            http_status: None,
            error_text: Some(SCHEDULER_STOPPED.to_owned()),
            result: None,
        };
        let (log_text, log_bytes, log_object_key, progress) = match output {
            Some(output) => (Some(output.log_text), Some(output.log_bytes), output.log_object_key, output.progress),
            None => (None, None, None, None),
        };
        Self { run, ending, abandoned: true, progress, log_text, log_bytes, log_object_key }
    }

    pub(in crate::jobs::scheduler) fn id(&self) -> Uuid {
        self.run.id
    }

    /// Drops the result, the unwritten progress and the log, and replaces the error, because one of them can't be
    /// stored.
    pub(in crate::jobs::scheduler) fn drop_output(&mut self, error: &str) {
        self.ending.result = None;
        self.ending.error_text = Some(error.to_owned());
        self.progress = None;
        self.log_text = Some(String::new());
        self.log_bytes = Some(0);
    }
}

/// A run that [`end_runs`] ended.
#[derive(Debug, sqlx::FromRow)]
pub(in crate::jobs::scheduler) struct EndedRow {
    pub id: Uuid,
    pub job_id: Option<Uuid>,
    pub job_name: Option<String>,
    pub project_id: Option<String>,
    pub plugin: String,
    pub plugin_job: String,
    /// The parameter `target`, if the run has it.
    pub target: Option<String>,
    pub status: RunStatus,
    pub error_text: Option<String>,
    pub duration_ms: Option<i64>,
    /// Whether the next attempt was queued.
    pub retried: bool,
    /// Status of the job's previous run. A run and its retries count as one. Cancelled and skipped runs do not count.
    pub previous_status: Option<RunStatus>,
}

/// Ends runs and queues their next attempts in one statement, so that neither exists without the other. Runs whose
/// lease was lost are not changed and not returned.
///
/// The delay doubles with each attempt, up to a day, plus a random part of up to a quarter, so that runs that failed
/// together are not retried together. The ids of attempts are UUIDs of version 7, which sort by time.
///
/// Runs whose cancellation was requested are not retried. Neither are the runs of a disabled job, except manual ones,
/// which have no fire time.
pub(in crate::jobs::scheduler) async fn end_runs(
    connection: &mut PgConnection,
    runs: &[EndingRun],
) -> Result<Vec<EndedRow>, sqlx::Error> {
    sqlx::query_as(
        "WITH ending AS (
             SELECT e.*, r.scheduled_for IS NOT NULL AND NOT coalesce(j.enabled, true) AS is_disabled,
                 e.status IN ('fail', 'timeout') AND e.retryable AND r.retries_left > 0 AS may_retry
             FROM jsonb_to_recordset($1) AS e
                 (id uuid, lease uuid, status text, retryable boolean, abandoned boolean, http_status integer,
                  error_text text, result jsonb, progress jsonb, log_text text, log_bytes bigint, log_object_key text)
             JOIN cron_job_runs r ON r.id = e.id LEFT JOIN cron_jobs j ON j.id = r.job_id
         ), ended AS (
             UPDATE cron_job_runs r SET
                 status = CASE WHEN e.abandoned AND r.cancel_requested_at IS NOT NULL THEN 'cancelled'
                               ELSE e.status END,
                 finished_at = clock_timestamp(),
                 duration_ms = (extract(epoch FROM clock_timestamp() - r.started_at) * 1000)::bigint,
                 http_status = e.http_status, result = e.result,
                 error_text = CASE WHEN e.may_retry AND e.is_disabled AND r.cancel_requested_at IS NULL
                     THEN concat_ws(' ', e.error_text, '(not retried: the job was disabled)')
                     ELSE e.error_text END,
                 progress = coalesce(e.progress, r.progress), log_text = coalesce(e.log_text, r.log_text),
                 log_bytes = coalesce(e.log_bytes, r.log_bytes),
                 log_object_key = coalesce(e.log_object_key, r.log_object_key),
                 retried = e.may_retry AND NOT e.is_disabled AND r.cancel_requested_at IS NULL,
                 lease_token = NULL, lease_until = NULL
             FROM ending e
             WHERE r.id = e.id AND r.lease_token = e.lease AND r.status = 'running'
             RETURNING r.*
         ), next_attempts AS (
             INSERT INTO cron_job_runs
                 (id, job_id, project_id, plugin, plugin_job, params, timeout_ms, retries_left, retry_backoff_ms,
                  exclusive, scheduled_for, trigger, attempt, retry_of, not_before)
             SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
                        PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
                        FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid,
                 job_id, project_id, plugin, plugin_job, params, timeout_ms, retries_left - 1, retry_backoff_ms,
                 exclusive, scheduled_for, 'retry', attempt + 1, id,
                 clock_timestamp() + make_interval(secs => (1 + random() / 4)
                     * least(86400, retry_backoff_ms / 1000.0 * power(2, least(attempt - 1, 30)))::float8)
             FROM ended WHERE retried
             ON CONFLICT (job_id, scheduled_for, attempt) DO NOTHING
         )
         SELECT e.id, e.job_id, j.name AS job_name, e.project_id, e.plugin, e.plugin_job,
             coalesce(e.params ->> 'target', j.params ->> 'target') AS target, e.status, e.error_text, e.duration_ms,
             e.retried,
             (SELECT p.status FROM cron_job_runs p
              WHERE p.job_id = e.job_id AND p.id < e.id AND p.status IN ('success', 'fail', 'timeout')
                AND NOT p.retried
              ORDER BY p.id DESC LIMIT 1) AS previous_status
         FROM ended e LEFT JOIN cron_jobs j ON j.id = e.job_id",
    )
    .bind(Json(runs))
    .fetch_all(connection)
    .await
}

/// Ends up to `limit` runs whose lease expired, or only the run `only`, if its lease expired.
pub(in crate::jobs::scheduler) async fn end_expired_runs(
    connection: &mut PgConnection,
    only: Option<Uuid>,
    limit: i64,
) -> Result<Vec<EndedRow>, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let expired: Vec<HeldLease> = sqlx::query_as(
        "SELECT id, lease_token AS lease FROM cron_job_runs WHERE status = 'running' AND lease_until < now()
           AND ($2::uuid IS NULL OR id = $2)
         ORDER BY lease_until LIMIT $1 FOR UPDATE SKIP LOCKED",
    )
    .bind(limit)
    .bind(only)
    .fetch_all(&mut *transaction)
    .await?;
    if expired.is_empty() {
        transaction.rollback().await?;
        return Ok(Vec::new());
    }
    let runs: Vec<EndingRun> = expired.into_iter().map(|run| EndingRun::abandoned(run, None)).collect();
    let ended = end_runs(&mut transaction, &runs).await?;
    transaction.commit().await?;
    Ok(ended)
}
