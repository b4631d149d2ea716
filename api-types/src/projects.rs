//! Projects.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{text_enum::text_enum, utc_time};

/// A project: one database, one bucket, and API keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Project {
    /// Id of the project: lowercase letters and digits.
    pub id: String,
    /// Name of the project.
    pub name: String,
    /// State of the project.
    pub state: ProjectState,
    /// Name of the project's Postgres database.
    pub database: String,
    /// Name of the project's bucket in the object store.
    pub bucket: String,
    /// Origins from which browsers may call `/v1`. `*` allows any, an empty list none.
    pub cors_origins: Vec<String>,
    /// When the project was created.
    pub created_at: DateTime<Utc>,
    /// When the project was last changed.
    pub updated_at: DateTime<Utc>,
    /// The run of the final backup after which the project is deleted. Null if no deletion is pending.
    pub delete_after_run: Option<String>,
    /// Why a deletion with a final backup did not happen. Null if there is no problem.
    pub delete_problem: Option<String>,
    /// Whether the project is protected from deletion.
    pub protected: bool,
    /// The owner's note. Empty if there is none.
    pub note: String,
}

/// The state of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ProjectState {
    /// The database and the bucket are being created. The project can't be used yet.
    Creating,
    /// The project can be used.
    Ready,
    /// The project is being deleted and can no longer be used.
    Deleting,
}

text_enum!(ProjectState {
    Creating => "creating",
    Ready => "ready",
    Deleting => "deleting",
});

/// A project to create.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateProject {
    /// Name of the project, 1 to 64 characters, unique without regard to case.
    pub name: String,
}

/// A new project with its first API keys. This is the only response that contains them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreatedProject {
    /// The project.
    pub project: Project,
    /// The publishable key. It can't be retrieved again.
    pub publishable_key: String,
    /// The secret key. It can't be retrieved again.
    pub secret_key: String,
}

/// Changes to a project. Fields that are absent stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateProject {
    /// Name of the project, 1 to 64 characters, unique without regard to case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Origins from which browsers may call `/v1`: each `scheme://host[:port]`, or the single entry `*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors_origins: Option<Vec<String>>,
    /// Whether the project is protected from deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protected: Option<bool>,
    /// The owner's note, at most 2000 characters. An empty string removes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Whether to remove `deleteProblem` and keep the project (default false).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dismiss_delete_problem: bool,
}

/// A project with its totals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectDetail {
    /// The project.
    #[serde(flatten)]
    pub project: Project,
    /// The totals of the project.
    #[serde(flatten)]
    pub totals: ProjectTotals,
}

/// A project in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ListedProject {
    /// The project.
    #[serde(flatten)]
    pub project: Project,
    /// The totals of the project. Absent unless the request contains `include=totals`.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(schema_with = optional_totals))]
    pub totals: Option<ProjectTotals>,
}

/// Returns the schema of [`ProjectTotals`] without required members.
#[cfg(feature = "openapi")]
fn optional_totals() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
    let mut schema = <ProjectTotals as utoipa::PartialSchema>::schema();
    if let utoipa::openapi::RefOr::T(utoipa::openapi::schema::Schema::Object(object)) = &mut schema {
        object.required.clear();
        object.description =
            Some("The totals of the project. Absent unless the request contains `include=totals`.".to_owned());
    }
    schema
}

/// Totals of a project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectTotals {
    /// Size of the database, in bytes. Null if it is unknown: the database is being created or deleted, or can't be
    /// reached.
    pub database_bytes: Option<i64>,
    /// Number of tables in the schema `public`. Null if it is unknown.
    pub table_count: Option<i64>,
    /// Number of recorded objects in storage, as in `Bucket`.
    pub object_count: i64,
    /// Size of the recorded objects, in bytes.
    pub object_bytes: i64,
    /// Number of active API keys: those that are neither expired nor revoked.
    pub active_key_count: i64,
    /// When the first of the active keys expires. Null if none of them expires.
    pub next_key_expiry: Option<DateTime<Utc>>,
    /// When a key was last used. Null if none has been used.
    pub keys_last_used_at: Option<DateTime<Utc>>,
    /// Number of jobs.
    pub job_count: i64,
    /// Number of backups whose dump exists.
    pub backup_count: i64,
    /// The newest backup whose dump exists, and whose last verification did not fail. Null if there is none.
    pub last_good_backup: Option<GoodBackup>,
    /// The runs of the last 24 hours.
    #[serde(rename = "runs24h")]
    pub runs_24h: RunCount,
}

/// The newest good backup of a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GoodBackup {
    /// Id of the backup.
    pub id: String,
    /// When the dump started.
    #[serde(deserialize_with = "utc_time::deserialize")]
    pub at: DateTime<Utc>,
    /// When the backup was last verified successfully. Null if it never was.
    #[serde(deserialize_with = "utc_time::deserialize_option")]
    pub verified_at: Option<DateTime<Utc>>,
}

/// Counts of runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunCount {
    /// Number of runs.
    pub total: i64,
    /// Number of runs that failed or timed out.
    pub failed: i64,
}

/// A confirmed request to delete a project.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeleteProject {
    /// The name of the project, as a confirmation.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required))]
    pub confirm: String,
    /// Whether to back up the database and the objects first, and delete the project only if that succeeds (default
    /// false).
    #[serde(default)]
    pub final_backup: bool,
}
