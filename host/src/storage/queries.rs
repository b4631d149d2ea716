use std::collections::HashMap;

use api_types::{Bucket, BucketAccess, BucketExposure};
use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::{
    path::ObjectPath,
    settings::{BucketSettings, ProjectBuckets},
};
use crate::object_store::ObjectMeta;

type Result<T> = std::result::Result<T, sqlx::Error>;

/// The column's text; the table's check admits no other.
pub(super) fn access_text(access: BucketAccess) -> &'static str {
    match access {
        BucketAccess::None => "none",
        BucketAccess::Download => "download",
        BucketAccess::Upload => "upload",
        BucketAccess::Both => "both",
    }
}

fn parse_access(text: &str) -> BucketAccess {
    match text {
        "download" => BucketAccess::Download,
        "upload" => BucketAccess::Upload,
        "both" => BucketAccess::Both,
        _ => BucketAccess::None,
    }
}

pub(super) async fn bucket_settings(platform: &PgPool, project: &str) -> Result<ProjectBuckets> {
    let rows: Vec<(String, String, String, i64)> = sqlx::query_as(
        "SELECT name, publishable_access, signed_in_access, max_object_bytes FROM buckets WHERE project_id = $1",
    )
    .bind(project)
    .fetch_all(platform)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(name, publishable, signed_in, max_object_bytes)| {
            let settings = BucketSettings {
                publishable: parse_access(&publishable),
                signed_in: parse_access(&signed_in),
                max_object_bytes,
            };
            (name, settings)
        })
        .collect())
}

#[derive(sqlx::FromRow)]
struct BucketRow {
    name: String,
    publishable_access: String,
    signed_in_access: String,
    max_object_bytes: i64,
    created_at: DateTime<Utc>,
    object_count: i64,
    object_bytes: i64,
}

impl From<BucketRow> for Bucket {
    fn from(row: BucketRow) -> Self {
        Self {
            exposure: BucketExposure {
                publishable: parse_access(&row.publishable_access),
                signed_in: parse_access(&row.signed_in_access),
            },
            name: row.name,
            max_object_bytes: row.max_object_bytes,
            object_count: row.object_count,
            object_bytes: row.object_bytes,
            created_at: row.created_at,
        }
    }
}

/// Buckets after `after`, by name, with what is known to be in them.
pub(super) async fn list_buckets(platform: &PgPool, project: &str, after: &str, limit: i64) -> Result<Vec<Bucket>> {
    let rows: Vec<BucketRow> = sqlx::query_as(
        "SELECT b.name, b.publishable_access, b.signed_in_access, b.max_object_bytes, b.created_at,
                f.object_count, f.object_bytes
         FROM (SELECT * FROM buckets WHERE project_id = $1 AND name > $2 ORDER BY name LIMIT $3) b
         CROSS JOIN LATERAL (
             SELECT count(size) AS object_count, coalesce(sum(size), 0)::bigint AS object_bytes
             FROM file_metadata f WHERE f.project_id = $1 AND f.bucket = b.name) f
         ORDER BY b.name",
    )
    .bind(project)
    .bind(after)
    .bind(limit)
    .fetch_all(platform)
    .await?;
    Ok(rows.into_iter().map(Bucket::from).collect())
}

pub(super) async fn bucket(platform: &PgPool, project: &str, name: &str) -> Result<Option<Bucket>> {
    let row: Option<BucketRow> = sqlx::query_as(
        "SELECT b.name, b.publishable_access, b.signed_in_access, b.max_object_bytes, b.created_at,
                f.object_count, f.object_bytes
         FROM buckets b
         CROSS JOIN LATERAL (
             SELECT count(size) AS object_count, coalesce(sum(size), 0)::bigint AS object_bytes
             FROM file_metadata f WHERE f.project_id = b.project_id AND f.bucket = b.name) f
         WHERE b.project_id = $1 AND b.name = $2",
    )
    .bind(project)
    .bind(name)
    .fetch_optional(platform)
    .await?;
    Ok(row.map(Bucket::from))
}

/// False where the name is taken.
pub(super) async fn insert_bucket(platform: &PgPool, project: &str, name: &str, max_object_bytes: i64) -> Result<bool> {
    sqlx::query("INSERT INTO buckets (project_id, name, max_object_bytes) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
        .bind(project)
        .bind(name)
        .bind(max_object_bytes)
        .execute(platform)
        .await
        .map(|done| done.rows_affected() == 1)
}

/// Changes what is not null; false where there is no such bucket.
pub(super) async fn update_bucket(
    platform: &PgPool,
    project: &str,
    name: &str,
    max_object_bytes: Option<i64>,
    publishable: Option<BucketAccess>,
    signed_in: Option<BucketAccess>,
) -> Result<bool> {
    sqlx::query(
        "UPDATE buckets SET max_object_bytes = coalesce($3, max_object_bytes),
             publishable_access = coalesce($4, publishable_access),
             signed_in_access = coalesce($5, signed_in_access)
         WHERE project_id = $1 AND name = $2",
    )
    .bind(project)
    .bind(name)
    .bind(max_object_bytes)
    .bind(publishable.map(access_text))
    .bind(signed_in.map(access_text))
    .execute(platform)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Its files' rows go too.
pub(super) async fn delete_bucket(platform: &PgPool, project: &str, name: &str) -> Result<bool> {
    sqlx::query("DELETE FROM buckets WHERE project_id = $1 AND name = $2")
        .bind(project)
        .bind(name)
        .execute(platform)
        .await
        .map(|done| done.rows_affected() == 1)
}

/// What is recorded of one path.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct FileRow {
    /// `pending` or `stored`.
    pub state: String,
    pub max_size: i64,
    pub size: Option<i64>,
    pub etag: Option<String>,
    pub upload_id: Option<String>,
    pub expires_at: DateTime<Utc>,
}

pub(super) async fn file(platform: &PgPool, project: &str, path: &ObjectPath) -> Result<Option<FileRow>> {
    sqlx::query_as(
        "SELECT state, max_size, size, etag, upload_id, expires_at FROM file_metadata
         WHERE project_id = $1 AND bucket = $2 AND path = $3",
    )
    .bind(project)
    .bind(path.bucket())
    .bind(path.path())
    .fetch_optional(platform)
    .await
}

/// An upload about to be signed.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewUpload<'a> {
    pub content_type: &'a str,
    pub max_size: i64,
    pub upload_id: Option<&'a str>,
    pub uploaded_by: &'a str,
    pub expires_in_seconds: i64,
}

/// Records that a URL is being signed. What was seen of an object that is there (`size`, `etag`) stays, so that it
/// is known from the one to come. While an earlier URL for the same path still waits to be used, the larger of the
/// two limits holds: either holder may use its own. False where there is no such bucket.
pub(super) async fn record_upload(
    platform: &PgPool,
    project: &str,
    path: &ObjectPath,
    upload: NewUpload<'_>,
) -> Result<bool> {
    sqlx::query(
        "INSERT INTO file_metadata AS f (project_id, bucket, path, content_type, max_size, upload_id, uploaded_by,
                                         expires_at)
         SELECT b.project_id, b.name, $3, $4, $5, $6, $7, now() + make_interval(secs => $8)
         FROM buckets b WHERE b.project_id = $1 AND b.name = $2 FOR KEY SHARE
         ON CONFLICT (project_id, bucket, path) DO UPDATE SET
             state = 'pending',
             content_type = excluded.content_type,
             max_size = CASE WHEN f.state = 'pending' AND f.expires_at > now()
                             THEN greatest(f.max_size, excluded.max_size) ELSE excluded.max_size END,
             upload_id = excluded.upload_id,
             uploaded_by = excluded.uploaded_by,
             expires_at = greatest(f.expires_at, excluded.expires_at),
             updated_at = now()",
    )
    .bind(project)
    .bind(path.bucket())
    .bind(path.path())
    .bind(upload.content_type)
    .bind(upload.max_size)
    .bind(upload.upload_id)
    .bind(upload.uploaded_by)
    .bind(upload.expires_in_seconds as f64)
    .execute(platform)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Records an object that was seen in the store and may stay.
pub(super) async fn record_stored(
    platform: &PgPool,
    project: &str,
    path: &ObjectPath,
    object: &ObjectMeta,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO file_metadata AS f (project_id, bucket, path, state, content_type, max_size, size, etag,
                                         uploaded_by, expires_at)
         SELECT b.project_id, b.name, $3, 'stored', coalesce($4, 'application/octet-stream'), $7, $5, $6, 'store',
                now()
         FROM buckets b WHERE b.project_id = $1 AND b.name = $2 FOR KEY SHARE
         ON CONFLICT (project_id, bucket, path) DO UPDATE SET
             state = 'stored',
             content_type = coalesce($4, f.content_type),
             size = $5,
             etag = $6,
             updated_at = now()",
    )
    .bind(project)
    .bind(path.bucket())
    .bind(path.path())
    .bind(object.content_type.as_deref())
    .bind(object.size)
    .bind(object.etag.as_deref())
    // Put there by other means: nothing was signed for that could limit it.
    .bind(i64::MAX)
    .execute(platform)
    .await
    .map(drop)
}

pub(super) async fn delete_file(platform: &PgPool, project: &str, path: &ObjectPath) -> Result<bool> {
    sqlx::query("DELETE FROM file_metadata WHERE project_id = $1 AND bucket = $2 AND path = $3")
        .bind(project)
        .bind(path.bucket())
        .bind(path.path())
        .execute(platform)
        .await
        .map(|done| done.rows_affected() == 1)
}

/// Forgets a multipart upload that was aborted.
pub(super) async fn forget_upload_id(
    platform: &PgPool,
    project: &str,
    path: &ObjectPath,
    upload_id: &str,
) -> Result<()> {
    sqlx::query(
        "UPDATE file_metadata SET upload_id = NULL, updated_at = now()
         WHERE project_id = $1 AND bucket = $2 AND path = $3 AND upload_id = $4",
    )
    .bind(project)
    .bind(path.bucket())
    .bind(path.path())
    .bind(upload_id)
    .execute(platform)
    .await
    .map(drop)
}

/// Content types of some paths, as signed for or last seen.
pub(super) async fn content_types(
    platform: &PgPool,
    project: &str,
    bucket: &str,
    paths: &[String],
) -> Result<HashMap<String, String>> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT path, content_type FROM file_metadata WHERE project_id = $1 AND bucket = $2 AND path = ANY($3)",
    )
    .bind(project)
    .bind(bucket)
    .bind(paths)
    .fetch_all(platform)
    .await?;
    Ok(rows.into_iter().collect())
}

/// A row that the cleanup has to compare with the store.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct SuspectFile {
    pub project_id: String,
    pub bucket: String,
    pub path: String,
    #[sqlx(flatten)]
    pub row: FileRow,
    /// Nobody can be uploading any more.
    pub over: bool,
}

/// Rows to compare with the store, after the given one: those whose URL still works and waits, those that were not
/// looked at since it expired, and those that are over: `grace_seconds` after it expired, since an upload that
/// began in time may end late.
pub(super) async fn suspect_files(
    platform: &PgPool,
    after: (&str, &str, &str),
    grace_seconds: i64,
    limit: i64,
) -> Result<Vec<SuspectFile>> {
    sqlx::query_as(
        "SELECT f.project_id, f.bucket, f.path, f.state, f.max_size, f.size, f.etag, f.upload_id, f.expires_at,
                f.expires_at <= now() - make_interval(secs => $4) AS over
         FROM file_metadata f JOIN projects p ON p.id = f.project_id AND p.state = 'ready'
         WHERE (f.project_id, f.bucket, f.path) > ($1, $2, $3)
           AND ((f.state = 'pending' AND (f.expires_at > now() OR f.expires_at <= now() - make_interval(secs => $4)))
                OR (f.updated_at <= f.expires_at AND f.expires_at <= now()))
         ORDER BY f.project_id, f.bucket, f.path LIMIT $5",
    )
    .bind(after.0)
    .bind(after.1)
    .bind(after.2)
    .bind(grace_seconds as f64)
    .bind(limit)
    .fetch_all(platform)
    .await
}

/// Notes that the row was compared with the store.
pub(super) async fn touch_file(platform: &PgPool, project: &str, path: &ObjectPath) -> Result<()> {
    sqlx::query("UPDATE file_metadata SET updated_at = now() WHERE project_id = $1 AND bucket = $2 AND path = $3")
        .bind(project)
        .bind(path.bucket())
        .bind(path.path())
        .execute(platform)
        .await
        .map(drop)
}

/// Removes the row of an object that isn't there, unless something was signed for it meanwhile.
pub(super) async fn delete_vanished(
    platform: &PgPool,
    project: &str,
    path: &ObjectPath,
    expires_at: DateTime<Utc>,
) -> Result<bool> {
    sqlx::query("DELETE FROM file_metadata WHERE project_id = $1 AND bucket = $2 AND path = $3 AND expires_at = $4")
        .bind(project)
        .bind(path.bucket())
        .bind(path.path())
        .bind(expires_at)
        .execute(platform)
        .await
        .map(|done| done.rows_affected() == 1)
}

pub(super) async fn ready_projects(platform: &PgPool) -> Result<Vec<String>> {
    sqlx::query_scalar("SELECT id FROM projects WHERE state = 'ready' ORDER BY id").fetch_all(platform).await
}
