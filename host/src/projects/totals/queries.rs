//! The fixed SQL that counts what belongs to projects, and lists projects by name or creation time.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{db::ids, projects::ProjectRef};

/// The numbers of a project that the platform database contains.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct TotalsRow {
    pub id: String,
    pub object_count: i64,
    pub object_bytes: i64,
    pub active_key_count: i64,
    pub next_key_expiry: Option<DateTime<Utc>>,
    pub keys_last_used_at: Option<DateTime<Utc>>,
    pub job_count: i64,
    pub backup_count: i64,
    pub backup_id: Option<Uuid>,
    pub backup_at: Option<DateTime<Utc>>,
    pub backup_verified_at: Option<DateTime<Utc>>,
    pub run_count: i64,
    pub failed_run_count: i64,
}

/// Returns the totals of the projects. Counts runs that were created since `since`.
pub(super) async fn totals(
    pool: &PgPool,
    projects: &[String],
    since: DateTime<Utc>,
) -> Result<Vec<TotalsRow>, sqlx::Error> {
    sqlx::query_as(
        "WITH wanted AS (SELECT unnest($1::text[]) AS id),
         objects AS (
             SELECT project_id, count(*) AS object_count, coalesce(sum(size), 0)::bigint AS object_bytes
             FROM file_metadata WHERE project_id = ANY($1) AND state = 'stored' GROUP BY project_id),
         keys AS (
             SELECT project_id, max(last_used_at) AS last_used_at,
                 count(*) FILTER (WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())) AS active,
                 min(expires_at) FILTER (WHERE revoked_at IS NULL AND expires_at > now()) AS next_expiry
             FROM api_keys WHERE project_id = ANY($1) GROUP BY project_id),
         jobs AS (SELECT project_id, count(*) AS job_count FROM cron_jobs WHERE project_id = ANY($1) GROUP BY 1),
         runs AS (
             SELECT project_id, count(*) AS run_count, count(*) FILTER (WHERE status IN ('fail', 'timeout')) AS failed
             FROM cron_job_runs WHERE project_id = ANY($1) AND created_at >= $2 AND id >= $3 GROUP BY 1),
         kept AS (
             SELECT target, count(*) AS backup_count FROM backups
             WHERE target = ANY(SELECT 'project:' || id FROM wanted) AND state <> 'missing' GROUP BY 1),
         good AS (
             SELECT DISTINCT ON (target) target, id, created_at, verified_at FROM backups
             WHERE target = ANY(SELECT 'project:' || id FROM wanted) AND state <> 'missing' AND failed_at IS NULL
             ORDER BY target, created_at DESC, id DESC)
         SELECT w.id, coalesce(o.object_count, 0) AS object_count, coalesce(o.object_bytes, 0) AS object_bytes,
             coalesce(k.active, 0) AS active_key_count, k.next_expiry AS next_key_expiry,
             k.last_used_at AS keys_last_used_at, coalesce(j.job_count, 0) AS job_count,
             coalesce(b.backup_count, 0) AS backup_count, g.id AS backup_id, g.created_at AS backup_at,
             g.verified_at AS backup_verified_at, coalesce(r.run_count, 0) AS run_count,
             coalesce(r.failed, 0) AS failed_run_count
         FROM wanted w
         LEFT JOIN objects o ON o.project_id = w.id
         LEFT JOIN keys k ON k.project_id = w.id
         LEFT JOIN jobs j ON j.project_id = w.id
         LEFT JOIN runs r ON r.project_id = w.id
         LEFT JOIN kept b ON b.target = 'project:' || w.id
         LEFT JOIN good g ON g.target = 'project:' || w.id",
    )
    .bind(projects)
    .bind(since)
    .bind(ids::lowest_id(since))
    .fetch_all(pool)
    .await
}

/// The statement of [`list`] for one order.
macro_rules! list_sql {
    ($key:literal, $after:literal, $operator:literal, $direction:literal) => {
        concat!(
            "SELECT id, name, state, cors_origins, created_at, updated_at, delete_after_run, delete_problem, protected,
                 note
             FROM projects
             WHERE ($1::text IS NULL OR position(lower($1) IN lower(name)) > 0 OR id = $1)
               AND ($2::text IS NULL OR (",
            $key,
            ", id) ",
            $operator,
            " (",
            $after,
            ", $3))
             ORDER BY ",
            $key,
            " ",
            $direction,
            ", id ",
            $direction,
            " LIMIT $4"
        )
    };
}

/// The order of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Order {
    pub by_name: bool,
    pub descending: bool,
}

/// The sort key of a page's last project: its name or its creation time, and its id.
pub(super) type After = (String, String);

/// Returns projects in the given order. With `q`, returns only those whose name contains `q` (ignoring case) or whose
/// id is `q`. `after` is the sort key of the last project of the previous page.
pub(super) async fn list(
    pool: &PgPool,
    q: Option<&str>,
    order: Order,
    after: Option<After>,
    limit: i64,
) -> Result<Vec<ProjectRef>, sqlx::Error> {
    let (after_key, after_id) = after.unzip();
    let sql = match order {
        Order { by_name: true, descending: false } => list_sql!("lower(name)", "lower($2)", ">", "ASC"),
        Order { by_name: true, descending: true } => list_sql!("lower(name)", "lower($2)", "<", "DESC"),
        Order { by_name: false, descending: false } => list_sql!("created_at", "$2::timestamptz", ">", "ASC"),
        Order { by_name: false, descending: true } => list_sql!("created_at", "$2::timestamptz", "<", "DESC"),
    };
    sqlx::query_as(sql).bind(q).bind(after_key).bind(after_id).bind(limit).fetch_all(pool).await
}
