//! The fixed SQL that computes numbers about jobs from the history of their runs.

use std::collections::HashMap;

use api_types::{JobFailures, RecentRun, RunStatus};
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

/// Returns the number of runs of each job. Jobs without runs are left out.
pub(super) async fn run_counts(pool: &PgPool, jobs: &[Uuid]) -> Result<HashMap<Uuid, i64>, sqlx::Error> {
    let rows: Vec<(Uuid, i64)> =
        sqlx::query_as("SELECT job_id, count(*) FROM cron_job_runs WHERE job_id = ANY($1) GROUP BY job_id")
            .bind(jobs)
            .fetch_all(pool)
            .await?;
    Ok(rows.into_iter().collect())
}

#[derive(Debug, sqlx::FromRow)]
struct FailuresRow {
    job_id: Uuid,
    count: i64,
    since: DateTime<Utc>,
    run_id: Uuid,
    error_text: Option<String>,
}

/// Returns the failures of each job since its last success. Of a run and its retries, only the last one counts.
pub(super) async fn failures(pool: &PgPool, jobs: &[Uuid]) -> Result<HashMap<Uuid, JobFailures>, sqlx::Error> {
    let rows: Vec<FailuresRow> = sqlx::query_as(
        "SELECT wanted.job AS job_id, failed.count, failed.since, newest.id AS run_id, newest.error_text
         FROM unnest($1::uuid[]) AS wanted (job)
         CROSS JOIN LATERAL (
             SELECT coalesce((SELECT id FROM cron_job_runs WHERE job_id = wanted.job AND status = 'success'
                              ORDER BY id DESC LIMIT 1), '00000000-0000-0000-0000-000000000000') AS id) AS success
         CROSS JOIN LATERAL (
             SELECT count(*) AS count, min(created_at) AS since FROM cron_job_runs r
             WHERE r.job_id = wanted.job AND r.id > success.id AND r.status IN ('fail', 'timeout')
               AND NOT r.retried) AS failed
         CROSS JOIN LATERAL (
             SELECT r.id, r.error_text FROM cron_job_runs r
             WHERE r.job_id = wanted.job AND r.id > success.id AND r.status IN ('fail', 'timeout') AND NOT r.retried
             ORDER BY r.id DESC LIMIT 1) AS newest",
    )
    .bind(jobs)
    .fetch_all(pool)
    .await?;
    let failures = rows.into_iter().map(|row| {
        let failures = JobFailures {
            count: row.count,
            since: row.since,
            run_id: row.run_id.to_string(),
            error_text: row.error_text,
        };
        (row.job_id, failures)
    });
    Ok(failures.collect())
}

#[derive(Debug, sqlx::FromRow)]
struct RecentRow {
    job_id: Uuid,
    id: Uuid,
    status: RunStatus,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    duration_ms: Option<i64>,
}

/// Returns up to `count` runs of each job, newest first.
pub(super) async fn recent_runs(
    pool: &PgPool,
    jobs: &[Uuid],
    count: u32,
) -> Result<HashMap<Uuid, Vec<RecentRun>>, sqlx::Error> {
    let rows: Vec<RecentRow> = sqlx::query_as(
        "SELECT wanted.job AS job_id, recent.*
         FROM unnest($1::uuid[]) AS wanted (job)
         CROSS JOIN LATERAL (
             SELECT id, status, created_at, started_at, duration_ms FROM cron_job_runs
             WHERE job_id = wanted.job ORDER BY id DESC LIMIT $2) AS recent
         ORDER BY recent.id DESC",
    )
    .bind(jobs)
    .bind(i64::from(count))
    .fetch_all(pool)
    .await?;
    let mut recent: HashMap<Uuid, Vec<RecentRun>> = HashMap::new();
    for row in rows {
        recent.entry(row.job_id).or_default().push(RecentRun {
            id: row.id.to_string(),
            status: row.status,
            created_at: row.created_at,
            started_at: row.started_at,
            duration_ms: row.duration_ms,
        });
    }
    Ok(recent)
}
