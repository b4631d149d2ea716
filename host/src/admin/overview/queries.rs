//! The fixed SQL of the overview.

use api_types::RunCount;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use crate::db::ids;

/// Numbers of the whole installation: its stored objects, and its runs of the last 24 hours.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Numbers {
    pub object_count: i64,
    pub object_bytes: i64,
    run_count: i64,
    failed_run_count: i64,
}

impl Numbers {
    pub(super) fn runs(&self) -> RunCount {
        RunCount { total: self.run_count, failed: self.failed_run_count }
    }
}

pub(super) async fn numbers(pool: &PgPool, now: DateTime<Utc>) -> Result<Numbers, sqlx::Error> {
    let since = now - TimeDelta::hours(24);
    sqlx::query_as(
        "SELECT objects.*, runs.* FROM
             (SELECT count(*) AS object_count, coalesce(sum(size), 0)::bigint AS object_bytes FROM file_metadata
              WHERE state = 'stored') AS objects,
             (SELECT count(*) AS run_count, count(*) FILTER (WHERE status IN ('fail', 'timeout')) AS failed_run_count
              FROM cron_job_runs WHERE created_at >= $1 AND id >= $2) AS runs",
    )
    .bind(since)
    .bind(ids::lowest_id(since))
    .fetch_one(pool)
    .await
}

/// A key that is in use and expires soon.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct ExpiringKey {
    pub id: Uuid,
    pub name: String,
    pub expires_at: DateTime<Utc>,
    pub project_id: String,
    pub project_name: String,
}

/// Returns the keys that expire within the next two weeks and were used within the last week, in the order of their
/// expiry.
pub(super) async fn expiring_keys(pool: &PgPool) -> Result<Vec<ExpiringKey>, sqlx::Error> {
    sqlx::query_as(
        "SELECT k.id, k.name, k.expires_at, p.id AS project_id, p.name AS project_name
         FROM api_keys k JOIN projects p ON p.id = k.project_id
         WHERE k.revoked_at IS NULL AND k.expires_at > now() AND k.expires_at < now() + interval '14 days'
           AND k.last_used_at > now() - interval '7 days' AND p.state = 'ready'
         ORDER BY k.expires_at, k.id",
    )
    .fetch_all(pool)
    .await
}
