//! Writes and prunes `audit_logs`, the record of changes and their authors. `admin::audit` reads it.
//!
//! A change by the owner has an entry even if the process is killed: the entry is written in the change's own
//! transaction ([`record`]), or before the change and completed afterwards ([`begin`], [`recorded`]). The entries of
//! other events, such as a refused login, can be lost ([`record_or_log`]).

use std::{borrow::Cow, collections::BTreeSet};

use api_types::AuditResult;
use parking_lot::Mutex;
use serde_json::Value;
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use super::platform::retry_stale;

/// An entry to write. Its id and time are set when it is written.
#[derive(Debug, Clone)]
pub struct NewAuditEntry {
    /// The author of the change, in one of the forms that [`api_types::AuditEntry::actor`] lists.
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

/// Replaces NUL characters, which Postgres can't store. Paths of refused requests may contain them.
fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

/// Like [`storable`], for the strings and names in a JSON value.
fn storable_json(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(storable(text).into_owned()),
        Value::Array(items) => Value::Array(items.iter().map(storable_json).collect()),
        Value::Object(members) => Value::Object(
            members.iter().map(|(name, value)| (storable(name).into_owned(), storable_json(value))).collect(),
        ),
        other => other.clone(),
    }
}

/// Writes the entry. Within a transaction, the entry is written if and only if the transaction's changes are.
///
/// # Errors
/// Returns the error of the statement.
pub async fn record(db: impl PgExecutor<'_>, entry: &NewAuditEntry) -> Result<(), sqlx::Error> {
    insert(db, Uuid::now_v7(), entry, IsPending(false)).await
}

/// An entry that was written before its change. Its outcome is unknown until [`Self::complete`] adds it.
#[derive(Debug)]
#[must_use = "the entry's outcome stays unknown until it is completed"]
pub struct Intent {
    id: Uuid,
}

/// IDs of the entries whose change this process is making. This process does not list them yet. Other processes list
/// them with an unknown outcome.
static IN_PROGRESS: Mutex<BTreeSet<Uuid>> = Mutex::new(BTreeSet::new());

/// Returns the ids of the entries whose change this process is making.
pub fn in_progress() -> Vec<Uuid> {
    IN_PROGRESS.lock().iter().copied().collect()
}

impl Intent {
    fn new() -> Self {
        let id = Uuid::now_v7();
        IN_PROGRESS.lock().insert(id);
        Self { id }
    }
}

impl Drop for Intent {
    fn drop(&mut self) {
        IN_PROGRESS.lock().remove(&self.id);
    }
}

/// Writes the entry of a change that is about to be made. When this returns, the entry is durable.
///
/// # Errors
/// Returns the error of the statement. The caller must then not make the change.
pub async fn begin(db: impl PgExecutor<'_>, entry: &NewAuditEntry) -> Result<Intent, sqlx::Error> {
    let mut entry = entry.clone();
    // Older versions show this result, because they don't know pending entries.
    entry.result = AuditResult::Failed;
    if let Value::Object(details) = &mut entry.details {
        details.insert("interrupted".to_owned(), true.into());
    }
    let intent = Intent::new();
    insert(db, intent.id, &entry, IsPending(true)).await?;
    Ok(intent)
}

impl Intent {
    /// Updates the entry with the outcome of the change.
    ///
    /// # Errors
    /// Returns the error of the statement. The outcome then stays unknown.
    pub async fn complete(&self, db: impl PgExecutor<'_>, entry: &NewAuditEntry) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE audit_logs SET pending = false, actor = $2, project_id = $3, target = $4, result = $5, status = $6,
                 details = $7
             WHERE id = $1",
        )
        .bind(self.id)
        .bind(&entry.actor)
        .bind(entry.project_id.as_deref().map(storable))
        .bind(entry.target.as_deref().map(storable))
        .bind(entry.result)
        .bind(entry.status.map(i32::from))
        .bind(storable_json(&entry.details))
        .execute(db)
        .await
        .map(drop)
    }

    /// Removes the entry of a change that was not made.
    ///
    /// # Errors
    /// Returns the error of the statement. The entry then stays without an outcome.
    pub async fn discard(self, db: impl PgExecutor<'_>) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM audit_logs WHERE id = $1 AND pending").bind(self.id).execute(db).await.map(drop)
    }

    /// Like [`Self::complete`]. A failure is logged and counted; the outcome then stays unknown.
    pub async fn complete_or_log(&self, pool: &PgPool, entry: &NewAuditEntry) {
        if let Err(error) = retry_stale(|| self.complete(pool, entry)).await {
            log_failure(&error, entry);
        }
    }
}

/// Writes an entry, makes the change, and completes the entry. `change` may modify the entry. If `change` fails, the
/// entry's result becomes `failed`.
///
/// # Errors
/// Returns the error of `change`. Returns the database's error, and makes no change, if the entry can't be written.
pub async fn recorded<T, E: From<sqlx::Error>>(
    pool: &PgPool,
    mut entry: NewAuditEntry,
    change: impl AsyncFnOnce(&mut NewAuditEntry) -> Result<T, E>,
) -> Result<T, E> {
    let intent = begin(pool, &entry).await?;
    let outcome = change(&mut entry).await;
    if outcome.is_err() {
        entry.result = AuditResult::Failed;
    }
    intent.complete_or_log(pool, &entry).await;
    outcome
}

struct IsPending(bool);

async fn insert(
    db: impl PgExecutor<'_>,
    id: Uuid,
    entry: &NewAuditEntry,
    IsPending(pending): IsPending,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO audit_logs
             (id, actor, action, project_id, target, address, result, status, request_id, details, pending)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(id)
    .bind(&entry.actor)
    .bind(&entry.action)
    .bind(entry.project_id.as_deref().map(storable))
    .bind(entry.target.as_deref().map(storable))
    .bind(&entry.address)
    .bind(entry.result)
    .bind(entry.status.map(i32::from))
    .bind(&entry.request_id)
    .bind(storable_json(&entry.details))
    .bind(pending)
    .execute(db)
    .await
    .map(drop)
}

/// Writes the entry. A failure is logged and counted in `atlashub_audit_failures_total`, for callers whose action must
/// not fail with it.
pub async fn record_or_log(pool: &PgPool, entry: &NewAuditEntry) {
    if let Err(error) = record(pool, entry).await {
        log_failure(&error, entry);
    }
}

fn log_failure(error: &sqlx::Error, entry: &NewAuditEntry) {
    metrics::counter!("atlashub_audit_failures_total").increment(1);
    tracing::error!(%error, actor = entry.actor, action = entry.action, project = entry.project_id,
        target = entry.target, result = entry.result.as_str(), "an audit entry could not be written");
}

/// Removes up to `limit` entries older than `days` days, oldest first. Returns the number of removed entries.
///
/// # Errors
/// Returns the error of the statement.
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
