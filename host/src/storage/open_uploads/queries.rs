//! Fixed SQL on the table `open_uploads`.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    super::{path::ObjectPath, records::UPLOAD_GRACE},
    record::{ListedUpload, NewOpenUpload, OpenUpload, UploadEnd, UploadKind},
};
use crate::object_store::{ListedObject, ObjectMeta};

type Result<T> = std::result::Result<T, sqlx::Error>;

/// Result of [`insert_upload`].
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub(super) struct Inserted {
    pub bucket_exists: bool,
    /// False if the bucket does not exist or the quota is used up.
    pub is_inserted: bool,
}

/// Records an upload, unless its `quota_owner` already has `quota` open uploads of this kind. Concurrent calls can
/// exceed the quota by the number of the calls.
pub(super) async fn insert_upload(
    platform: &PgPool,
    id: Uuid,
    kind: UploadKind,
    upload: NewOpenUpload<'_>,
    quota: i64,
) -> Result<Inserted> {
    sqlx::query_as(
        "WITH bucket AS (SELECT project_id, name FROM buckets WHERE project_id = $2 AND name = $3 FOR KEY SHARE),
              used AS (SELECT count(*) AS uploads FROM open_uploads
                       WHERE quota_owner = $11 AND kind = $5 AND state = 'open' AND expires_at > now()),
              inserted AS (
                  INSERT INTO open_uploads (id, project_id, bucket, path, kind, content_type, max_size, object_size,
                                            part_size, uploaded_by, quota_owner, may_replace, expires_at)
                  SELECT $1, b.project_id, b.name, $4, $5, $6, $7, $8, $9, $10, $11, $12,
                         now() + make_interval(secs => $13)
                  FROM bucket b, used u WHERE u.uploads < $14
                  RETURNING id)
         SELECT EXISTS (SELECT FROM bucket) AS bucket_exists, EXISTS (SELECT FROM inserted) AS is_inserted",
    )
    .bind(id)
    .bind(upload.project_id)
    .bind(upload.path.bucket())
    .bind(upload.path.path())
    .bind(kind)
    .bind(upload.content_type)
    .bind(upload.max_size)
    .bind(upload.layout.map(|(object_size, _)| object_size))
    .bind(upload.layout.map(|(_, part_size)| part_size))
    .bind(upload.uploaded_by)
    .bind(upload.quota_owner)
    .bind(upload.may_replace)
    .bind(upload.lifetime.as_secs_f64())
    .bind(quota)
    .fetch_one(platform)
    .await
}

pub(in super::super) async fn set_upload_id(platform: &PgPool, id: Uuid, upload_id: &str) -> Result<()> {
    sqlx::query("UPDATE open_uploads SET upload_id = $2 WHERE id = $1")
        .bind(id)
        .bind(upload_id)
        .execute(platform)
        .await
        .map(drop)
}

/// Deletes the record of an upload whose URLs were never returned.
pub(in super::super) async fn delete_upload(platform: &PgPool, id: Uuid) -> Result<()> {
    sqlx::query("DELETE FROM open_uploads WHERE id = $1").bind(id).execute(platform).await.map(drop)
}

/// Returns whether the path has a staged upload that is not over.
pub(in super::super) async fn has_staged(platform: &PgPool, project_id: &str, path: &ObjectPath) -> Result<bool> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM open_uploads WHERE project_id = $1 AND bucket = $2 AND path = $3
                          AND state <> 'over' AND kind = 'staged')",
    )
    .bind(project_id)
    .bind(path.bucket())
    .bind(path.path())
    .fetch_one(platform)
    .await
}

/// Returns whether the bucket has a staged upload that is not over and whose path starts with `prefix`.
pub(super) async fn has_staged_in(platform: &PgPool, project_id: &str, bucket: &str, prefix: &str) -> Result<bool> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM open_uploads WHERE project_id = $1 AND bucket = $2 AND starts_with(path, $3)
                          AND state <> 'over' AND kind = 'staged')",
    )
    .bind(project_id)
    .bind(bucket)
    .bind(prefix)
    .fetch_one(platform)
    .await
}

pub(super) async fn find_uploads(platform: &PgPool, project_id: &str, ids: &[Uuid]) -> Result<Vec<OpenUpload>> {
    sqlx::query_as(
        "SELECT id, bucket, path, state, max_size, object_size, part_size, may_replace, uploaded_by, expires_at
         FROM open_uploads WHERE project_id = $1 AND id = ANY($2)",
    )
    .bind(project_id)
    .bind(ids)
    .fetch_all(platform)
    .await
}

/// Returns the multipart upload with the store's id `upload_id`.
pub(in super::super) async fn find_multipart(
    platform: &PgPool,
    project_id: &str,
    path: &ObjectPath,
    upload_id: &str,
) -> Result<Option<OpenUpload>> {
    sqlx::query_as(
        "SELECT id, bucket, path, state, max_size, object_size, part_size, may_replace, uploaded_by, expires_at
         FROM open_uploads
         WHERE project_id = $1 AND bucket = $2 AND path = $3 AND kind = 'multipart' AND upload_id = $4",
    )
    .bind(project_id)
    .bind(path.bucket())
    .bind(path.path())
    .bind(upload_id)
    .fetch_optional(platform)
    .await
}

/// Returns the multipart uploads of a bucket that were neither completed nor aborted, newest first. `before` is the
/// creation time and the id of the last upload of the previous page.
pub(in super::super) async fn list_multipart(
    platform: &PgPool,
    project_id: &str,
    bucket: &str,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<ListedUpload>> {
    let (at, id) = before.unzip();
    sqlx::query_as(
        "SELECT id, path, upload_id, content_type, object_size, part_size, uploaded_by, created_at, expires_at
         FROM open_uploads
         WHERE project_id = $1 AND bucket = $2 AND kind = 'multipart' AND state = 'open' AND upload_id IS NOT NULL
           AND ($3::timestamptz IS NULL OR (created_at, id) < ($3, $4))
         ORDER BY created_at DESC, id DESC LIMIT $5",
    )
    .bind(project_id)
    .bind(bucket)
    .bind(at)
    .bind(id)
    .bind(limit)
    .fetch_all(platform)
    .await
}

/// Marks an upload as moving: step 1 of a move. Returns false if the upload is over, or another upload of the path is
/// being moved.
///
/// Also records the staged object's size and ETag at the path, if the path has a record. Without this, if the process
/// ended before step 3, the moved object could exceed the limit of an earlier upload and be removed. The limit itself
/// stays: another URL of the path may be valid, and the moved object must not raise its limit.
pub(super) async fn begin_move(platform: &PgPool, id: Uuid, staged: &ListedObject) -> Result<bool> {
    let claimed = sqlx::query(
        "WITH moving AS (UPDATE open_uploads SET state = 'moving' WHERE id = $1 AND state <> 'over'
                         RETURNING id, project_id, bucket, path),
              expected AS (UPDATE file_metadata f SET size = $2, etag = $3 FROM moving m
                           WHERE (f.project_id, f.bucket, f.path) = (m.project_id, m.bucket, m.path))
         SELECT id FROM moving",
    )
    .bind(id)
    .bind(staged.size)
    .bind(staged.etag.as_deref())
    .fetch_optional(platform)
    .await;
    match claimed {
        Ok(row) => Ok(row.is_some()),
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Undoes step 1 of a move. The caller has checked that step 2 put no object at the path.
pub(super) async fn cancel_move(platform: &PgPool, id: Uuid, staged: &ListedObject) -> Result<()> {
    sqlx::query(
        "WITH cancelled AS (UPDATE open_uploads SET state = 'open' WHERE id = $1 AND state = 'moving'
                            RETURNING project_id, bucket, path)
         UPDATE file_metadata f SET size = NULL, etag = NULL FROM cancelled c
         WHERE (f.project_id, f.bucket, f.path) = (c.project_id, c.bucket, c.path) AND f.etag = $2",
    )
    .bind(id)
    .bind(staged.etag.as_deref())
    .execute(platform)
    .await
    .map(drop)
}

/// Ends an upload and records the moved object: step 3 of a move. If the path had no record, the new one is inserted as
/// expired, because the URL of the upload leads to another key.
pub(super) async fn finish_move(platform: &PgPool, id: Uuid, object: &ObjectMeta) -> Result<()> {
    sqlx::query(
        "WITH ended AS (UPDATE open_uploads SET state = 'over' WHERE id = $1
                        RETURNING project_id, bucket, path, content_type, max_size, uploaded_by)
         INSERT INTO file_metadata AS f (project_id, bucket, path, state, content_type, max_size, size, etag,
                                         uploaded_by, expires_at)
         SELECT project_id, bucket, path, 'stored', content_type, max_size, $2, $3, uploaded_by, 'epoch'::timestamptz
         FROM ended
         ON CONFLICT (project_id, bucket, path) DO UPDATE SET
             state = 'stored',
             gone = false,
             created_at = CASE WHEN f.gone THEN now() ELSE f.created_at END,
             content_type = excluded.content_type,
             size = excluded.size,
             etag = excluded.etag,
             uploaded_by = excluded.uploaded_by,
             updated_at = now()",
    )
    .bind(id)
    .bind(object.size)
    .bind(object.etag.as_deref())
    .execute(platform)
    .await
    .map(drop)
}

/// Ends uploads that do not become objects.
pub(in super::super) async fn mark_over(platform: &PgPool, ids: &[Uuid]) -> Result<()> {
    sqlx::query("UPDATE open_uploads SET state = 'over' WHERE id = ANY($1)").bind(ids).execute(platform).await.map(drop)
}

/// Returns the records of the given multipart uploads of a project. `upload_ids` are the store's ids. Uploads without a
/// record are left out.
pub(in super::super) async fn ends_of_uploads(
    platform: &PgPool,
    project_id: &str,
    upload_ids: &[String],
) -> Result<Vec<UploadEnd>> {
    sqlx::query_as(
        "SELECT upload_id, quota_owner IS NOT NULL AS has_quota, expires_at FROM open_uploads
         WHERE project_id = $1 AND kind = 'multipart' AND upload_id = ANY($2)",
    )
    .bind(project_id)
    .bind(upload_ids)
    .fetch_all(platform)
    .await
}

/// Ends multipart uploads that were completed or aborted. `upload_ids` are the store's ids.
pub(in super::super) async fn end_multipart(platform: &PgPool, project_id: &str, upload_ids: &[String]) -> Result<()> {
    sqlx::query(
        "UPDATE open_uploads SET state = 'over' WHERE project_id = $1 AND kind = 'multipart' AND upload_id = ANY($2)",
    )
    .bind(project_id)
    .bind(upload_ids)
    .execute(platform)
    .await
    .map(drop)
}

/// Removes the rows of uploads whose object can no longer arrive. Returns the number of rows.
pub(in super::super) async fn remove_expired(platform: &PgPool) -> Result<u64> {
    sqlx::query("DELETE FROM open_uploads WHERE expires_at <= now() - make_interval(secs => $1)")
        .bind(UPLOAD_GRACE.num_seconds() as f64)
        .execute(platform)
        .await
        .map(|done| done.rows_affected())
}

/// Returns the start time of the oldest running run. Includes runs without a job, such as a manual backup, and runs
/// whose job was deleted.
pub(in super::super) async fn oldest_running_run(platform: &PgPool) -> Result<Option<DateTime<Utc>>> {
    sqlx::query_scalar("SELECT min(started_at) FROM cron_job_runs WHERE status = 'running'").fetch_one(platform).await
}
