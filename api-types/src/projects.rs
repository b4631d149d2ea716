use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::text_enum::text_enum;

/// A project: one database, one bucket, its keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Project {
    /// Lowercase letters and digits.
    pub id: String,
    pub name: String,
    pub state: ProjectState,
    /// Name of the project's Postgres database.
    pub database: String,
    /// Name of the project's bucket in the object store.
    pub bucket: String,
    /// Origins that browsers may call `/v1` from; `*` for any, empty for none.
    pub cors_origins: Vec<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// The run of the final backup after which the project is deleted; null where it isn't to be.
    pub delete_after_run: Option<String>,
    /// Why the project is still there after its deletion with a final backup was asked for.
    pub delete_problem: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ProjectState {
    /// Being provisioned; not usable yet.
    Creating,
    Ready,
    /// Being removed; no longer usable.
    Deleting,
}

text_enum!(ProjectState {
    Creating => "creating",
    Ready => "ready",
    Deleting => "deleting",
});

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateProject {
    /// 1 to 64 characters, unique without regard to case.
    pub name: String,
}

/// The two first keys are shown here and never again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreatedProject {
    pub project: Project,
    pub publishable_key: String,
    pub secret_key: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateProject {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Each `scheme://host[:port]`, or the single entry `*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors_origins: Option<Vec<String>>,
}

/// A project with what it holds, as the dashboard shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectDetail {
    #[serde(flatten)]
    pub project: Project,
    /// Size of the database in bytes; null when it can't be asked.
    pub database_bytes: Option<i64>,
    /// Tables in schema `public`; null when it can't be asked.
    pub table_count: Option<i64>,
    /// Objects known in storage.
    pub object_count: i64,
    /// Their bytes.
    pub object_bytes: i64,
    /// API keys that work now.
    pub active_key_count: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeleteProject {
    /// The project's name, typed back.
    pub confirm: String,
    /// Make a backup first, and delete the project only once it is there.
    #[serde(default)]
    pub final_backup: bool,
}
