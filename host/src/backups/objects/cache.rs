//! The cache of the hashes of objects: the table `backup_object_cache`. An object that has not changed since the last
//! backup is not read again.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use crate::object_store::ListedObject;

type Result<T> = std::result::Result<T, sqlx::Error>;

/// The properties of an object when it was last backed up.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct CachedHash {
    key: String,
    etag: String,
    size_bytes: i64,
    last_modified: DateTime<Utc>,
    content_type: Option<String>,
    sha256: Vec<u8>,
}

/// The hash of an object's content, and its content type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KnownContent {
    pub(super) sha256: [u8; 32],
    pub(super) content_type: Option<String>,
}

impl CachedHash {
    /// Creates an entry. Returns `None` if the store did not report the ETag or the time, which are needed to recognize
    /// a changed object.
    pub(super) fn new(object: &ListedObject, content: KnownContent) -> Option<Self> {
        Some(Self {
            key: object.key.clone(),
            etag: object.etag.clone()?,
            size_bytes: object.size,
            last_modified: object.last_modified?,
            content_type: content.content_type,
            sha256: content.sha256.to_vec(),
        })
    }

    /// Returns the hash and the type of the object's content, or `None` if the object has changed.
    pub(super) fn content_of(&self, object: &ListedObject) -> Option<KnownContent> {
        let is_unchanged = object.etag.as_deref() == Some(&self.etag)
            && object.size == self.size_bytes
            // Compared in milliseconds, because Postgres rounds times to microseconds.
            && object.last_modified.map(|at| at.timestamp_millis()) == Some(self.last_modified.timestamp_millis());
        let sha256 = self.sha256.as_slice().try_into().ok().filter(|_| is_unchanged)?;
        Some(KnownContent { sha256, content_type: self.content_type.clone() })
    }
}

/// Returns the entries of the given keys, by key.
pub(super) async fn find(pool: &PgPool, project: &str, keys: &[String]) -> Result<HashMap<String, CachedHash>> {
    let rows: Vec<CachedHash> = sqlx::query_as(
        "SELECT key, etag, size_bytes, last_modified, content_type, sha256 FROM backup_object_cache
         WHERE project_id = $1 AND key = ANY($2)",
    )
    .bind(project)
    .bind(keys)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| (row.key.clone(), row)).collect())
}

/// Inserts or updates entries. Does nothing if the project was deleted. An error is logged: the next backup reads the
/// objects again.
pub(super) async fn store(pool: &PgPool, project: &str, entries: &[CachedHash]) {
    let keys: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
    let etags: Vec<&str> = entries.iter().map(|entry| entry.etag.as_str()).collect();
    let sizes: Vec<i64> = entries.iter().map(|entry| entry.size_bytes).collect();
    let times: Vec<DateTime<Utc>> = entries.iter().map(|entry| entry.last_modified).collect();
    let types: Vec<Option<&str>> = entries.iter().map(|entry| entry.content_type.as_deref()).collect();
    let hashes: Vec<&[u8]> = entries.iter().map(|entry| entry.sha256.as_slice()).collect();
    let stored = sqlx::query(
        "INSERT INTO backup_object_cache AS c (project_id, key, etag, size_bytes, last_modified, content_type,
                                               sha256)
         SELECT p.id, seen.*
         FROM unnest($2::text[], $3::text[], $4::bigint[], $5::timestamptz[], $6::text[], $7::bytea[]) AS seen
         JOIN projects p ON p.id = $1
         ON CONFLICT (project_id, key) DO UPDATE SET etag = excluded.etag, size_bytes = excluded.size_bytes,
             last_modified = excluded.last_modified, content_type = excluded.content_type, sha256 = excluded.sha256,
             seen_at = now()",
    )
    .bind(project)
    .bind(keys)
    .bind(etags)
    .bind(sizes)
    .bind(times)
    .bind(types)
    .bind(hashes)
    .execute(pool)
    .await;
    log_error(project, stored);
}

/// Removes the entries that no backup has stored since `before`. An error is logged: the next backup removes them.
pub(super) async fn remove_unseen(pool: &PgPool, project: &str, before: DateTime<Utc>) {
    let removed = sqlx::query("DELETE FROM backup_object_cache WHERE project_id = $1 AND seen_at < $2")
        .bind(project)
        .bind(before)
        .execute(pool)
        .await;
    log_error(project, removed);
}

/// Logs an error instead of returning it: backups that write the entries of one project at the same time can deadlock,
/// and a deadlock must not fail them.
fn log_error<T>(project: &str, result: Result<T>) {
    if let Err(error) = result {
        tracing::warn!(project, %error, "the cache of the hashes of backed-up objects could not be updated");
    }
}
