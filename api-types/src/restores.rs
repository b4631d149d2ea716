//! Restores of projects' databases.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::text_enum::text_enum;

/// The state of a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum RestoreState {
    /// The plan waits for the owner's confirmation. Nothing was changed.
    Planned,
    /// The archive is being loaded into a new database.
    Loading,
    /// The new database is being compared with the plan.
    Checking,
    /// The new database replaces the project's database; in a rollback, the previous database replaces it.
    Swapping,
    /// The project uses the restored database.
    Done,
    /// The restore failed, and the project's database was not changed. `errorText` says why.
    Failed,
    /// The restore was cancelled, and the project's database was not changed.
    Cancelled,
    /// The project uses its previous database again.
    RolledBack,
}

text_enum!(RestoreState {
    Planned => "planned",
    Loading => "loading",
    Checking => "checking",
    Swapping => "swapping",
    Done => "done",
    Failed => "failed",
    Cancelled => "cancelled",
    RolledBack => "rolledBack",
});

/// A restore of an archive into a project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Restore {
    /// Id of the restore.
    pub id: String,
    /// Id of the project whose database is replaced.
    pub project_id: String,
    /// Where the archive comes from.
    pub source: RestoreSource,
    /// State of the restore.
    pub state: RestoreState,
    /// What the archive contains.
    pub plan: RestorePlan,
    /// Name of the database that the project had before the restore, while it is kept. After a rollback, it is the
    /// database that the restore had made. Null if none is kept.
    pub previous_database: Option<String>,
    /// The last run of the restore or its rollback. Null before the confirmation.
    pub run_id: Option<String>,
    /// Why the restore or its rollback failed. Null if neither did.
    pub error_text: Option<String>,
    /// Objects that were not restored as the archive has them: those that were left out, check constraints that are
    /// `NOT VALID` because rows violate them, and policies and privileges of roles outside the project. With Postgres's
    /// reason, for example `INDEX public.items_name_idx: could not create unique index "items_name_idx"`.
    pub left_out: Vec<String>,
    /// When the restore was planned.
    pub created_at: DateTime<Utc>,
    /// When the restore or its rollback ended. Null if it has not ended.
    pub finished_at: Option<DateTime<Utc>>,
}

/// The source of the archive of a restore. Contains exactly one field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum RestoreSource {
    /// A backup.
    Backup {
        /// Id of the backup.
        #[serde(rename = "backupId")]
        backup_id: String,
    },
    /// An uploaded archive.
    Upload {
        /// Id of the upload.
        #[serde(rename = "uploadId")]
        upload_id: String,
    },
}

/// The plan of a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RestorePlan {
    /// The tables in the archive, with their numbers of rows.
    pub tables: Vec<RestoreTable>,
    /// Size of the archive, in bytes.
    pub size_bytes: i64,
    /// Version of the Postgres server that was dumped, for example `15.14`. Null if unknown.
    pub server_version: Option<String>,
    /// Whether the archive is encrypted. If so, and unless the server has a configured identity, the request that
    /// confirms the restore must contain the identity again.
    #[serde(default)]
    pub encrypted: bool,
    /// The objects that are restored. Null if the backup contains no objects, or if they are left out.
    #[serde(default)]
    pub objects: Option<RestoreObjects>,
    /// What the owner should know before the confirmation.
    pub warnings: Vec<String>,
}

/// The objects in a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RestoreObjects {
    /// Number of objects.
    pub count: i64,
    /// Size of the objects, in bytes.
    pub size_bytes: i64,
}

/// A table in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RestoreTable {
    /// Schema of the table.
    pub schema: String,
    /// Name of the table.
    pub table: String,
    /// Number of rows. Null if unknown.
    pub rows: Option<i64>,
}

/// A request to plan the restore of a backup.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanBackupRestore {
    /// Id of the project whose database is replaced. It may be another project than the backup's.
    pub project_id: String,
    /// Content of an age identity file, for an encrypted archive. It is used for this request alone, and not stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// Whether to restore the objects that are part of the backup (default true).
    #[serde(default = "default_true")]
    pub objects: bool,
}

fn default_true() -> bool {
    true
}

/// A request to plan the restore of an uploaded archive.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanUploadRestore {
    /// Id of the project whose database is replaced.
    pub project_id: String,
    /// Id of the upload.
    pub upload_id: String,
    /// Content of an age identity file, for an encrypted archive. It is used for this request alone, and not stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
}

/// A request to upload an archive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignRestoreUpload {
    /// Id of the project that will be restored.
    pub project_id: String,
    /// Name of the file, 1 to 255 characters. Only for display.
    pub file_name: String,
    /// Exact size of the file, in bytes, up to 5 GiB.
    pub size_bytes: i64,
}

/// A signed URL for the upload of an archive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignedRestoreUpload {
    /// Id of the upload, for the request that plans the restore.
    pub upload_id: String,
    /// URL to send the file to. It works without further authentication.
    pub upload_url: String,
    /// The method, `PUT`.
    pub method: String,
    /// Headers that must be sent exactly as given here. HTTP clients set `content-length` themselves.
    pub headers: BTreeMap<String, String>,
    /// Seconds until the URL expires.
    pub expires_in: u64,
}

/// A request that repeats the project's name, because it replaces the project's database.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConfirmRestore {
    /// The project's name, exactly as it is spelled.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required))]
    pub confirm: String,
    /// Content of an age identity file, for an encrypted archive. It is stored until the run begins, sealed under the
    /// master key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// Whether to leave out indexes, constraints, triggers and contents of materialized views that can't be created
    /// after the rows were loaded (default false). If true, `leftOut` lists those that were left out. If false, the
    /// restore fails at the first one. Not allowed for a rollback.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skip_failed_objects: bool,
}
