//! What the sweeps look at: a batch each, those that were looked at longest ago first.

use sqlx::PgPool;

use super::queries::SuspectFile;

type Result<T> = std::result::Result<T, sqlx::Error>;

/// Rows of uploads that were signed for and never seen, `grace_seconds` after their URL expired: nobody can be
/// uploading any more.
pub(super) async fn expired_uploads(platform: &PgPool, grace_seconds: i64, limit: i64) -> Result<Vec<SuspectFile>> {
    sqlx::query_as(
        "SELECT f.project_id, f.bucket, f.path, f.state, f.max_size, f.size, f.etag, f.upload_id, f.expires_at, true AS over
         FROM file_metadata f JOIN projects p ON p.id = f.project_id AND p.state = 'ready'
         WHERE f.state = 'pending' AND f.expires_at <= now() - make_interval(secs => $1)
         ORDER BY f.expires_at LIMIT $2",
    )
    .bind(grace_seconds as f64)
    .bind(limit)
    .fetch_all(platform)
    .await
}

/// Rows whose URL still works, or worked when they were last looked at, not looked at for some minutes.
pub(super) async fn replaceable_objects(platform: &PgPool, limit: i64) -> Result<Vec<SuspectFile>> {
    sqlx::query_as(
        "SELECT f.project_id, f.bucket, f.path, f.state, f.max_size, f.size, f.etag, f.upload_id, f.expires_at, false AS over
         FROM file_metadata f JOIN projects p ON p.id = f.project_id AND p.state = 'ready'
         WHERE ((f.state = 'pending' AND f.expires_at > now()) OR (f.updated_at <= f.expires_at AND f.expires_at <= now()))
           AND f.updated_at <= now() - interval '5 minutes'
         ORDER BY f.updated_at LIMIT $1",
    )
    .bind(limit)
    .fetch_all(platform)
    .await
}

/// Rows of objects that were seen, and not looked at for `days`.
pub(super) async fn unchecked_objects(platform: &PgPool, days: i32, limit: i64) -> Result<Vec<SuspectFile>> {
    sqlx::query_as(
        "SELECT f.project_id, f.bucket, f.path, f.state, f.max_size, f.size, f.etag, f.upload_id, f.expires_at, false AS over
         FROM file_metadata f JOIN projects p ON p.id = f.project_id AND p.state = 'ready'
         WHERE f.state = 'stored' AND f.updated_at <= now() - make_interval(days => $1)
         ORDER BY f.updated_at LIMIT $2",
    )
    .bind(days)
    .bind(limit)
    .fetch_all(platform)
    .await
}
