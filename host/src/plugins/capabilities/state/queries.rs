//! The fixed SQL for the state of plugins.

use sqlx::{PgConnection, PgPool};

/// The store of a plugin for a project, or for the platform.
#[derive(Debug, Clone, Copy)]
pub(super) struct Store<'a> {
    pub(super) plugin: &'a str,
    pub(super) project: Option<&'a str>,
}

/// Value and version of an entry.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Entry {
    pub(super) value: Vec<u8>,
    pub(super) version: i64,
}

/// The size of a store.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Usage {
    pub(super) entries: i64,
    /// Size of the keys and values, in bytes.
    pub(super) bytes: i64,
}

pub(super) async fn entry(pool: &PgPool, store: Store<'_>, key: &str) -> Result<Option<Entry>, sqlx::Error> {
    sqlx::query_as(
        "SELECT value, version FROM plugin_state
         WHERE plugin = $1 AND project_id IS NOT DISTINCT FROM $2 AND key = $3",
    )
    .bind(store.plugin)
    .bind(store.project)
    .bind(key)
    .fetch_optional(pool)
    .await
}

/// Returns the keys after `after` that start with `prefix`, in byte order.
pub(super) async fn keys(
    pool: &PgPool,
    store: Store<'_>,
    prefix: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT key FROM plugin_state
         WHERE plugin = $1 AND project_id IS NOT DISTINCT FROM $2 AND key > $4 AND starts_with(key, $3)
         ORDER BY key LIMIT $5",
    )
    .bind(store.plugin)
    .bind(store.project)
    .bind(prefix)
    .bind(after)
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// Locks the store against other changes until the transaction ends. Returns the version of an entry, if the entry
/// exists.
pub(super) async fn lock(
    transaction: &mut PgConnection,
    store: Store<'_>,
    key: &str,
) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('atlashub plugin state ' || $1 || ' ' || $2, 0))")
        .bind(store.plugin)
        .bind(store.project.unwrap_or("platform"))
        .execute(&mut *transaction)
        .await?;
    sqlx::query_scalar(
        "SELECT version FROM plugin_state WHERE plugin = $1 AND project_id IS NOT DISTINCT FROM $2 AND key = $3",
    )
    .bind(store.plugin)
    .bind(store.project)
    .bind(key)
    .fetch_optional(transaction)
    .await
}

/// Stores a value and returns its version. The version is at least the current time in microseconds since 1970. So an
/// entry that is created again does not reuse a version of the deleted entry.
pub(super) async fn put(
    transaction: &mut PgConnection,
    store: Store<'_>,
    key: &str,
    value: &[u8],
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "INSERT INTO plugin_state AS s (plugin, project_id, key, value, version)
         VALUES ($1, $2, $3, $4, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
         ON CONFLICT (plugin, project_id, key) DO UPDATE
             SET value = excluded.value, version = greatest(s.version + 1, excluded.version), updated_at = now()
         RETURNING version",
    )
    .bind(store.plugin)
    .bind(store.project)
    .bind(key)
    .bind(value)
    .fetch_one(transaction)
    .await
}

pub(super) async fn delete(transaction: &mut PgConnection, store: Store<'_>, key: &str) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM plugin_state WHERE plugin = $1 AND project_id IS NOT DISTINCT FROM $2 AND key = $3")
        .bind(store.plugin)
        .bind(store.project)
        .bind(key)
        .execute(transaction)
        .await
        .map(drop)
}

pub(super) async fn usage(transaction: &mut PgConnection, store: Store<'_>) -> Result<Usage, sqlx::Error> {
    sqlx::query_as(
        "SELECT count(*) AS entries, coalesce(sum(octet_length(key) + octet_length(value)), 0)::bigint AS bytes
         FROM plugin_state WHERE plugin = $1 AND project_id IS NOT DISTINCT FROM $2",
    )
    .bind(store.plugin)
    .bind(store.project)
    .fetch_one(transaction)
    .await
}
