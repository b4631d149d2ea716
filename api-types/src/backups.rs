//! Backups of databases.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::text_enum::text_enum;

/// The state of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum BackupState {
    /// The backup is complete in storage.
    Ready,
    /// The backup was restored into a temporary database, and its row counts matched.
    Verified,
    /// The last verification failed. `errorText` says why.
    Failed,
    /// The dump no longer exists in storage.
    Missing,
}

text_enum!(BackupState {
    Ready => "ready",
    Verified => "verified",
    Failed => "failed",
    Missing => "missing",
});

/// A backup of one database.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Backup {
    /// Id of the backup.
    pub id: String,
    /// The database: `platform` or `project:<id>`.
    pub target: String,
    /// Name of the project at the time of the backup. Null for the platform.
    pub title: Option<String>,
    /// When the dump started.
    pub created_at: DateTime<Utc>,
    /// Size of the dump, in bytes.
    pub size_bytes: i64,
    /// SHA-256 of the dump, as 64 hexadecimal digits.
    pub sha256: String,
    /// State of the backup.
    pub state: BackupState,
    /// Key of the dump in the platform's bucket.
    pub object_key: String,
    /// Key of the dump's manifest in the platform's bucket.
    pub manifest_key: String,
    /// The run that made the backup. Null if unknown.
    pub run_id: Option<String>,
    /// When the backup was last verified successfully. Null if it never was.
    pub verified_at: Option<DateTime<Utc>>,
    /// When the last verification failed. Null if it succeeded, or if there was none.
    pub failed_at: Option<DateTime<Utc>>,
    /// Why the last verification failed. Null if it succeeded, or if there was none.
    pub error_text: Option<String>,
}

/// A request to back up databases now.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateBackup {
    /// What to back up: `platform`, `project:<id>` or `all`.
    pub target: String,
}

/// A signed URL of a dump.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BackupDownload {
    /// The URL. It works without further authentication.
    pub download_url: String,
    /// Seconds until the URL expires.
    pub expires_in: u64,
}
