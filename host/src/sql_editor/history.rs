//! The history of SQL that was sent to the editor, including SQL that failed or was refused, and of SQL that ran in the
//! background. The SQL of a request is not recorded if its response is a server error other than 504, for example 503
//! because of a lost connection.

use api_types::SqlHistoryEntry;
use chrono::{DateTime, Utc};
use sqlx::PgPool;

use crate::error::describe_cause;

/// Maximum number of entries per project.
const MAX_ENTRIES: i64 = 1000;

/// Result of a request or of a run in the background.
pub(super) struct Ended {
    /// `None` if the request failed.
    pub(super) row_count: Option<u64>,
    pub(super) error: Option<String>,
}

#[derive(sqlx::FromRow)]
struct HistoryRow {
    id: i64,
    sql: String,
    at: DateTime<Utc>,
    duration_ms: f64,
    row_count: Option<i64>,
    error: Option<String>,
}

/// Adds an entry, and removes entries beyond the maximum number or age. A failure is only logged, because the statement
/// has already run.
pub(super) async fn add(platform: &PgPool, project: &str, sql: &str, at: DateTime<Utc>, ended: &Ended) {
    let duration_ms = (Utc::now() - at).as_seconds_f64() * 1e3;
    let result = sqlx::query(
        "WITH added AS (
            INSERT INTO sql_history (project_id, sql, at, duration_ms, row_count, error)
            VALUES ($1, $2, $3, $4, $5, $6)
        )
        DELETE FROM sql_history
        WHERE at < now() - interval '90 days'
           OR id IN (SELECT id FROM sql_history WHERE project_id = $1 ORDER BY id DESC OFFSET $7)",
    )
    .bind(project)
    .bind(sql)
    .bind(at)
    .bind(duration_ms)
    .bind(ended.row_count.map(|count| i64::try_from(count).unwrap_or(i64::MAX)))
    // A `text` column can't store NUL characters.
    .bind(ended.error.as_deref().map(|message| message.replace('\0', "")))
    // The deletion does not see the new entry of the same statement.
    .bind(MAX_ENTRIES - 1)
    .execute(platform)
    .await;
    if let Err(error) = result {
        let cause = describe_cause(&error);
        tracing::warn!(project, cause, "could not add an entry to the history of the SQL editor");
    }
}

/// Returns entries, the newest first. `before` is the last id of the previous page.
pub(super) async fn list(
    platform: &PgPool,
    project: &str,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<SqlHistoryEntry>, sqlx::Error> {
    let rows: Vec<HistoryRow> = sqlx::query_as(
        "SELECT id, sql, at, duration_ms, row_count, error FROM sql_history
         WHERE project_id = $1 AND ($2::bigint IS NULL OR id < $2) AND at >= now() - interval '90 days'
         ORDER BY id DESC LIMIT $3",
    )
    .bind(project)
    .bind(before)
    .bind(limit)
    .fetch_all(platform)
    .await?;
    let entry = |row: HistoryRow| {
        let HistoryRow { id, sql, at, duration_ms, row_count, error } = row;
        SqlHistoryEntry { id, sql, at, duration_ms, row_count, error }
    };
    Ok(rows.into_iter().map(entry).collect())
}

/// Removes all entries of a project.
pub(super) async fn clear(platform: &PgPool, project: &str) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM sql_history WHERE project_id = $1").bind(project).execute(platform).await?;
    Ok(())
}
