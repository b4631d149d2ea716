//! Fixed SQL on the table `buckets`.

use std::collections::HashMap;

use api_types::{Bucket, BucketExposure};
use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::settings::{BucketChanges, BucketSettings};

type Result<T> = std::result::Result<T, sqlx::Error>;

/// Returns the settings of every bucket of a project, by bucket name.
pub(super) async fn settings_by_bucket(platform: &PgPool, project_id: &str) -> Result<HashMap<String, BucketSettings>> {
    #[derive(sqlx::FromRow)]
    struct Row {
        name: String,
        #[sqlx(flatten)]
        settings: BucketSettings,
    }
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT name, publishable_access, signed_in_access, max_object_bytes FROM buckets WHERE project_id = $1",
    )
    .bind(project_id)
    .fetch_all(platform)
    .await?;
    Ok(rows.into_iter().map(|row| (row.name, row.settings)).collect())
}

#[derive(sqlx::FromRow)]
struct BucketRow {
    name: String,
    #[sqlx(flatten)]
    settings: BucketSettings,
    created_at: DateTime<Utc>,
    object_count: i64,
    object_bytes: i64,
}

impl From<BucketRow> for Bucket {
    fn from(row: BucketRow) -> Self {
        Self {
            name: row.name,
            exposure: BucketExposure { publishable: row.settings.publishable, signed_in: row.settings.signed_in },
            max_object_bytes: row.settings.max_object_bytes,
            object_count: row.object_count,
            object_bytes: row.object_bytes,
            created_at: row.created_at,
        }
    }
}

/// Returns buckets in the order of their names, starting after `after`. Counts and sizes include recorded objects
/// only.
pub(super) async fn list_buckets(platform: &PgPool, project_id: &str, after: &str, limit: i64) -> Result<Vec<Bucket>> {
    let rows: Vec<BucketRow> = sqlx::query_as(
        "SELECT b.name, b.publishable_access, b.signed_in_access, b.max_object_bytes, b.created_at,
                f.object_count, f.object_bytes
         FROM (SELECT * FROM buckets WHERE project_id = $1 AND name > $2 ORDER BY name LIMIT $3) b
         CROSS JOIN LATERAL (
             SELECT count(size) AS object_count, coalesce(sum(size), 0)::bigint AS object_bytes
             FROM file_metadata f WHERE f.project_id = $1 AND f.bucket = b.name) f
         ORDER BY b.name",
    )
    .bind(project_id)
    .bind(after)
    .bind(limit)
    .fetch_all(platform)
    .await?;
    Ok(rows.into_iter().map(Bucket::from).collect())
}

pub(super) async fn find_bucket(platform: &PgPool, project_id: &str, name: &str) -> Result<Option<Bucket>> {
    let row: Option<BucketRow> = sqlx::query_as(
        "SELECT b.name, b.publishable_access, b.signed_in_access, b.max_object_bytes, b.created_at,
                f.object_count, f.object_bytes
         FROM buckets b
         CROSS JOIN LATERAL (
             SELECT count(size) AS object_count, coalesce(sum(size), 0)::bigint AS object_bytes
             FROM file_metadata f WHERE f.project_id = b.project_id AND f.bucket = b.name) f
         WHERE b.project_id = $1 AND b.name = $2",
    )
    .bind(project_id)
    .bind(name)
    .fetch_optional(platform)
    .await?;
    Ok(row.map(Bucket::from))
}

/// Creates a bucket. Returns false if the name is taken.
pub(in super::super) async fn insert_bucket(
    platform: &PgPool,
    project_id: &str,
    name: &str,
    max_object_bytes: i64,
) -> Result<bool> {
    sqlx::query("INSERT INTO buckets (project_id, name, max_object_bytes) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
        .bind(project_id)
        .bind(name)
        .bind(max_object_bytes)
        .execute(platform)
        .await
        .map(|done| done.rows_affected() == 1)
}

/// Updates a bucket. Returns false if it does not exist.
pub(super) async fn update_bucket(
    platform: &PgPool,
    project_id: &str,
    name: &str,
    changes: BucketChanges,
) -> Result<bool> {
    sqlx::query(
        "UPDATE buckets SET max_object_bytes = coalesce($3, max_object_bytes),
             publishable_access = coalesce($4, publishable_access),
             signed_in_access = coalesce($5, signed_in_access)
         WHERE project_id = $1 AND name = $2",
    )
    .bind(project_id)
    .bind(name)
    .bind(changes.max_object_bytes)
    .bind(changes.publishable)
    .bind(changes.signed_in)
    .execute(platform)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Deletes a bucket and, by the foreign key, its open uploads. A trigger deletes the records of its objects, except
/// those of paths where a signed URL may still store an object.
pub(super) async fn delete_bucket(platform: &PgPool, project_id: &str, name: &str) -> Result<()> {
    sqlx::query("DELETE FROM buckets WHERE project_id = $1 AND name = $2")
        .bind(project_id)
        .bind(name)
        .execute(platform)
        .await
        .map(drop)
}
