use sqlx::PgPool;
use uuid::Uuid;

/// What is left to remove of a run that was removed.
#[derive(Debug, sqlx::FromRow)]
pub(in crate::jobs) struct RemovedRun {
    pub(in crate::jobs) log_object_key: Option<String>,
    pub(in crate::jobs) log_bytes: i64,
}

/// Removes runs that ended so many days ago, the oldest first; the newest of each job stays, and the newest that was not
/// skipped.
pub(in crate::jobs) async fn remove_old_runs(
    pool: &PgPool,
    days: i32,
    limit: i64,
) -> Result<Vec<RemovedRun>, sqlx::Error> {
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

/// Removes ended runs of jobs that have more than `keep` of them, the oldest. What was skipped counts by itself: a job
/// that is due more often than it can run keeps the history of what it did.
pub(in crate::jobs) async fn remove_surplus_runs(
    pool: &PgPool,
    keep: i64,
    limit: i64,
) -> Result<Vec<RemovedRun>, sqlx::Error> {
    sqlx::query_as(
        "DELETE FROM cron_job_runs WHERE id IN (
             SELECT id FROM (
                 SELECT id, row_number() OVER (PARTITION BY job_id, status = 'skipped' ORDER BY id DESC) AS place
                 FROM cron_job_runs WHERE job_id IS NOT NULL AND finished_at IS NOT NULL) ranked
             WHERE place > $1 LIMIT $2)
         RETURNING log_object_key, log_bytes",
    )
    .bind(keep)
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// Which of these runs there are.
pub(in crate::jobs) async fn existing_runs(pool: &PgPool, ids: &[Uuid]) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar("SELECT id FROM cron_job_runs WHERE id = ANY($1)").bind(ids).fetch_all(pool).await
}
