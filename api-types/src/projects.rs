//! Projects.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::text_enum::text_enum;

/// A project: one database, one bucket, and API keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
}

/// The state of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ProjectState {
    /// The database and the bucket are being created. The project cannot be used yet.
    Creating,
    /// The project can be used.
    Ready,
    /// The project is being deleted and cannot be used any more.
    Deleting,
}

text_enum!(ProjectState {
    Creating => "creating",
    Ready => "ready",
    Deleting => "deleting",
});

/// A project to create.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateProject {
    /// Name of the project, 1 to 64 characters, unique without regard to case.
    pub name: String,
}

/// A new project with its first API keys. This is the only response that contains them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreatedProject {
    /// The project.
    pub project: Project,
    /// The publishable key. It cannot be retrieved again.
    pub publishable_key: String,
    /// The secret key. It cannot be retrieved again.
    pub secret_key: String,
}

/// Changes to a project. Fields that are absent stay as they are.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateProject {
    /// Name of the project, 1 to 64 characters, unique without regard to case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Origins from which browsers may call `/v1`: each `scheme://host[:port]`, or the single entry `*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors_origins: Option<Vec<String>>,
}

/// A project with statistics.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectDetail {
    /// The project.
    #[serde(flatten)]
    pub project: Project,
    /// Size of the database, in bytes. Null if the database cannot be reached.
    pub database_bytes: Option<i64>,
    /// Number of tables in the schema `public`. Null if the database cannot be reached.
    pub table_count: Option<i64>,
    /// Number of objects in storage.
    pub object_count: i64,
    /// Size of all objects in storage, in bytes.
    pub object_bytes: i64,
    /// Number of API keys that work now.
    pub active_key_count: i64,
}

/// A confirmed request to delete a project.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeleteProject {
    /// The name of the project, as a confirmation.
    pub confirm: String,
    /// Whether to make a backup first, and delete the project only after it succeeded (default false).
    #[serde(default)]
    pub final_backup: bool,
}
