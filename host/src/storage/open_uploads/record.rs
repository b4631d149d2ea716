//! The rows of the table `open_uploads` as types.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::super::path::ObjectPath;

/// Kind of an open upload, as in the column `open_uploads.kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub(in super::super) enum UploadKind {
    /// An upload to a staged object, in one request.
    Staged,
    Multipart,
}

/// State of an open upload, as in the column `open_uploads.state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub(in super::super) enum UploadState {
    Open,
    /// The staged object is being moved.
    Moving,
    /// The upload was moved, discarded, completed or aborted. The row stays as long as an object can still arrive at a
    /// URL of the upload.
    Over,
}

/// An upload about to be signed.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct NewOpenUpload<'a> {
    pub project_id: &'a str,
    pub path: &'a ObjectPath,
    pub content_type: &'a str,
    /// Maximum size in bytes.
    pub max_size: i64,
    /// Size in bytes of the object, and of each part except the last. `None` unless it is a multipart upload.
    pub layout: Option<(i64, i64)>,
    /// Whether completing the upload may replace an object.
    pub may_replace: bool,
    pub uploaded_by: &'a str,
    /// The key or user towards whose quota the upload counts; `None` for no quota.
    pub quota_owner: Option<&'a str>,
    pub lifetime: Duration,
}

/// The record of an upload.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(in super::super) struct OpenUpload {
    pub id: Uuid,
    pub bucket: String,
    pub path: String,
    pub state: UploadState,
    /// Maximum size in bytes.
    pub max_size: i64,
    pub object_size: Option<i64>,
    pub part_size: Option<i64>,
    pub may_replace: bool,
    /// Label of the requester that signed the upload.
    pub uploaded_by: String,
    /// Time when the last URL expires.
    pub expires_at: DateTime<Utc>,
}

/// An open multipart upload in a list.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(in super::super) struct ListedUpload {
    pub id: Uuid,
    pub path: String,
    pub upload_id: String,
    pub content_type: String,
    pub object_size: Option<i64>,
    pub part_size: Option<i64>,
    pub uploaded_by: String,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// The recorded facts that decide whether a multipart upload is abandoned.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(in super::super) struct UploadEnd {
    pub upload_id: String,
    /// Whether the upload counts towards a quota: a publishable key or a signed-in user signed it.
    pub has_quota: bool,
    pub expires_at: DateTime<Utc>,
}
