use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::text_enum::text_enum;

/// Whether a backup is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum BackupState {
    /// Complete in storage.
    Ready,
    /// Restored into a scratch database and compared.
    Verified,
    /// Its object is gone from storage.
    Missing,
}

text_enum!(BackupState {
    Ready => "ready",
    Verified => "verified",
    Missing => "missing",
});

/// One backup of one database.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Backup {
    pub id: String,
    /// `platform` or `project:<id>`.
    pub target: String,
    /// The project's name at that time.
    pub title: Option<String>,
    pub created_at: DateTime<Utc>,
    pub size_bytes: i64,
    /// Hexadecimal.
    pub sha256: String,
    pub state: BackupState,
    pub object_key: String,
    pub manifest_key: String,
    pub run_id: Option<String>,
    pub verified_at: Option<DateTime<Utc>>,
}

/// What to back up, now.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateBackup {
    /// `platform`, `project:<id>` or `all`.
    pub target: String,
}

/// A link to a backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BackupDownload {
    pub download_url: String,
    /// Seconds.
    pub expires_in: u64,
}
