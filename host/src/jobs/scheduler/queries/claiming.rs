//! Claims queued runs.

use std::time::Duration;

use api_types::{JobType, RunTrigger};
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

/// A claimed run, with the columns of its job that it needs.
#[derive(Debug, sqlx::FromRow)]
pub(in crate::jobs::scheduler) struct ClaimedRow {
    pub id: Uuid,
    pub lease_token: Uuid,
    pub job_id: Option<Uuid>,
    pub project_id: Option<String>,
    pub plugin: String,
    pub plugin_job: String,
    pub params: Value,
    pub attempt: i32,
    pub trigger: RunTrigger,
    pub scheduled_for: Option<DateTime<Utc>>,
    pub started_at: DateTime<Utc>,
    pub timeout_ms: i32,
    pub job_type: Option<JobType>,
    pub http_url: Option<String>,
    pub http_method: Option<String>,
    /// Sealed.
    pub http_headers_json: Option<Vec<u8>>,
    /// Sealed.
    pub http_body_json: Option<Vec<u8>>,
    /// Whether the run has a fire time, but its job was disabled. A retry that is queued at the moment in which its job
    /// is disabled is not cancelled with the others.
    pub is_disabled: bool,
    /// Number of due runs that the statement considered. Those that it did not claim exceed one of the [`ClaimLimits`].
    pub candidates: i64,
}

/// Limits on the number of runs to claim; see `scheduler::claimer`.
#[derive(Debug, Default)]
pub(in crate::jobs::scheduler) struct ClaimLimits {
    /// Number of runs of plugins with reserved permits. The names of these plugins are in `own_plugins`.
    pub own: usize,
    /// Number of runs of all other plugins.
    pub shared: usize,
    pub own_plugins: Vec<&'static str>,
    /// Plugins whose runs are not claimed.
    pub excluded: Vec<String>,
    /// Plugins whose active runs are counted. At the same index, `runs` contains the number of runs that may be
    /// claimed. Of every other plugin, one run may be claimed.
    pub plugins: Vec<String>,
    pub runs: Vec<i64>,
}

/// Claims due runs within `limits`, in the order in which they became due, but never two exclusive runs of a job.
///
/// Exclusive runs of a job take turns in the order of their fire times or, for manual runs, of the times at which they
/// are due. A run waits for earlier runs that are due. The run of a fire time also waits for a retry of an earlier fire
/// time, even if that retry is not due yet.
///
/// `attempt > 0` matches the condition of `cron_job_runs_queued_idx`.
///
/// # Errors
/// Returns a unique violation if another scheduler claimed an exclusive run of the same job at the same time. In that
/// case, nothing is claimed, and a second call claims the rest.
pub(in crate::jobs::scheduler) async fn claim_runs(
    connection: &mut PgConnection,
    worker: &str,
    lease: Duration,
    limits: &ClaimLimits,
) -> Result<Vec<ClaimedRow>, sqlx::Error> {
    sqlx::query_as(
        "WITH candidates AS MATERIALIZED (
             SELECT r.id, r.job_id, r.plugin, r.plugin = ANY($4) AS is_own, r.not_before FROM cron_job_runs r
             WHERE r.status = 'queued' AND r.attempt > 0 AND r.not_before <= now()
               AND r.plugin <> ALL($7)
               AND CASE WHEN r.plugin = ANY($4) THEN $5::bigint ELSE $6::bigint END > 0
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
         ),
         ranked AS (
             SELECT c.*, row_number() OVER (PARTITION BY c.plugin ORDER BY c.not_before, c.id) AS of_plugin,
                 row_number() OVER (PARTITION BY c.is_own ORDER BY c.not_before, c.id) AS of_kind
             FROM candidates c
         )
         UPDATE cron_job_runs r SET
             status = 'running', started_at = clock_timestamp(), worker = $2, lease_token = gen_random_uuid(),
             lease_until = clock_timestamp() + make_interval(secs => $3)
         FROM ranked c
         LEFT JOIN unnest($8::text[], $9::bigint[]) AS l (plugin, runs) ON l.plugin = c.plugin
         LEFT JOIN cron_jobs j ON j.id = c.job_id
         WHERE r.id = c.id AND c.of_plugin <= coalesce(l.runs, 1)
           AND c.of_kind <= CASE WHEN c.is_own THEN $5::bigint ELSE $6::bigint END
         RETURNING r.id, r.lease_token, r.job_id, r.project_id, r.plugin, r.plugin_job, r.params, r.attempt, r.trigger,
             r.scheduled_for, r.started_at, r.timeout_ms, j.type AS job_type, j.http_url, j.http_method,
             j.http_headers_json, j.http_body_json,
             r.scheduled_for IS NOT NULL AND NOT coalesce(j.enabled, true) AS is_disabled,
             (SELECT count(*) FROM candidates) AS candidates",
    )
    .bind((limits.own + limits.shared) as i64)
    .bind(worker)
    .bind(lease.as_secs_f64())
    .bind(&limits.own_plugins)
    .bind(limits.own as i64)
    .bind(limits.shared as i64)
    .bind(&limits.excluded)
    .bind(&limits.plugins)
    .bind(&limits.runs)
    .fetch_all(connection)
    .await
}

/// Claims this run, which belongs to no job, if it is still queued.
pub(in crate::jobs::scheduler) async fn claim_run(
    connection: &mut PgConnection,
    worker: &str,
    lease: Duration,
    run: Uuid,
) -> Result<Option<ClaimedRow>, sqlx::Error> {
    sqlx::query_as(
        "UPDATE cron_job_runs r SET
             status = 'running', started_at = clock_timestamp(), worker = $2, lease_token = gen_random_uuid(),
             lease_until = clock_timestamp() + make_interval(secs => $3)
         WHERE r.id = $1 AND r.status = 'queued' AND r.job_id IS NULL
         RETURNING r.id, r.lease_token, r.job_id, r.project_id, r.plugin, r.plugin_job, r.params, r.attempt, r.trigger,
             r.scheduled_for, r.started_at, r.timeout_ms, NULL::text AS job_type, NULL::text AS http_url,
             NULL::text AS http_method, NULL::bytea AS http_headers_json, NULL::bytea AS http_body_json,
             false AS is_disabled, 1::bigint AS candidates",
    )
    .bind(run)
    .bind(worker)
    .bind(lease.as_secs_f64())
    .fetch_optional(connection)
    .await
}

/// Returns the seconds until the next queued run becomes due, or `None` if no queued run becomes due later.
pub(in crate::jobs::scheduler) async fn seconds_until_queued(
    connection: &mut PgConnection,
) -> Result<Option<f64>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT extract(epoch FROM min(not_before) - clock_timestamp())::float8
         FROM cron_job_runs WHERE status = 'queued' AND attempt > 0 AND not_before > now()",
    )
    .fetch_one(connection)
    .await
}
