//! Backups of databases.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{projects::GoodBackup, text_enum::text_enum};

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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Backup {
    /// Id of the backup.
    pub id: String,
    /// The database: `platform` or `project:<id>`.
    pub target: String,
    /// Name of the project at the time of the backup. Null for the platform, or if unknown.
    pub title: Option<String>,
    /// When the dump started.
    pub created_at: DateTime<Utc>,
    /// Size of the dump, in bytes.
    pub size_bytes: i64,
    /// Number of rows of the tables, without those of end-user login (schema `auth`). Null if unknown.
    pub row_count: Option<i64>,
    /// Whether the dump is encrypted, in the age format. Restoring or verifying it requires the age identity.
    pub encrypted: bool,
    /// Number of the project's objects in the backup. Null if it contains no objects.
    pub object_count: Option<i64>,
    /// Size of these objects, in bytes. Null if the backup contains no objects.
    pub object_bytes: Option<i64>,
    /// SHA-256 of the dump as it is stored, as 64 hexadecimal digits.
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
    /// Why the backup is kept. Empty if the dump is missing, or if no rule of a retention policy keeps the backup. In
    /// the latter case, the next run of the job with this policy removes it.
    pub kept_by: Vec<KeptBy>,
    /// When the backup is expected to be removed, if the scheduled backups succeed. Null if it is not expected to be
    /// removed within the next 400 runs of the jobs that cover this database.
    pub goes_at: Option<DateTime<Utc>>,
    /// Whether it is the only backup of its database whose dump exists and whose last verification did not fail.
    pub only_good: bool,
}

/// A rule that keeps a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum KeptBy {
    /// No job applies a retention policy to the database.
    NoPolicy,
    /// Its last verification failed. Retention policies neither count nor remove it.
    Failed,
    /// One of the newest backups.
    Last,
    /// The newest backup of its day.
    Daily,
    /// The newest backup of its week.
    Weekly,
    /// The newest backup of its month.
    Monthly,
}

text_enum!(KeptBy {
    NoPolicy => "noPolicy",
    Failed => "failed",
    Last => "last",
    Daily => "daily",
    Weekly => "weekly",
    Monthly => "monthly",
});

/// A retention policy for the backups of a database. A backup is kept if any rule keeps it. The newest one is always
/// kept. Days, weeks and months are those of UTC; weeks start on Monday. If several jobs have policies for a database,
/// each removes the backups that its own policy does not keep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BackupRetention {
    /// Number of newest backups to keep.
    #[serde(default)]
    pub keep_last: u32,
    /// Number of most recent days with a backup. The newest backup of each is kept.
    #[serde(default)]
    pub daily: u32,
    /// Number of most recent weeks with a backup. The newest backup of each is kept.
    #[serde(default)]
    pub weekly: u32,
    /// Number of most recent months with a backup. The newest backup of each is kept.
    #[serde(default)]
    pub monthly: u32,
}

/// Backups that a retention policy will remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WillGo {
    /// When they are removed.
    pub at: DateTime<Utc>,
    /// Number of backups.
    pub count: i64,
    /// Size of these backups, in bytes.
    pub bytes: i64,
}

/// A backup with the content of its manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BackupDetail {
    /// The backup.
    #[serde(flatten)]
    pub backup: Backup,
    /// The manifest. Null if it can't be read; `manifestProblem` says why.
    pub manifest: Option<BackupManifestInfo>,
    /// Why the manifest can't be read. Null if it can.
    pub manifest_problem: Option<String>,
}

/// The content of a backup's manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BackupManifestInfo {
    /// Version of Postgres, for example `15.14`.
    pub server_version: String,
    /// Version of `pg_dump`. Null if unknown.
    pub dump_version: Option<String>,
    /// Version of AtlasHub. Null if unknown.
    pub atlashub_version: Option<String>,
    /// Id of the master key that decrypts the sealed values in a dump of the platform. Null if unknown.
    pub master_key_id: Option<String>,
    /// Number of rows of the tables, without those of end-user login (schema `auth`).
    pub row_count: u64,
    /// The tables with their numbers of rows.
    pub tables: Vec<BackupTable>,
}

/// A table in a backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BackupTable {
    /// Schema of the table.
    pub schema: String,
    /// Name of the table.
    pub table: String,
    /// Number of rows.
    pub rows: u64,
}

/// The protection of a database by backups.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Protection {
    /// The database: `platform` or `project:<id>`.
    pub target: String,
    /// Id of the project. Null for the platform.
    pub project_id: Option<String>,
    /// Name of the project. Null for the platform.
    pub title: Option<String>,
    /// The newest backup whose dump exists, and whose last verification did not fail. Null if there is none.
    pub last_good: Option<GoodBackup>,
    /// When a backup of this database was last verified successfully. Null if none was.
    pub last_verified_at: Option<DateTime<Utc>>,
    /// The enabled job that backs up this database most often. Null if there is none.
    pub job: Option<ProtectionJob>,
    /// Number of backups whose dump exists.
    pub kept_count: i64,
    /// Size of these backups, in bytes.
    pub kept_bytes: i64,
    /// When the oldest of these backups was made. Null if there is none.
    pub oldest_at: Option<DateTime<Utc>>,
    /// The retention policy of the job. Null if there is no job, or if it removes nothing.
    pub retention: Option<BackupRetention>,
    /// The backups that are removed next, if the scheduled backups succeed. Null if none is.
    pub will_go: Option<WillGo>,
    /// Whether the database needs attention; `problem` says why.
    pub overdue: bool,
    /// Description of the problem. Null if there is none.
    pub problem: Option<String>,
    /// When the problem began. If no enabled job backs up the database, the time of its last good backup or, if there
    /// is none, of its creation. Null if there is no problem, or if the time is unknown.
    pub problem_since: Option<DateTime<Utc>>,
}

/// A job that backs up a database.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProtectionJob {
    /// Id of the job.
    pub id: String,
    /// Name of the job.
    pub name: String,
    /// Its next fire time. Null if it has none.
    pub next_run_at: Option<DateTime<Utc>>,
    /// Longest time between its next fire times, in seconds. Null if unknown.
    pub interval_seconds: Option<i64>,
}

/// A request to back up databases now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateBackup {
    /// What to back up: `platform`, `project:<id>` or `all`.
    pub target: String,
    /// Whether the objects of projects are part of their backups (default false). Not allowed for the target
    /// `platform`, which has no objects.
    #[serde(default)]
    pub objects: bool,
}

/// A signed URL of a dump.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BackupDownload {
    /// The URL. It works without further authentication.
    pub download_url: String,
    /// Seconds until the URL expires.
    pub expires_in: u64,
}

/// A request to verify a backup.
#[derive(Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VerifyBackup {
    /// Content of an age identity file, for an encrypted backup. It is stored until the run begins, sealed under the
    /// master key. If absent, the configured identity is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
}
