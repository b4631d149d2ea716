//! The fixed SQL of projects and keys on the platform database.

use api_types::{ApiKey, KeyType, ProjectState};
use chrono::{DateTime, Utc};
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use super::ProjectRef;

#[derive(sqlx::FromRow)]
struct ProjectRow {
    id: String,
    name: String,
    state: String,
    cors_origins: Vec<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    delete_after_run: Option<Uuid>,
    delete_problem: Option<String>,
}

impl From<ProjectRow> for ProjectRef {
    fn from(row: ProjectRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            state: match row.state.as_str() {
                "ready" => ProjectState::Ready,
                "deleting" => ProjectState::Deleting,
                _ => ProjectState::Creating,
            },
            cors_origins: row.cors_origins,
            created_at: row.created_at,
            updated_at: row.updated_at,
            delete_after_run: row.delete_after_run,
            delete_problem: row.delete_problem,
        }
    }
}

pub(super) async fn project(pool: &PgPool, id: &str) -> Result<Option<ProjectRef>, sqlx::Error> {
    let row = crate::db::platform::retry_stale(|| {
        sqlx::query_as::<_, ProjectRow>(
            "SELECT id, name, state, cors_origins, created_at, updated_at, delete_after_run, delete_problem FROM projects WHERE id = $1",
        )
        .bind(id)
        .fetch_optional(pool)
    })
    .await?;
    Ok(row.map(Into::into))
}

/// Newest first; `before` is the last id and time of the page before.
pub(super) async fn projects(
    pool: &PgPool,
    limit: i64,
    before: Option<(DateTime<Utc>, String)>,
) -> Result<Vec<ProjectRef>, sqlx::Error> {
    let (at, id) = before.unzip();
    let rows = sqlx::query_as::<_, ProjectRow>(
        "SELECT id, name, state, cors_origins, created_at, updated_at, delete_after_run, delete_problem FROM projects
         WHERE $1::timestamptz IS NULL OR (created_at, id) < ($1, $2)
         ORDER BY created_at DESC, id DESC LIMIT $3",
    )
    .bind(at)
    .bind(id)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

pub(super) async fn unready_projects(pool: &PgPool) -> Result<Vec<ProjectRef>, sqlx::Error> {
    let rows = sqlx::query_as::<_, ProjectRow>(
        "SELECT id, name, state, cors_origins, created_at, updated_at, delete_after_run, delete_problem FROM projects WHERE state <> 'ready' ORDER BY created_at",
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

pub(super) async fn insert_project(db: impl PgExecutor<'_>, id: &str, name: &str) -> Result<ProjectRef, sqlx::Error> {
    sqlx::query_as::<_, ProjectRow>(
        "INSERT INTO projects (id, name) VALUES ($1, $2)
         RETURNING id, name, state, cors_origins, created_at, updated_at, delete_after_run, delete_problem",
    )
    .bind(id)
    .bind(name)
    .fetch_one(db)
    .await
    .map(Into::into)
}

pub(super) async fn set_state(db: impl PgExecutor<'_>, id: &str, state: &str) -> Result<bool, sqlx::Error> {
    let result = sqlx::query("UPDATE projects SET state = $2, updated_at = now() WHERE id = $1")
        .bind(id)
        .bind(state)
        .execute(db)
        .await?;
    Ok(result.rows_affected() > 0)
}

pub(super) async fn update_project(
    pool: &PgPool,
    id: &str,
    name: Option<&str>,
    cors_origins: Option<&[String]>,
) -> Result<Option<ProjectRef>, sqlx::Error> {
    let row = sqlx::query_as::<_, ProjectRow>(
        "UPDATE projects SET name = coalesce($2, name), cors_origins = coalesce($3, cors_origins), updated_at = now()
         WHERE id = $1 AND state = 'ready'
         RETURNING id, name, state, cors_origins, created_at, updated_at, delete_after_run, delete_problem",
    )
    .bind(id)
    .bind(name)
    .bind(cors_origins)
    .fetch_optional(pool)
    .await?;
    Ok(row.map(Into::into))
}

pub(super) async fn delete_project(db: impl PgExecutor<'_>, id: &str) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM projects WHERE id = $1").bind(id).execute(db).await.map(drop)
}

/// Objects, their bytes, active keys.
pub(super) async fn project_totals(pool: &PgPool, id: &str) -> Result<(i64, i64, i64), sqlx::Error> {
    sqlx::query_as(
        "SELECT (SELECT count(*) FROM file_metadata WHERE project_id = $1 AND state = 'stored'),
                (SELECT coalesce(sum(size), 0)::bigint FROM file_metadata WHERE project_id = $1 AND state = 'stored'),
                (SELECT count(*) FROM api_keys WHERE project_id = $1 AND revoked_at IS NULL
                    AND (expires_at IS NULL OR expires_at > now()))",
    )
    .bind(id)
    .fetch_one(pool)
    .await
}

pub(super) async fn insert_bucket(
    db: impl PgExecutor<'_>,
    project: &str,
    name: &str,
    max_object_bytes: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO buckets (project_id, name, max_object_bytes) VALUES ($1, $2, $3)")
        .bind(project)
        .bind(name)
        .bind(max_object_bytes)
        .execute(db)
        .await
        .map(drop)
}

pub(super) async fn insert_credential(
    db: impl PgExecutor<'_>,
    project: &str,
    role: &str,
    sealed: &[u8],
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO project_db_creds (project_id, role, sealed) VALUES ($1, $2, $3)")
        .bind(project)
        .bind(role)
        .bind(sealed)
        .execute(db)
        .await
        .map(drop)
}

pub(super) async fn credential(pool: &PgPool, project: &str, role: &str) -> Result<Option<Vec<u8>>, sqlx::Error> {
    crate::db::platform::retry_stale(|| {
        sqlx::query_scalar("SELECT sealed FROM project_db_creds WHERE project_id = $1 AND role = $2")
            .bind(project)
            .bind(role)
            .fetch_optional(pool)
    })
    .await
}

#[derive(sqlx::FromRow)]
struct KeyRow {
    id: Uuid,
    #[sqlx(rename = "type")]
    key_type: String,
    name: String,
    prefix: String,
    created_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    last_used_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
}

pub(super) fn key_type_name(key_type: KeyType) -> &'static str {
    match key_type {
        KeyType::Publishable => "publishable",
        KeyType::Secret => "secret",
    }
}

pub(super) fn parse_key_type(name: &str) -> KeyType {
    if name == "secret" { KeyType::Secret } else { KeyType::Publishable }
}

impl From<KeyRow> for ApiKey {
    fn from(row: KeyRow) -> Self {
        Self {
            id: row.id.to_string(),
            key_type: parse_key_type(&row.key_type),
            name: row.name,
            prefix: row.prefix,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            revoked_at: row.revoked_at,
        }
    }
}

/// What is stored of a new key.
pub(super) struct NewKey<'a> {
    pub id: Uuid,
    pub project: &'a str,
    pub key_type: KeyType,
    pub name: &'a str,
    pub prefix: &'a str,
    pub hash: [u8; 32],
    pub expires_at: Option<DateTime<Utc>>,
}

pub(super) async fn insert_key(db: impl PgExecutor<'_>, key: &NewKey<'_>) -> Result<ApiKey, sqlx::Error> {
    sqlx::query_as::<_, KeyRow>(
        "INSERT INTO api_keys (id, project_id, type, name, prefix, hash, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
         RETURNING id, type, name, prefix, created_at, expires_at, last_used_at, revoked_at",
    )
    .bind(key.id)
    .bind(key.project)
    .bind(key_type_name(key.key_type))
    .bind(key.name)
    .bind(key.prefix)
    .bind(key.hash.as_slice())
    .bind(key.expires_at)
    .fetch_one(db)
    .await
    .map(Into::into)
}

pub(super) async fn keys(
    pool: &PgPool,
    project: &str,
    limit: i64,
    after: Option<Uuid>,
) -> Result<Vec<ApiKey>, sqlx::Error> {
    // Ids are UUIDv7: their order is that of creation.
    let rows = sqlx::query_as::<_, KeyRow>(
        "SELECT id, type, name, prefix, created_at, expires_at, last_used_at, revoked_at FROM api_keys
         WHERE project_id = $1 AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3",
    )
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
    let row = sqlx::query_as::<_, KeyRow>(
        "SELECT id, type, name, prefix, created_at, expires_at, last_used_at, revoked_at FROM api_keys
         WHERE project_id = $1 AND id = $2 FOR UPDATE",
    )
    .bind(project)
    .bind(id)
    .fetch_optional(db)
    .await?;
    Ok(row.map(Into::into))
}

/// Ends the key at `at`, or sooner where it ends sooner; answers its hash.
pub(super) async fn expire_key(db: impl PgExecutor<'_>, id: Uuid, at: DateTime<Utc>) -> Result<Vec<u8>, sqlx::Error> {
    sqlx::query_scalar("UPDATE api_keys SET expires_at = least(expires_at, $2) WHERE id = $1 RETURNING hash")
        .bind(id)
        .bind(at)
        .fetch_one(db)
        .await
}

pub(super) async fn revoke_key(
    db: impl PgExecutor<'_>,
    project: &str,
    id: Uuid,
) -> Result<Option<Vec<u8>>, sqlx::Error> {
    sqlx::query_scalar(
        "UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE project_id = $1 AND id = $2 RETURNING hash",
    )
    .bind(project)
    .bind(id)
    .fetch_optional(db)
    .await
}

/// A key that works, with its project.
#[derive(sqlx::FromRow)]
pub(super) struct LiveKey {
    pub key_id: Uuid,
    pub key_type: String,
    pub hash: Vec<u8>,
    pub expires_at: Option<DateTime<Utc>>,
    pub last_used_at: Option<DateTime<Utc>>,
    pub project_id: String,
    pub project_name: String,
    pub cors_origins: Vec<String>,
    pub project_created_at: DateTime<Utc>,
    pub project_updated_at: DateTime<Utc>,
}

pub(super) async fn live_key(pool: &PgPool, hash: &[u8]) -> Result<Option<LiveKey>, sqlx::Error> {
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

pub(super) async fn touch_key(pool: &PgPool, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE api_keys SET last_used_at = now() WHERE id = $1").bind(id).execute(pool).await.map(drop)
}

pub(super) async fn notify_key(db: impl PgExecutor<'_>, hash_hex: &str) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_notify('atlashub_keys', $1)").bind(hash_hex).execute(db).await.map(drop)
}

/// Removes up to `limit` keys that ended `days` ago or earlier; answers how many.
pub(super) async fn remove_ended_keys(pool: &PgPool, days: i32, limit: i64) -> Result<u64, sqlx::Error> {
    let result = sqlx::query(
        "DELETE FROM api_keys WHERE id IN
             (SELECT id FROM api_keys WHERE least(revoked_at, expires_at) <= now() - make_interval(days => $1) LIMIT $2)",
    )
    .bind(days)
    .bind(limit)
    .execute(pool)
    .await?;
    Ok(result.rows_affected())
}

/// The ready projects whose database is there: id, name, bytes of the database.
pub(super) async fn project_databases(pool: &PgPool) -> Result<Vec<(String, String, i64)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT p.id, p.name, pg_database_size(d.oid) FROM projects p JOIN pg_database d ON d.datname = 'proj_' || p.id
         WHERE p.state = 'ready' ORDER BY p.id",
    )
    .fetch_all(pool)
    .await
}
