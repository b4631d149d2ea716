//! Reads the current state of the resources that events are about.

use api_types::EventKind;
use sqlx::PgPool;

/// Maximum number of runs that are read in each of the states running, queued and ended.
pub(super) const MAX_RUNS: i64 = 1000;

/// A resource that events are about.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Observed {
    pub(super) kind: EventKind,
    pub(super) id: String,
    pub(super) project_id: Option<String>,
    pub(super) state: String,
    /// Changes with the resource, even if `state` stays the same.
    pub(super) version: i64,
}

/// Returns the queued and running runs, and those that ended in the last `ended_within` seconds, at most [`MAX_RUNS`]
/// of each. `attempt > 0` always holds, and matches the condition of `cron_job_runs_queued_idx`.
pub(super) async fn observe_runs(pool: &PgPool, ended_within: f64) -> Result<Vec<Observed>, sqlx::Error> {
    sqlx::query_as(
        "(SELECT 'run' AS kind, id::text AS id, project_id, status AS state,
              coalesce(hashtextextended(progress::text, 0), 0) AS version
          FROM cron_job_runs WHERE status = 'running' LIMIT $2)
         UNION ALL
         (SELECT 'run', id::text, project_id, status, 0 FROM cron_job_runs
          WHERE status = 'queued' AND attempt > 0 ORDER BY not_before DESC, id DESC LIMIT $2)
         UNION ALL
         (SELECT 'run', id::text, project_id, status, 0 FROM cron_job_runs
          WHERE finished_at > now() - make_interval(secs => $1) ORDER BY finished_at DESC LIMIT $2)",
    )
    .bind(ended_within)
    .bind(MAX_RUNS)
    .fetch_all(pool)
    .await
}

// Columns that change without being of interest are left out: a job's next fire time, a channel's lock, the time of a
// node's last report. A restore whose process was killed counts as ended, as in the list of restores.
macro_rules! rest {
    () => {
        "SELECT 'job' AS kind, id::text AS id, project_id,
             CASE WHEN enabled THEN 'enabled' ELSE 'disabled' END AS state,
             hashtextextended(updated_at::text, 0) AS version
         FROM cron_jobs
         UNION ALL
         SELECT 'project', id, id, state, hashtextextended(p::text, 0) FROM projects p
         UNION ALL
         SELECT 'backup', id::text, CASE WHEN target LIKE 'project:%' THEN substr(target, 9) END,
             CASE WHEN failed_at IS NOT NULL AND state <> 'missing' THEN 'failed' ELSE state END,
             hashtextextended(b::text, 0)
         FROM backups b
         UNION ALL
         SELECT 'restore', r.id::text, r.project_id,
             CASE WHEN r.state NOT IN ('loading', 'checking', 'swapping') OR run.status IN ('queued', 'running')
                  THEN r.state WHEN r.previous_database IS NOT NULL THEN 'done'
                  WHEN run.status = 'cancelled' THEN 'cancelled' ELSE 'failed' END,
             hashtextextended(concat_ws('|', r.run_id, r.previous_database, r.error_text, r.finished_at), 0)
         FROM restores r
         LEFT JOIN cron_job_runs run ON run.id = r.run_id AND r.state IN ('loading', 'checking', 'swapping')
         UNION ALL
         SELECT 'channel', id::text, NULL,
             CASE WHEN NOT enabled THEN 'disabled' WHEN last_error IS NOT NULL THEN 'failing' ELSE 'enabled' END,
             hashtextextended(concat_ws('|', updated_at, last_sent_at, last_error), 0)
         FROM notification_channels
         UNION ALL
         SELECT 'system', id::text, NULL,
             CASE WHEN last_seen_at > now() - interval '30 seconds' THEN 'joined' ELSE 'left' END, 0
         FROM nodes"
    };
}

/// Returns a number that changes when the result of [`observe_rest`] changes.
pub(super) async fn fingerprint(pool: &PgPool) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(concat!(
        "SELECT coalesce(bit_xor(hashtextextended(concat_ws('|', kind, id, project_id, state, version), 0)), 0)
         FROM (",
        rest!(),
        ") AS rest"
    ))
    .fetch_one(pool)
    .await
}

/// Returns the jobs, projects, backups, restores, channels and nodes.
pub(super) async fn observe_rest(pool: &PgPool) -> Result<Vec<Observed>, sqlx::Error> {
    sqlx::query_as(rest!()).fetch_all(pool).await
}
