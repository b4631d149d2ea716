//! Writes and prunes `audit_logs`, the record of who changed what. `admin::audit` reads it.

use api_types::AuditResult;
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

/// An entry to write. Its id and time are set when it is written.
#[derive(Debug, Clone)]
pub struct NewAuditEntry {
    /// An e-mail address, `dev-token`, `session`, `cli`, `system`, or a user's id.
    pub actor: String,
    /// For example `project.create`.
    pub action: String,
    pub project_id: Option<String>,
    pub target: Option<String>,
    pub address: Option<String>,
    pub result: AuditResult,
    /// HTTP status of the response.
    pub status: Option<u16>,
    pub request_id: Option<String>,
    /// A JSON object. Must not contain secrets.
    pub details: Value,
}

impl NewAuditEntry {
    /// Creates an entry for a successful action. The other fields are empty.
    pub fn new(actor: impl Into<String>, action: impl Into<String>) -> Self {
        Self {
            actor: actor.into(),
            action: action.into(),
            project_id: None,
            target: None,
            address: None,
            result: AuditResult::Success,
            status: None,
            request_id: None,
            details: Value::Object(serde_json::Map::new()),
        }
    }
}

/// Writes the entry.
pub async fn record(pool: &PgPool, entry: &NewAuditEntry) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO audit_logs
             (id, actor, action, project_id, target, address, result, status, request_id, details)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(Uuid::now_v7())
    .bind(&entry.actor)
    .bind(&entry.action)
    .bind(&entry.project_id)
    .bind(&entry.target)
    .bind(&entry.address)
    .bind(entry.result)
    .bind(entry.status.map(i32::from))
    .bind(&entry.request_id)
    .bind(&entry.details)
    .execute(pool)
    .await?;
    Ok(())
}

/// Writes the entry. A failure is logged and counted in `atlashub_audit_failures_total`, for callers whose action must
/// not fail with it.
pub async fn record_or_log(pool: &PgPool, entry: &NewAuditEntry) {
    if let Err(error) = record(pool, entry).await {
        metrics::counter!("atlashub_audit_failures_total").increment(1);
        tracing::error!(%error, actor = entry.actor, action = entry.action, project = entry.project_id,
            target = entry.target, result = entry.result.as_str(), "an audit entry could not be written");
    }
}

/// Removes up to `limit` entries older than `days`, oldest first. Returns the number of removed entries.
pub async fn remove_older(pool: &PgPool, days: i32, limit: i64) -> Result<u64, sqlx::Error> {
    let result = sqlx::query(
        "DELETE FROM audit_logs WHERE id IN
             (SELECT id FROM audit_logs WHERE at < now() - make_interval(days => $1) ORDER BY at LIMIT $2)",
    )
    .bind(days)
    .bind(limit)
    .execute(pool)
    .await?;
    Ok(result.rows_affected())
}
