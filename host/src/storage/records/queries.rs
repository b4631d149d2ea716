//! Fixed SQL on the table `file_metadata`.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::{super::path::ObjectPath, record::FileRecord, removal::grace_seconds};
use crate::object_store::{ListedObject, ObjectMeta};

type Result<T> = std::result::Result<T, sqlx::Error>;

pub(crate) async fn find_record(platform: &PgPool, project_id: &str, path: &ObjectPath) -> Result<Option<FileRecord>> {
    sqlx::query_as(
        "SELECT state, max_size, size, etag, upload_id, expires_at FROM file_metadata
         WHERE project_id = $1 AND bucket = $2 AND path = $3",
    )
    .bind(project_id)
    .bind(path.bucket())
    .bind(path.path())
    .fetch_optional(platform)
    .await
}

/// An upload about to be signed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewUpload<'a> {
    pub content_type: &'a str,
    /// Maximum size in bytes.
    pub max_size: i64,
    pub upload_id: Option<&'a str>,
    pub uploaded_by: &'a str,
    /// Whether the requester has the permissions of the secret key.
    pub is_trusted: bool,
    pub lifetime: Duration,
}

/// Records an upload before it is signed. Returns false if the bucket does not exist, or if the requester is not
/// trusted and a trusted requester limited the path to a smaller size.
///
/// While an earlier URL for the same path is valid and no object was recorded or removed since it was signed, the
/// larger of both limits applies: the store can't tell which URL an object was uploaded with. An upload of a requester
/// that is not trusted never raises the limit of a trusted one, whichever of them was signed first.
///
/// Sets `updated_at` to `created_at`, which means that the record was not compared with the store since the upload was
/// signed.
pub(crate) async fn record_upload(
    platform: &PgPool,
    project_id: &str,
    path: &ObjectPath,
    upload: NewUpload<'_>,
) -> Result<bool> {
    sqlx::query(
        "INSERT INTO file_metadata AS f (project_id, bucket, path, state, content_type, max_size, upload_id,
                                         uploaded_by, owner_expires_at, expires_at)
         SELECT b.project_id, b.name, $3, 'pending', $4, $5, $6, $7,
                CASE WHEN $9 THEN now() + make_interval(secs => $8) ELSE 'epoch' END,
                now() + make_interval(secs => $8)
         FROM buckets b WHERE b.project_id = $1 AND b.name = $2 FOR KEY SHARE
         ON CONFLICT (project_id, bucket, path) DO UPDATE SET
             state = 'pending',
             gone = false,
             content_type = excluded.content_type,
             max_size = CASE
                 WHEN NOT $9 AND f.owner_expires_at > now() - make_interval(secs => $10) THEN f.max_size
                 WHEN f.state = 'pending' AND NOT f.gone
                      AND CASE WHEN $9 THEN f.owner_expires_at ELSE f.expires_at END > now()
                 THEN greatest(f.max_size, excluded.max_size)
                 ELSE excluded.max_size END,
             owner_expires_at = greatest(f.owner_expires_at, excluded.owner_expires_at),
             upload_id = excluded.upload_id,
             uploaded_by = excluded.uploaded_by,
             expires_at = greatest(f.expires_at, excluded.expires_at),
             created_at = CASE WHEN f.gone THEN now() ELSE f.created_at END,
             updated_at = CASE WHEN f.gone THEN now() ELSE f.created_at END
         WHERE $9 OR f.max_size >= excluded.max_size
            OR f.owner_expires_at <= now() - make_interval(secs => $10)",
    )
    .bind(project_id)
    .bind(path.bucket())
    .bind(path.path())
    .bind(upload.content_type)
    .bind(upload.max_size)
    .bind(upload.upload_id)
    .bind(upload.uploaded_by)
    .bind(upload.lifetime.as_secs_f64())
    .bind(upload.is_trusted)
    .bind(grace_seconds())
    .execute(platform)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Sets the expiry of a record from `begun` back to `before`, unless a URL was signed for the path in the meantime.
pub(crate) async fn restore_expiry(
    platform: &PgPool,
    project_id: &str,
    path: &ObjectPath,
    begun: DateTime<Utc>,
    before: DateTime<Utc>,
) -> Result<()> {
    sqlx::query(
        "UPDATE file_metadata SET expires_at = $5, owner_expires_at = least(owner_expires_at, $5)
         WHERE project_id = $1 AND bucket = $2 AND path = $3 AND expires_at = $4 AND NOT gone",
    )
    .bind(project_id)
    .bind(path.bucket())
    .bind(path.path())
    .bind(begun)
    .bind(before)
    .execute(platform)
    .await
    .map(drop)
}

/// Records an object that was seen in the store and is within its limit. A new record has the largest possible limit,
/// because the object was not uploaded with a signed URL. Returns false if the bucket does not exist.
pub(crate) async fn record_stored(
    platform: &PgPool,
    project_id: &str,
    path: &ObjectPath,
    object: &ObjectMeta,
) -> Result<bool> {
    sqlx::query(
        "INSERT INTO file_metadata AS f (project_id, bucket, path, state, content_type, max_size, size, etag,
                                         uploaded_by, expires_at)
         SELECT b.project_id, b.name, $3, 'stored', coalesce($4, 'application/octet-stream'), 9223372036854775807,
                $5, $6, 'store', 'epoch'::timestamptz
         FROM buckets b WHERE b.project_id = $1 AND b.name = $2 FOR KEY SHARE
         ON CONFLICT (project_id, bucket, path) DO UPDATE SET
             state = 'stored',
             gone = false,
             created_at = CASE WHEN f.gone THEN now() ELSE f.created_at END,
             content_type = coalesce($4, f.content_type),
             size = $5,
             etag = $6,
             updated_at = now()",
    )
    .bind(project_id)
    .bind(path.bucket())
    .bind(path.path())
    .bind(object.content_type.as_deref())
    .bind(object.size)
    .bind(object.etag.as_deref())
    .execute(platform)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Removes the id of an aborted multipart upload from its record.
pub(crate) async fn clear_upload_id(
    platform: &PgPool,
    project_id: &str,
    path: &ObjectPath,
    upload_id: &str,
) -> Result<()> {
    sqlx::query(
        "UPDATE file_metadata SET upload_id = NULL, updated_at = now()
         WHERE project_id = $1 AND bucket = $2 AND path = $3 AND upload_id = $4",
    )
    .bind(project_id)
    .bind(path.bucket())
    .bind(path.path())
    .bind(upload_id)
    .execute(platform)
    .await
    .map(drop)
}

/// Sets `updated_at`, the time when the record was last compared with the store, to now.
pub(crate) async fn mark_checked(platform: &PgPool, project_id: &str, path: &ObjectPath) -> Result<()> {
    sqlx::query("UPDATE file_metadata SET updated_at = now() WHERE project_id = $1 AND bucket = $2 AND path = $3")
        .bind(project_id)
        .bind(path.bucket())
        .bind(path.path())
        .execute(platform)
        .await
        .map(drop)
}

/// The part of a record that a list needs.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct ListedRecord {
    pub path: String,
    pub content_type: String,
    /// Whether the object was uploaded with a URL of a deleted bucket of the same name. The sweep removes it.
    pub is_late: bool,
}

/// Returns the records of `paths`, by path.
pub(crate) async fn listed_records(
    platform: &PgPool,
    project_id: &str,
    bucket: &str,
    paths: &[String],
) -> Result<HashMap<String, ListedRecord>> {
    let rows: Vec<ListedRecord> = sqlx::query_as(
        "SELECT path, content_type,
                gone AND max_size < 0 AND expires_at > now() - make_interval(secs => $4) AS is_late
         FROM file_metadata WHERE project_id = $1 AND bucket = $2 AND path = ANY($3)",
    )
    .bind(project_id)
    .bind(bucket)
    .bind(paths)
    .bind(grace_seconds())
    .fetch_all(platform)
    .await?;
    Ok(rows.into_iter().map(|row| (row.path.clone(), row)).collect())
}

/// Returns the current time of the platform database, which sets the times of records.
pub(crate) async fn current_time(platform: &PgPool) -> Result<DateTime<Utc>> {
    sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(platform).await
}

/// Records the size and ETag of listed objects that have arrived since their upload was signed, so that bucket sizes
/// include them at once. `paths` are the paths of `objects`, and `begun_at` is a time before they were listed.
///
/// Skips objects that were removed since then. If an object was removed earlier, the listed one most likely arrived
/// with the same URL, so the type and the uploader in its record stay.
///
/// Skips objects above their limit, because `inspect` removes them. Skips multipart uploads, because their completion
/// needs the old record to tell whether an object existed before.
pub(crate) async fn record_listed(
    platform: &PgPool,
    project_id: &str,
    bucket: &str,
    paths: &[String],
    objects: &[ListedObject],
    begun_at: DateTime<Utc>,
) -> Result<()> {
    if paths.is_empty() {
        return Ok(());
    }
    let sizes: Vec<i64> = objects.iter().map(|object| object.size).collect();
    let etags: Vec<Option<&str>> = objects.iter().map(|object| object.etag.as_deref()).collect();
    sqlx::query(
        "UPDATE file_metadata f SET state = 'stored', gone = false, size = seen.size, etag = seen.etag,
                                    created_at = CASE WHEN f.gone THEN now() ELSE f.created_at END,
                                    updated_at = now()
         FROM unnest($3::text[], $4::bigint[], $5::text[]) AS seen (path, size, etag)
         WHERE f.project_id = $1 AND f.bucket = $2 AND f.path = seen.path
           AND f.upload_id IS NULL AND seen.size <= f.max_size
           AND (NOT f.gone OR f.updated_at < $6)
           AND (f.size, f.etag) IS DISTINCT FROM (seen.size, seen.etag)",
    )
    .bind(project_id)
    .bind(bucket)
    .bind(paths)
    .bind(sizes)
    .bind(etags)
    .bind(begun_at)
    .execute(platform)
    .await
    .map(drop)
}

/// Returns the uploader of a path's object, and the time when an upload to the path was first signed or the object was
/// first seen.
pub(crate) async fn find_origin(
    platform: &PgPool,
    project_id: &str,
    path: &ObjectPath,
) -> Result<Option<(String, DateTime<Utc>)>> {
    sqlx::query_as(
        "SELECT uploaded_by, created_at FROM file_metadata WHERE project_id = $1 AND bucket = $2 AND path = $3",
    )
    .bind(project_id)
    .bind(path.bucket())
    .bind(path.path())
    .fetch_optional(platform)
    .await
}

/// Raises the recorded limit of a path before an object of `size` bytes is copied to it. Without this, the copy could
/// be removed for being larger than an earlier upload to this path was signed for. The limit stays if the copy fails,
/// because another copy to the path may need it.
pub(crate) async fn raise_limit(platform: &PgPool, project_id: &str, path: &ObjectPath, size: i64) -> Result<()> {
    sqlx::query(
        "UPDATE file_metadata SET max_size = greatest(max_size, $4)
         WHERE project_id = $1 AND bucket = $2 AND path = $3",
    )
    .bind(project_id)
    .bind(path.bucket())
    .bind(path.path())
    .bind(size)
    .execute(platform)
    .await
    .map(drop)
}

/// Records the copy of an object, with the uploader of its source. Returns false if the bucket of the copy does not
/// exist.
pub(crate) async fn record_copy(
    platform: &PgPool,
    project_id: &str,
    from: &ObjectPath,
    to: &ObjectPath,
    copy: &ObjectMeta,
) -> Result<bool> {
    sqlx::query(
        "INSERT INTO file_metadata AS f (project_id, bucket, path, state, content_type, max_size, size, etag,
                                         uploaded_by, expires_at)
         SELECT b.project_id, b.name, $5, 'stored', coalesce($6, s.content_type, 'application/octet-stream'),
                9223372036854775807, $7, $8, coalesce(s.uploaded_by, 'store'), 'epoch'::timestamptz
         FROM buckets b
         LEFT JOIN file_metadata s ON s.project_id = $1 AND s.bucket = $2 AND s.path = $3
         WHERE b.project_id = $1 AND b.name = $4 FOR KEY SHARE OF b
         ON CONFLICT (project_id, bucket, path) DO UPDATE SET
             state = 'stored',
             gone = false,
             created_at = CASE WHEN f.gone THEN now() ELSE f.created_at END,
             content_type = excluded.content_type,
             size = excluded.size,
             etag = excluded.etag,
             upload_id = NULL,
             uploaded_by = excluded.uploaded_by,
             updated_at = now()",
    )
    .bind(project_id)
    .bind(from.bucket())
    .bind(from.path())
    .bind(to.bucket())
    .bind(to.path())
    .bind(copy.content_type.as_deref())
    .bind(copy.size)
    .bind(copy.etag.as_deref())
    .execute(platform)
    .await
    .map(|done| done.rows_affected() == 1)
}
