//! A run with all attempts at the same work and, while the run is queued, the reason why it waits.

use api_types::{Run, RunAttempt, RunDetail, RunStatus, RunWaiting, WaitReason};
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::queries::{self, RunRow};
use crate::{
    error::{ApiError, ApiResult},
    jobs::Runs,
};

impl Runs {
    /// Returns a run with all attempts at the same work and, while the run is queued, the reason why it waits.
    ///
    /// # Errors
    /// Returns 404 if the run does not exist, and 503 if Postgres can't be reached.
    pub async fn get_run_detail(&self, id: Uuid) -> ApiResult<RunDetail> {
        let row = queries::get_run(&self.platform, id).await?.ok_or_else(|| ApiError::not_found("run"))?;
        let attempts = attempts(&self.platform, &row).await?;
        let run = row.into_wire();
        let waiting = match run.status {
            RunStatus::Queued => waiting(&self.platform, id).await?,
            _ => None,
        };
        let attempts = if attempts.is_empty() { vec![as_attempt(&run)] } else { attempts };
        Ok(RunDetail { run, attempts, waiting })
    }
}

fn as_attempt(run: &Run) -> RunAttempt {
    RunAttempt {
        id: run.id.clone(),
        attempt: run.attempt,
        status: run.status,
        created_at: run.created_at,
        started_at: run.started_at,
        duration_ms: run.duration_ms,
        error_text: run.error_text.clone(),
    }
}

#[derive(Debug, sqlx::FromRow)]
struct AttemptRow {
    id: Uuid,
    attempt: i32,
    status: RunStatus,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    duration_ms: Option<i64>,
    error_text: Option<String>,
}

impl AttemptRow {
    fn into_wire(self) -> RunAttempt {
        RunAttempt {
            id: self.id.to_string(),
            attempt: self.attempt,
            status: self.status,
            created_at: self.created_at,
            started_at: self.started_at,
            duration_ms: self.duration_ms,
            error_text: self.error_text,
        }
    }
}

macro_rules! attempt_columns {
    () => {
        "id, attempt, status, created_at, started_at, duration_ms, error_text"
    };
}

/// Returns all attempts at the work of a job's run, in order. Returns none for a run without a job, which is never
/// retried.
async fn attempts(pool: &PgPool, run: &RunRow) -> Result<Vec<RunAttempt>, sqlx::Error> {
    let Some(job) = run.job_id else { return Ok(Vec::new()) };
    let rows: Vec<AttemptRow> =
        match run.scheduled_for {
            Some(scheduled_for) => {
                sqlx::query_as(concat!(
                    "SELECT ",
                    attempt_columns!(),
                    " FROM cron_job_runs WHERE job_id = $1 AND scheduled_for = $2 ORDER BY attempt"
                ))
                .bind(job)
                .bind(scheduled_for)
                .fetch_all(pool)
                .await?
            }
            // Manual runs have no fire time, so only `retry_of` links their attempts. The recursion is cheap, because
            // few manual runs have retries.
            None => sqlx::query_as(concat!(
                "WITH RECURSIVE retries AS MATERIALIZED (
                 SELECT id, retry_of FROM cron_job_runs
                 WHERE job_id = $1 AND scheduled_for IS NULL AND attempt > 1 AND retry_of IS NOT NULL
             ), earlier AS (
                 SELECT $2::uuid AS id
                 UNION SELECT r.retry_of FROM earlier e JOIN retries r ON r.id = e.id
             ), later AS (
                 SELECT $2::uuid AS id
                 UNION SELECT r.id FROM later l JOIN retries r ON r.retry_of = l.id
             )
             SELECT ",
                attempt_columns!(),
                " FROM cron_job_runs WHERE id IN (SELECT id FROM earlier UNION SELECT id FROM later) ORDER BY attempt"
            ))
            .bind(job)
            .bind(run.id)
            .fetch_all(pool)
            .await?,
        };
    Ok(rows.into_iter().map(AttemptRow::into_wire).collect())
}

/// Returns the reason why a run waits, or `None` if it is no longer queued.
async fn waiting(pool: &PgPool, run: Uuid) -> Result<Option<RunWaiting>, sqlx::Error> {
    let row: Option<(Option<DateTime<Utc>>, Option<Uuid>, bool)> = sqlx::query_as(
        "SELECT CASE WHEN q.not_before > now() THEN q.not_before END,
             (SELECT r.id FROM cron_job_runs r
              WHERE q.exclusive AND r.job_id = q.job_id AND r.status = 'running' AND r.exclusive LIMIT 1),
             EXISTS (SELECT FROM nodes
                     WHERE role IN ('all', 'scheduler') AND last_seen_at > now() - interval '30 seconds')
         FROM cron_job_runs q WHERE q.id = $1 AND q.status = 'queued'",
    )
    .bind(run)
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|(until, previous, has_scheduler)| {
        let reason = match (until, previous) {
            (Some(_), _) => WaitReason::Time,
            (None, Some(_)) => WaitReason::Overlap,
            (None, None) if !has_scheduler => WaitReason::Scheduler,
            (None, None) => WaitReason::Turn,
        };
        let previous = previous.filter(|_| until.is_none());
        RunWaiting { reason, until, run_id: previous.map(|id| id.to_string()) }
    }))
}
