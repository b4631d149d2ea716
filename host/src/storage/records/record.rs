use chrono::{DateTime, Utc};

/// State of a record, as in the column `file_metadata.state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub(crate) enum FileState {
    /// An upload was signed; the object has not been seen yet.
    Pending,
    /// The object was seen in the store.
    Stored,
}

/// The record of one path. `size` and `etag` are those of the object when it was last seen.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct FileRecord {
    pub state: FileState,
    /// Maximum size in bytes that the last upload was signed for.
    pub max_size: i64,
    pub size: Option<i64>,
    pub etag: Option<String>,
    /// Id of the multipart upload that was signed last.
    pub upload_id: Option<String>,
    /// Time when the last signed URL expires.
    pub expires_at: DateTime<Utc>,
}
