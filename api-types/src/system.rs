use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::text_enum::text_enum;

/// Answer of `/healthz` and `/readyz`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Health {
    /// `ok` or `unavailable`.
    pub status: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<HealthCheck>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HealthCheck {
    /// `postgres`, `storage`, `migrations`.
    pub name: String,
    pub ok: bool,
}

/// What runs here, for the dashboard's settings page.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SystemInfo {
    pub version: String,
    /// `development` or `production`.
    pub environment: String,
    /// `all`, `gateway` or `scheduler`.
    pub role: String,
    /// Postgres and storage are the platform's own.
    pub embedded: bool,
    pub started_at: DateTime<Utc>,
    pub postgres_version: Option<String>,
    /// Connections open to projects' databases, and the budget for them.
    pub project_connections: u32,
    pub project_connection_budget: u32,
    pub public_url: String,
    pub storage_public_endpoint: String,
}

/// A migration of the platform database.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Migration {
    pub version: i64,
    pub name: String,
    pub state: MigrationState,
    pub applied_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum MigrationState {
    Pending,
    Applied,
    /// Applied with another text than this binary carries.
    Changed,
    /// Applied by a newer version; this binary does not carry it.
    Unknown,
}

text_enum!(MigrationState {
    Pending => "pending",
    Applied => "applied",
    Changed => "changed",
    Unknown => "unknown",
});

/// Exactly one of the two.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateSession {
    /// One-time code from the start's output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The admin token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// Who is signed in to the admin surface.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Session {
    /// An e-mail address, or `dev-token` or `session`.
    pub actor: String,
    pub expires_at: Option<DateTime<Utc>>,
}
