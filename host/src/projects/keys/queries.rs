//! The fixed SQL of API keys.

use api_types::{ApiKey, KeyType};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

/// Channel on which nodes announce changed keys and projects. The payload is a key's hash in hex, or `project:` and a
/// project's id.
pub(super) const CHANNEL: &str = "atlashub_keys";

#[derive(sqlx::FromRow)]
struct KeyRow {
    id: Uuid,
    #[sqlx(rename = "type")]
    key_type: KeyType,
    name: String,
    prefix: String,
    created_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    last_used_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
    replaces: Option<Uuid>,
    replaced_by: Option<Uuid>,
    requests_24h: i64,
}

/// Selects a [`KeyRow`] from the table `api_keys k`.
macro_rules! select_keys {
    ($condition:literal) => {
        concat!(
            "SELECT k.id, k.type, k.name, k.prefix, k.created_at, k.expires_at, k.last_used_at, k.revoked_at,
                 k.replaces,
                 (SELECT s.id FROM api_keys s WHERE s.replaces = k.id ORDER BY s.id DESC LIMIT 1) AS replaced_by,
                 coalesce((SELECT sum(u.requests)::bigint FROM api_key_usage u
                           WHERE u.key_id = k.id AND u.hour > now() - interval '24 hours'), 0) AS requests_24h
             FROM api_keys k ",
            $condition
        )
    };
}

impl From<KeyRow> for ApiKey {
    fn from(row: KeyRow) -> Self {
        Self {
            id: row.id.to_string(),
            key_type: row.key_type,
            name: row.name,
            prefix: row.prefix,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            revoked_at: row.revoked_at,
            replaces: row.replaces.map(|id| id.to_string()),
            replaced_by: row.replaced_by.map(|id| id.to_string()),
            requests_24h: row.requests_24h,
        }
    }
}

/// The stored columns of a new key.
pub(in crate::projects) struct NewKey<'a> {
    pub id: Uuid,
    pub project: &'a str,
    pub key_type: KeyType,
    pub name: &'a str,
    pub prefix: &'a str,
    pub hash: [u8; 32],
    pub expires_at: Option<DateTime<Utc>>,
    /// The key that this one replaces.
    pub replaces: Option<Uuid>,
}

pub(in crate::projects) async fn insert_key(db: impl PgExecutor<'_>, key: &NewKey<'_>) -> Result<ApiKey, sqlx::Error> {
    sqlx::query_as::<_, KeyRow>(
        "INSERT INTO api_keys (id, project_id, type, name, prefix, hash, expires_at, replaces)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         RETURNING id, type, name, prefix, created_at, expires_at, last_used_at, revoked_at, replaces,
             NULL::uuid AS replaced_by, 0::bigint AS requests_24h",
    )
    .bind(key.id)
    .bind(key.project)
    .bind(key.key_type)
    .bind(key.name)
    .bind(key.prefix)
    .bind(key.hash.as_slice())
    .bind(key.expires_at)
    .bind(key.replaces)
    .fetch_one(db)
    .await
    .map(Into::into)
}

/// Returns a project's keys, oldest first.
pub(super) async fn keys(
    pool: &PgPool,
    project: &str,
    limit: i64,
    after: Option<Uuid>,
) -> Result<Vec<ApiKey>, sqlx::Error> {
    // Ids are UUIDv7: they sort by creation time.
    let rows = sqlx::query_as::<_, KeyRow>(select_keys!(
        "WHERE k.project_id = $1 AND ($2::uuid IS NULL OR k.id > $2) ORDER BY k.id LIMIT $3"
    ))
    .bind(project)
    .bind(after)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

pub(super) async fn key_for_update(
    db: impl PgExecutor<'_>,
    project: &str,
    id: Uuid,
) -> Result<Option<ApiKey>, sqlx::Error> {
    let row = sqlx::query_as::<_, KeyRow>(select_keys!("WHERE k.project_id = $1 AND k.id = $2 FOR UPDATE OF k"))
        .bind(project)
        .bind(id)
        .fetch_optional(db)
        .await?;
    Ok(row.map(Into::into))
}

/// Returns the time from the creation of a key to its expiry, or `None` if it does not expire.
///
/// A rotation shortens the expiry of the key that it replaces, but not of the successor. So the lifetime of a replaced
/// key is that of its first successor, or if that was replaced too, of that key's first successor, and so on.
///
/// Call this after [`key_for_update`], in a statement of its own, so that it sees the successor of a rotation that ran
/// at the same time.
pub(super) async fn lifetime(db: impl PgExecutor<'_>, id: Uuid) -> Result<Option<TimeDelta>, sqlx::Error> {
    let (created_at, expires_at): (DateTime<Utc>, Option<DateTime<Utc>>) = sqlx::query_as(
        "WITH RECURSIVE chain AS (
             SELECT id, created_at, expires_at, 0 AS depth FROM api_keys WHERE id = $1
             UNION ALL
             SELECT s.id, s.created_at, s.expires_at, chain.depth + 1
             FROM chain CROSS JOIN LATERAL
                 (SELECT k.id, k.created_at, k.expires_at FROM api_keys k
                  WHERE k.replaces = chain.id ORDER BY k.id LIMIT 1) s)
         SELECT created_at, expires_at FROM chain ORDER BY depth DESC LIMIT 1",
    )
    .bind(id)
    .fetch_one(db)
    .await?;
    Ok(expires_at.map(|at| at - created_at))
}

/// Lets the key expire at `at`, unless it expires earlier. Returns its hash.
pub(super) async fn expire_key(db: impl PgExecutor<'_>, id: Uuid, at: DateTime<Utc>) -> Result<Vec<u8>, sqlx::Error> {
    sqlx::query_scalar("UPDATE api_keys SET expires_at = least(expires_at, $2) WHERE id = $1 RETURNING hash")
        .bind(id)
        .bind(at)
        .fetch_one(db)
        .await
}

/// Changes the name and the expiry of a key. Returns its hash.
pub(super) async fn update_key(
    db: impl PgExecutor<'_>,
    id: Uuid,
    name: &str,
    expires_at: Option<DateTime<Utc>>,
) -> Result<Vec<u8>, sqlx::Error> {
    sqlx::query_scalar("UPDATE api_keys SET name = $2, expires_at = $3 WHERE id = $1 RETURNING hash")
        .bind(id)
        .bind(name)
        .bind(expires_at)
        .fetch_one(db)
        .await
}

/// Adds to the counts of requests in the current hour. Ignores keys that no longer exist.
pub(super) async fn add_usage(pool: &PgPool, keys: &[Uuid], requests: &[i64]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO api_key_usage (key_id, hour, requests)
         SELECT k.id, date_trunc('hour', now()), u.requests
         FROM unnest($1::uuid[], $2::bigint[]) AS u (id, requests) JOIN api_keys k ON k.id = u.id
         ORDER BY k.id
         ON CONFLICT (key_id, hour) DO UPDATE SET requests = api_key_usage.requests + excluded.requests",
    )
    .bind(keys)
    .bind(requests)
    .execute(pool)
    .await
    .map(drop)
}

/// Removes counts of requests that are older than two days.
pub(super) async fn remove_old_usage(pool: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM api_key_usage WHERE hour < now() - interval '2 days'").execute(pool).await.map(drop)
}

/// A key that was revoked.
#[derive(sqlx::FromRow)]
pub(super) struct RevokedKey {
    pub(super) hash: Vec<u8>,
    #[sqlx(rename = "type")]
    pub(super) key_type: KeyType,
    pub(super) name: String,
}

/// Revokes the key, or returns `None` if the project has no such key.
pub(super) async fn revoke_key(
    db: impl PgExecutor<'_>,
    project: &str,
    id: Uuid,
) -> Result<Option<RevokedKey>, sqlx::Error> {
    sqlx::query_as(
        "UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE project_id = $1 AND id = $2
         RETURNING hash, type, name",
    )
    .bind(project)
    .bind(id)
    .fetch_optional(db)
    .await
}

/// A valid key with its project.
#[derive(sqlx::FromRow)]
pub(super) struct ValidKeyRow {
    pub key_id: Uuid,
    pub key_type: KeyType,
    pub hash: Vec<u8>,
    pub expires_at: Option<DateTime<Utc>>,
    pub last_used_at: Option<DateTime<Utc>>,
    pub project_id: String,
    pub project_name: String,
    pub cors_origins: Vec<String>,
    pub project_created_at: DateTime<Utc>,
    pub project_updated_at: DateTime<Utc>,
}

/// Returns the key with this hash, if it is neither revoked nor expired and its project is ready.
pub(super) async fn valid_key(pool: &PgPool, hash: &[u8]) -> Result<Option<ValidKeyRow>, sqlx::Error> {
    crate::db::platform::retry_stale(|| {
        sqlx::query_as(
            "SELECT k.id AS key_id, k.type AS key_type, k.hash, k.expires_at, k.last_used_at,
                    p.id AS project_id, p.name AS project_name, p.cors_origins,
                    p.created_at AS project_created_at, p.updated_at AS project_updated_at
             FROM api_keys k JOIN projects p ON p.id = k.project_id
             WHERE k.hash = $1 AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
               AND p.state = 'ready'",
        )
        .bind(hash)
        .fetch_optional(pool)
    })
    .await
}

/// Sets `last_used_at` to now.
pub(super) async fn touch_key(pool: &PgPool, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE api_keys SET last_used_at = now() WHERE id = $1").bind(id).execute(pool).await.map(drop)
}

/// Notifies all nodes, which then drop the key from their caches.
pub(super) async fn notify_key_changed(db: impl PgExecutor<'_>, hash: &[u8]) -> Result<(), sqlx::Error> {
    notify(db, &hex::encode(hash)).await
}

/// Notifies all nodes, which then drop the project's keys from their caches.
pub(in crate::projects) async fn notify_project_changed(db: impl PgExecutor<'_>, id: &str) -> Result<(), sqlx::Error> {
    notify(db, &format!("project:{id}")).await
}

async fn notify(db: impl PgExecutor<'_>, payload: &str) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(payload).execute(db).await.map(drop)
}

/// Deletes up to `limit` keys that expired or were revoked at least `days` days ago. Returns their number.
///
/// # Errors
/// Returns the error of the statement.
pub async fn remove_expired_or_revoked_keys(pool: &PgPool, days: i32, limit: i64) -> Result<u64, sqlx::Error> {
    let result = sqlx::query(
        "DELETE FROM api_keys WHERE id IN
             (SELECT id FROM api_keys
              WHERE least(revoked_at, expires_at) <= now() - make_interval(days => $1) LIMIT $2)",
    )
    .bind(days)
    .bind(limit)
    .execute(pool)
    .await?;
    Ok(result.rows_affected())
}
