//! Deletes records of the table `file_metadata`, or keeps their limits.
//!
//! While a signed URL of a path may still store an object, the record is kept without an object. Without the record, a
//! URL that is used again would have no limit. The sweep deletes such a record. If a bucket is deleted, a trigger on
//! the table `buckets` does the same with its records. It sets their limit to -1, so that every object exceeds it.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::{super::path::ObjectPath, inspect::UPLOAD_GRACE, record::FileRecord};

type Result<T> = std::result::Result<T, sqlx::Error>;

/// The properties that a record must have to be deleted; `None` for any.
#[derive(Debug, Clone, Copy, Default)]
struct Condition<'a> {
    expires_at: Option<DateTime<Utc>>,
    etag: Option<&'a str>,
    /// Whether an `etag` of `None` matches only records without an ETag, instead of any record.
    is_etag_exact: bool,
}

/// Numbers of records.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
struct Removed {
    /// Records that are kept for their limit.
    kept: i64,
    deleted: i64,
}

/// Deletes the record of a removed object with this ETag, or keeps its limit. An object that has arrived at the path
/// since then keeps its record. If `etag` is `None`, the ETag of the record does not matter.
pub(crate) async fn delete_object_record(
    platform: &PgPool,
    project_id: &str,
    path: &ObjectPath,
    etag: Option<&str>,
) -> Result<()> {
    let condition = Condition { etag, ..Condition::default() };
    delete(platform, project_id, path.bucket(), &[path.path()], condition).await.map(drop)
}

/// Deletes the record of an object that was removed, or keeps its limit.
pub(crate) async fn delete_record(platform: &PgPool, project_id: &str, path: &ObjectPath) -> Result<()> {
    delete(platform, project_id, path.bucket(), &[path.path()], Condition::default()).await.map(drop)
}

/// Deletes the records of `paths`, whose objects were removed, or keeps their limits.
pub(crate) async fn delete_records(platform: &PgPool, project_id: &str, bucket: &str, paths: &[&str]) -> Result<()> {
    delete(platform, project_id, bucket, paths, Condition::default()).await.map(drop)
}

/// Deletes a record unless another upload was signed for the path, or another object was recorded, since it was read.
/// Returns whether the record was deleted, and not kept for its limit.
pub(crate) async fn delete_unchanged_record(
    platform: &PgPool,
    project_id: &str,
    path: &ObjectPath,
    record: &FileRecord,
) -> Result<bool> {
    let condition =
        Condition { expires_at: Some(record.expires_at), etag: record.etag.as_deref(), is_etag_exact: true };
    let removed = delete(platform, project_id, path.bucket(), &[path.path()], condition).await?;
    Ok(removed.deleted == 1)
}

/// Deletes the record of an object that is about to be removed, or keeps its limit. Returns false if another request
/// did so first, or if the record is of an object with another ETag.
pub(crate) async fn claim_removal(
    platform: &PgPool,
    project_id: &str,
    path: &ObjectPath,
    etag: Option<&str>,
) -> Result<bool> {
    let condition = Condition { etag, ..Condition::default() };
    let removed = delete(platform, project_id, path.bucket(), &[path.path()], condition).await?;
    Ok(removed.kept + removed.deleted == 1)
}

/// Marks an object that is about to be removed as gone, unless `record`, whose limit the object exceeds, has changed.
/// Keeps the record until the object is removed, even if no URL is valid any more: if the removal fails, the limit is
/// needed. Returns false if the record has changed.
pub(super) async fn claim_oversize(
    platform: &PgPool,
    project_id: &str,
    path: &ObjectPath,
    record: &FileRecord,
) -> Result<bool> {
    sqlx::query(
        "UPDATE file_metadata SET state = 'pending', gone = true, size = NULL, etag = NULL, upload_id = NULL,
                                  updated_at = now()
         WHERE project_id = $1 AND bucket = $2 AND path = $3 AND max_size = $4 AND expires_at = $5
           AND size IS NOT DISTINCT FROM $6 AND etag IS NOT DISTINCT FROM $7 AND upload_id IS NOT DISTINCT FROM $8",
    )
    .bind(project_id)
    .bind(path.bucket())
    .bind(path.path())
    .bind(record.max_size)
    .bind(record.expires_at)
    .bind(record.size)
    .bind(record.etag.as_deref())
    .bind(record.upload_id.as_deref())
    .execute(platform)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Deletes the record of an object that was claimed and removed, unless a signed URL may still store an object.
pub(super) async fn delete_expired_claim(platform: &PgPool, project_id: &str, path: &ObjectPath) -> Result<()> {
    sqlx::query(
        "DELETE FROM file_metadata WHERE project_id = $1 AND bucket = $2 AND path = $3
           AND gone AND expires_at <= now() - make_interval(secs => $4)",
    )
    .bind(project_id)
    .bind(path.bucket())
    .bind(path.path())
    .bind(grace_seconds())
    .execute(platform)
    .await
    .map(drop)
}

async fn delete(
    platform: &PgPool,
    project_id: &str,
    bucket: &str,
    paths: &[&str],
    condition: Condition<'_>,
) -> Result<Removed> {
    sqlx::query_as(
        "WITH kept AS (
             UPDATE file_metadata SET state = 'pending', gone = true, size = NULL, etag = NULL, upload_id = NULL,
                                      updated_at = now()
             WHERE project_id = $1 AND bucket = $2 AND path = ANY($3)
               AND ($4::timestamptz IS NULL OR expires_at = $4)
               AND (($5::text IS NULL AND NOT $8) OR etag IS NOT DISTINCT FROM $5)
               AND expires_at > now() - make_interval(secs => $6) AND max_size < $7 RETURNING path),
         deleted AS (
             DELETE FROM file_metadata
             WHERE project_id = $1 AND bucket = $2 AND path = ANY($3)
               AND ($4::timestamptz IS NULL OR expires_at = $4)
               AND (($5::text IS NULL AND NOT $8) OR etag IS NOT DISTINCT FROM $5)
               AND (expires_at <= now() - make_interval(secs => $6) OR max_size = $7) RETURNING path)
         SELECT (SELECT count(*) FROM kept) AS kept, (SELECT count(*) FROM deleted) AS deleted",
    )
    .bind(project_id)
    .bind(bucket)
    .bind(paths)
    .bind(condition.expires_at)
    .bind(condition.etag)
    .bind(grace_seconds())
    .bind(i64::MAX)
    .bind(condition.is_etag_exact)
    .fetch_one(platform)
    .await
}

/// Returns [`UPLOAD_GRACE`] as Postgres expects it.
pub(super) fn grace_seconds() -> f64 {
    UPLOAD_GRACE.num_seconds() as f64
}
