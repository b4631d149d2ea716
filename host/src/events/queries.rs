//! The state of everything that events are about, as rows.

use api_types::EventKind;
use sqlx::PgPool;

/// Runs of one kind that are read at most: of running, of queued and of ended ones.
pub(super) const MAX_RUNS: i64 = 1000;

/// Something that events are about.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Observed {
    pub(super) kind: EventKind,
    pub(super) id: String,
    pub(super) project_id: Option<String>,
    pub(super) state: String,
    /// Differs after a change that leaves the state as it is.
    pub(super) version: i64,
}

/// Returns the active runs, and those that ended within this number of seconds.
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
// node's last report.
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

/// Returns a number that changes when the result of [`observe_rest`] does.
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

/// Returns everything that is stored in Postgres, except runs.
pub(super) async fn observe_rest(pool: &PgPool) -> Result<Vec<Observed>, sqlx::Error> {
    sqlx::query_as(rest!()).fetch_all(pool).await
}
