//! Health, system information, migrations and admin sessions.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::text_enum::text_enum;

/// The response of `/healthz` and `/readyz`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Health {
    /// `ok` or `unavailable`.
    pub status: String,
    /// Results of the individual checks. Absent if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<HealthCheck>,
}

/// The result of a health check.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HealthCheck {
    /// What was checked: `postgres`, `storage` or `migrations`.
    pub name: String,
    /// Whether the check succeeded.
    pub ok: bool,
}

/// Information about the running server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SystemInfo {
    /// Version of AtlasHub.
    pub version: String,
    /// `development` or `production`.
    pub environment: String,
    /// `all`, `gateway` or `scheduler`.
    pub role: String,
    /// Whether AtlasHub runs its own Postgres and object store.
    pub embedded: bool,
    /// When the process started.
    pub started_at: DateTime<Utc>,
    /// Version of Postgres. Null if Postgres cannot be reached.
    pub postgres_version: Option<String>,
    /// Number of open connections to project databases.
    pub project_connections: u32,
    /// Maximum number of connections to project databases.
    pub project_connection_budget: u32,
    /// URL of the public surface.
    pub public_url: String,
    /// URL of the object store as clients reach it.
    pub storage_public_endpoint: String,
}

/// A migration of the platform database.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Migration {
    /// Version number. Migrations are applied in this order.
    pub version: i64,
    /// Name of the migration.
    pub name: String,
    /// State of the migration.
    pub state: MigrationState,
    /// When it was applied. Null if it has not been applied.
    pub applied_at: Option<DateTime<Utc>>,
}

/// The state of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum MigrationState {
    /// Not applied yet.
    Pending,
    /// Applied.
    Applied,
    /// Applied with a different text than this binary contains.
    Changed,
    /// Applied by a newer version; this binary does not contain it.
    Unknown,
}

text_enum!(MigrationState {
    Pending => "pending",
    Applied => "applied",
    Changed => "changed",
    Unknown => "unknown",
});

/// Credentials for an admin session. Exactly one field must be set.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateSession {
    /// One-time code that the server printed when it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The admin token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// The caller of the admin surface.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Session {
    /// An e-mail address, `dev-token` or `session`.
    pub actor: String,
    /// When the session expires. Null if it does not expire.
    pub expires_at: Option<DateTime<Utc>>,
}
