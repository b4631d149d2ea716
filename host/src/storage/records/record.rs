//! The rows of the table `file_metadata` as a type.

use chrono::{DateTime, Utc};

/// State of a record, as in the column `file_metadata.state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub(crate) enum FileState {
    /// An upload was signed; its object has not been seen yet, or was removed.
    Pending,
    /// The object was seen in the store.
    Stored,
}

/// The record of one path. `size` and `etag` are those of the object when it was last seen.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct FileRecord {
    pub state: FileState,
    /// Maximum size in bytes that uploads to the path were signed for; `i64::MAX` if none was signed, and -1 if the
    /// uploads were signed before their bucket was deleted.
    pub max_size: i64,
    pub size: Option<i64>,
    pub etag: Option<String>,
    /// Id of the last signed upload, if it is a multipart upload that was not aborted.
    pub upload_id: Option<String>,
    /// Time when the last signed URL expires; in the past if none was signed.
    pub expires_at: DateTime<Utc>,
}
