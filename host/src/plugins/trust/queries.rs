//! The fixed SQL for keys, approvals, secrets and serials.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor, PgPool};

/// `NOTIFY` channel for changes of trust data.
pub(in crate::plugins) const CHANNEL: &str = "atlashub_plugins";

#[derive(sqlx::FromRow)]
pub(super) struct KeyRow {
    pub id: String,
    pub name: String,
    pub public_key: String,
    pub first_party: bool,
    pub created_at: DateTime<Utc>,
    pub revoked_at: Option<DateTime<Utc>>,
}

#[derive(sqlx::FromRow)]
pub(super) struct ApprovalRow {
    pub name: String,
    pub key_id: String,
    pub granted: Value,
    pub requested: Value,
    pub config: Value,
    pub approved_by: String,
    pub approved_at: DateTime<Utc>,
    pub revoked_at: Option<DateTime<Utc>>,
}

#[derive(sqlx::FromRow)]
pub(super) struct SecretRow {
    pub plugin: String,
    pub name: String,
    pub sealed: Vec<u8>,
}

#[derive(sqlx::FromRow)]
pub(super) struct SerialRow {
    pub name: String,
    pub serial: i64,
    pub sha256: Vec<u8>,
}

/// A consistent snapshot of all trust data.
pub(super) struct TrustRows {
    pub version: i64,
    pub keys: Vec<KeyRow>,
    pub approvals: Vec<ApprovalRow>,
    pub secrets: Vec<SecretRow>,
    pub revoked_hashes: Vec<Vec<u8>>,
    pub serials: Vec<SerialRow>,
}

/// Returns the version of the trust data, which increases with every change.
pub(in crate::plugins) async fn read_trust_version(pool: &PgPool) -> Result<i64, sqlx::Error> {
    crate::db::platform::retry_stale(|| sqlx::query_scalar("SELECT version FROM plugin_trust").fetch_one(pool)).await
}

pub(super) async fn read_trust(pool: &PgPool) -> Result<TrustRows, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").execute(&mut *transaction).await?;
    let rows = TrustRows {
        version: sqlx::query_scalar("SELECT version FROM plugin_trust").fetch_one(&mut *transaction).await?,
        keys: sqlx::query_as("SELECT id, name, public_key, first_party, created_at, revoked_at FROM trusted_keys")
            .fetch_all(&mut *transaction)
            .await?,
        approvals: sqlx::query_as(
            "SELECT name, key_id, granted, requested, config, approved_by, approved_at, revoked_at
             FROM plugin_approvals",
        )
        .fetch_all(&mut *transaction)
        .await?,
        secrets: sqlx::query_as("SELECT plugin, name, sealed FROM plugin_secrets").fetch_all(&mut *transaction).await?,
        revoked_hashes: sqlx::query_scalar("SELECT sha256 FROM plugin_revoked_hashes")
            .fetch_all(&mut *transaction)
            .await?,
        serials: sqlx::query_as("SELECT name, serial, sha256 FROM plugin_serials").fetch_all(&mut *transaction).await?,
    };
    transaction.commit().await?;
    Ok(rows)
}

/// Increments the trust version and notifies every node. Locks the version row until the transaction ends, so changes
/// are serialized.
pub(super) async fn record_trust_change(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE plugin_trust SET version = version + 1").execute(&mut *connection).await?;
    sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL).execute(connection).await.map(drop)
}

pub(super) struct NewKey<'a> {
    pub id: &'a str,
    pub name: &'a str,
    pub public_key: &'a str,
    pub first_party: bool,
}

/// Inserts a key. Returns `None` if a key with this id exists.
pub(super) async fn insert_key(db: impl PgExecutor<'_>, key: NewKey<'_>) -> Result<Option<KeyRow>, sqlx::Error> {
    sqlx::query_as(
        "INSERT INTO trusted_keys (id, name, public_key, first_party) VALUES ($1, $2, $3, $4)
         ON CONFLICT (id) DO NOTHING
         RETURNING id, name, public_key, first_party, created_at, revoked_at",
    )
    .bind(key.id)
    .bind(key.name)
    .bind(key.public_key)
    .bind(key.first_party)
    .fetch_optional(db)
    .await
}

pub(super) async fn find_key(db: impl PgExecutor<'_>, id: &str) -> Result<Option<KeyRow>, sqlx::Error> {
    sqlx::query_as("SELECT id, name, public_key, first_party, created_at, revoked_at FROM trusted_keys WHERE id = $1")
        .bind(id)
        .fetch_optional(db)
        .await
}

pub(super) async fn list_keys(db: impl PgExecutor<'_>) -> Result<Vec<KeyRow>, sqlx::Error> {
    sqlx::query_as("SELECT id, name, public_key, first_party, created_at, revoked_at FROM trusted_keys ORDER BY id")
        .fetch_all(db)
        .await
}

/// Revokes a key. Returns whether the key existed and was not revoked yet.
pub(super) async fn revoke_key(db: impl PgExecutor<'_>, id: &str) -> Result<bool, sqlx::Error> {
    let result = sqlx::query("UPDATE trusted_keys SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL")
        .bind(id)
        .execute(db)
        .await?;
    Ok(result.rows_affected() > 0)
}

pub(super) struct NewApproval<'a> {
    pub name: &'a str,
    pub key_id: &'a str,
    pub granted: Value,
    pub requested: Value,
    /// `None` keeps the current settings.
    pub config: Option<Value>,
    pub approved_by: &'a str,
}

/// Creates or replaces an approval, and lifts its revocation.
pub(super) async fn upsert_approval(db: impl PgExecutor<'_>, approval: NewApproval<'_>) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO plugin_approvals (name, key_id, granted, requested, config, approved_by)
         VALUES ($1, $2, $3, $4, coalesce($5, '{}'::jsonb), $6)
         ON CONFLICT (name) DO UPDATE SET key_id = $2, granted = $3, requested = $4,
             config = coalesce($5, plugin_approvals.config), approved_by = $6, approved_at = now(), revoked_at = NULL",
    )
    .bind(approval.name)
    .bind(approval.key_id)
    .bind(approval.granted)
    .bind(approval.requested)
    .bind(approval.config)
    .bind(approval.approved_by)
    .execute(db)
    .await
    .map(drop)
}

/// Creates or updates a default approval. Approvals by the owner and revoked ones stay unchanged. Returns whether the
/// approval changed.
pub(super) async fn upsert_default_approval(
    db: impl PgExecutor<'_>,
    approval: NewApproval<'_>,
) -> Result<bool, sqlx::Error> {
    let result = sqlx::query(
        "INSERT INTO plugin_approvals (name, key_id, granted, requested, approved_by) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (name) DO UPDATE SET key_id = $2, granted = $3, requested = $4, approved_at = now()
             WHERE plugin_approvals.approved_by = $5 AND plugin_approvals.revoked_at IS NULL
                 AND (plugin_approvals.granted, plugin_approvals.requested) IS DISTINCT FROM ($3, $4)",
    )
    .bind(approval.name)
    .bind(approval.key_id)
    .bind(approval.granted)
    .bind(approval.requested)
    .bind(approval.approved_by)
    .execute(db)
    .await?;
    Ok(result.rows_affected() > 0)
}

/// Stores secrets. `None` removes a secret.
pub(super) async fn set_secrets(
    connection: &mut PgConnection,
    plugin: &str,
    secrets: &BTreeMap<String, Option<Vec<u8>>>,
) -> Result<(), sqlx::Error> {
    for (name, sealed) in secrets {
        match sealed {
            Some(sealed) => sqlx::query(
                "INSERT INTO plugin_secrets (plugin, name, sealed) VALUES ($1, $2, $3)
                 ON CONFLICT (plugin, name) DO UPDATE SET sealed = $3, updated_at = now()",
            )
            .bind(plugin)
            .bind(name)
            .bind(sealed),
            None => sqlx::query("DELETE FROM plugin_secrets WHERE plugin = $1 AND name = $2").bind(plugin).bind(name),
        }
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Returns the number of secrets that a plugin has.
pub(super) async fn count_secrets(db: impl PgExecutor<'_>, plugin: &str) -> Result<usize, sqlx::Error> {
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM plugin_secrets WHERE plugin = $1").bind(plugin).fetch_one(db).await?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// Revokes an approval. Returns whether the approval existed and was not revoked yet.
pub(super) async fn revoke_approval(db: impl PgExecutor<'_>, name: &str) -> Result<bool, sqlx::Error> {
    let result = sqlx::query("UPDATE plugin_approvals SET revoked_at = now() WHERE name = $1 AND revoked_at IS NULL")
        .bind(name)
        .execute(db)
        .await?;
    Ok(result.rows_affected() > 0)
}

/// Deletes an approval with its settings and secrets. Returns whether the approval existed.
pub(super) async fn delete_approval(db: impl PgExecutor<'_>, name: &str) -> Result<bool, sqlx::Error> {
    let result = sqlx::query("DELETE FROM plugin_approvals WHERE name = $1").bind(name).execute(db).await?;
    Ok(result.rows_affected() > 0)
}

/// Revokes a file by its SHA-256. Returns whether it was not revoked before.
pub(super) async fn insert_revoked_hash(
    db: impl PgExecutor<'_>,
    sha256: &[u8; 32],
    name: Option<&str>,
) -> Result<bool, sqlx::Error> {
    let result =
        sqlx::query("INSERT INTO plugin_revoked_hashes (sha256, name) VALUES ($1, $2) ON CONFLICT (sha256) DO NOTHING")
            .bind(sha256.as_slice())
            .bind(name)
            .execute(db)
            .await?;
    Ok(result.rows_affected() > 0)
}

/// Lifts the revocation of a file.
pub(super) async fn delete_revoked_hash(db: impl PgExecutor<'_>, sha256: &[u8; 32]) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM plugin_revoked_hashes WHERE sha256 = $1")
        .bind(sha256.as_slice())
        .execute(db)
        .await
        .map(drop)
}

/// Records the serial of a plugin that is about to be loaded. If a newer serial, or another file with the same serial,
/// is recorded, changes nothing and returns that record.
pub(super) async fn record_serial(
    pool: &PgPool,
    name: &str,
    serial: i64,
    sha256: &[u8; 32],
) -> Result<Option<SerialRow>, sqlx::Error> {
    let recorded = sqlx::query(
        "INSERT INTO plugin_serials (name, serial, sha256) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO UPDATE SET serial = $2, sha256 = $3, seen_at = now()
             WHERE plugin_serials.serial < $2 OR (plugin_serials.serial = $2 AND plugin_serials.sha256 = $3)",
    )
    .bind(name)
    .bind(serial)
    .bind(sha256.as_slice())
    .execute(pool)
    .await?;
    if recorded.rows_affected() > 0 {
        return Ok(None);
    }
    sqlx::query_as("SELECT name, serial, sha256 FROM plugin_serials WHERE name = $1")
        .bind(name)
        .fetch_optional(pool)
        .await
}
