//! Selects the records to compare with the store.

use sqlx::PgPool;

use super::super::records::{FileRecord, UPLOAD_GRACE};

type Result<T> = std::result::Result<T, sqlx::Error>;

/// A record to compare with the store.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct FileToCheck {
    pub project_id: String,
    pub bucket: String,
    pub path: String,
    #[sqlx(flatten)]
    pub record: FileRecord,
    /// Whether no upload can still be in progress, because the URL expired more than [`UPLOAD_GRACE`] ago. Queries that
    /// don't determine it return false.
    pub upload_over: bool,
}

/// The last record of a batch: project, bucket and path.
#[derive(Debug, Clone, Default)]
pub(super) struct FileCursor {
    pub project_id: String,
    pub bucket: String,
    pub path: String,
}

/// Returns the records that follow `after` and must be compared in a full sweep, in the order of their keys:
/// - pending uploads whose URL is valid;
/// - pending uploads that are over, see [`FileToCheck::upload_over`];
/// - records that were not compared after their URL expired.
pub(super) async fn files_to_check(platform: &PgPool, after: &FileCursor, limit: i64) -> Result<Vec<FileToCheck>> {
    sqlx::query_as(
        "SELECT f.project_id, f.bucket, f.path, f.state, f.max_size, f.size, f.etag, f.upload_id, f.expires_at,
                f.expires_at <= now() - make_interval(secs => $4) AS upload_over
         FROM file_metadata f JOIN projects p ON p.id = f.project_id AND p.state = 'ready'
         WHERE (f.project_id, f.bucket, f.path) > ($1, $2, $3)
           AND ((f.state = 'pending' AND (f.expires_at > now() OR f.expires_at <= now() - make_interval(secs => $4)))
                OR (f.updated_at <= f.expires_at AND f.expires_at <= now()))
         ORDER BY f.project_id, f.bucket, f.path LIMIT $5",
    )
    .bind(&after.project_id)
    .bind(&after.bucket)
    .bind(&after.path)
    .bind(UPLOAD_GRACE.num_seconds() as f64)
    .bind(limit)
    .fetch_all(platform)
    .await
}

/// Returns records of pending uploads whose URL expired more than [`UPLOAD_GRACE`] ago, the earliest expiry first.
pub(super) async fn expired_uploads(platform: &PgPool, limit: i64) -> Result<Vec<FileToCheck>> {
    sqlx::query_as(
        "SELECT f.project_id, f.bucket, f.path, f.state, f.max_size, f.size, f.etag, f.upload_id, f.expires_at,
                true AS upload_over
         FROM file_metadata f JOIN projects p ON p.id = f.project_id AND p.state = 'ready'
         WHERE f.state = 'pending' AND f.expires_at <= now() - make_interval(secs => $1)
         ORDER BY f.expires_at LIMIT $2",
    )
    .bind(UPLOAD_GRACE.num_seconds() as f64)
    .bind(limit)
    .fetch_all(platform)
    .await
}

/// Returns records of pending uploads whose URL is still valid, and records whose URL has expired since they were last
/// compared with the store. The least recently compared come first.
///
/// Skips records compared within the last minute, so that the batches of a sweep do not contain the same records again.
/// A pending record with `updated_at = created_at` was not compared since its upload was signed, see `record_upload`.
pub(super) async fn replaceable_objects(platform: &PgPool, limit: i64) -> Result<Vec<FileToCheck>> {
    sqlx::query_as(
        "SELECT f.project_id, f.bucket, f.path, f.state, f.max_size, f.size, f.etag, f.upload_id, f.expires_at,
                false AS upload_over
         FROM file_metadata f JOIN projects p ON p.id = f.project_id AND p.state = 'ready'
         WHERE ((f.state = 'pending' AND f.expires_at > now())
                OR (f.updated_at <= f.expires_at AND f.expires_at <= now()))
           AND (f.updated_at <= now() - interval '1 minute' OR (f.state = 'pending' AND f.updated_at = f.created_at))
         ORDER BY f.updated_at LIMIT $1",
    )
    .bind(limit)
    .fetch_all(platform)
    .await
}

/// Returns records of stored objects that were not compared for `days` days, the least recently compared first.
pub(super) async fn unchecked_objects(platform: &PgPool, days: i32, limit: i64) -> Result<Vec<FileToCheck>> {
    sqlx::query_as(
        "SELECT f.project_id, f.bucket, f.path, f.state, f.max_size, f.size, f.etag, f.upload_id, f.expires_at,
                false AS upload_over
         FROM file_metadata f JOIN projects p ON p.id = f.project_id AND p.state = 'ready'
         WHERE f.state = 'stored' AND f.updated_at <= now() - make_interval(days => $1)
         ORDER BY f.updated_at LIMIT $2",
    )
    .bind(days)
    .bind(limit)
    .fetch_all(platform)
    .await
}

pub(super) async fn ready_project_ids(platform: &PgPool) -> Result<Vec<String>> {
    sqlx::query_scalar("SELECT id FROM projects WHERE state = 'ready' ORDER BY id").fetch_all(platform).await
}
