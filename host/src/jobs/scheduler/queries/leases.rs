//! Renews the leases of active runs, and writes their output.

use std::time::Duration;

use serde::Serialize;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::column;
use crate::jobs::runs::output::OutputSnapshot;

/// A run and the token of the lease that this scheduler holds on it.
#[derive(Debug, Clone, Copy, Serialize, sqlx::FromRow)]
pub(in crate::jobs::scheduler) struct HeldLease {
    pub id: Uuid,
    pub lease: Uuid,
}

/// Result of a renewal, for a run whose lease is still held.
#[derive(Debug, sqlx::FromRow)]
pub(in crate::jobs::scheduler) struct Renewal {
    pub id: Uuid,
    /// False if the row was locked by another transaction. The renewal skips such rows, so that one run's transaction
    /// does not block the renewal of all other leases.
    pub renewed: bool,
    pub cancel_requested: bool,
}

/// Renews leases: each ends after the duration `lease`, counted from now. Returns the runs whose leases are still held.
pub(in crate::jobs::scheduler) async fn renew_leases(
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

/// The output of an active run.
#[derive(Debug)]
pub(in crate::jobs::scheduler) struct RunOutputRow {
    pub run: HeldLease,
    pub output: OutputSnapshot,
}

/// Writes the output of runs whose lease is still held.
pub(in crate::jobs::scheduler) async fn write_output(
    connection: &mut PgConnection,
    rows: &[RunOutputRow],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE cron_job_runs r SET
             log_text = o.log_text, log_bytes = o.log_bytes,
             log_object_key = coalesce(o.log_object_key, r.log_object_key),
             progress = coalesce(o.progress, r.progress)
         FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::jsonb[])
             AS o (id, lease, log_text, log_bytes, log_object_key, progress)
         WHERE r.id = o.id AND r.lease_token = o.lease AND r.status = 'running'",
    )
    .bind(column(rows, |row| row.run.id))
    .bind(column(rows, |row| row.run.lease))
    .bind(column(rows, |row| row.output.log_text.as_str()))
    .bind(column(rows, |row| row.output.log_bytes))
    .bind(column(rows, |row| row.output.log_object_key.as_deref()))
    .bind(column(rows, |row| row.output.progress.as_ref().map(Json)))
    .execute(connection)
    .await?;
    Ok(())
}
