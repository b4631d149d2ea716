//! Health, system information, migrations and admin sessions.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{text_enum::text_enum, utc_time};

/// The response of `/healthz` and `/readyz`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HealthCheck {
    /// What was checked: `postgres` or `storage`.
    pub name: String,
    /// Whether the check succeeded.
    pub ok: bool,
}

/// Information about the running server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// Version of Postgres. Null if Postgres can't be reached.
    pub postgres_version: Option<String>,
    /// Number of open connections of this process to project databases.
    pub project_connections: u32,
    /// Maximum number of connections of this process to project databases.
    pub project_connection_budget: u32,
    /// URL of the public API.
    pub public_url: String,
    /// URL of the object store as clients reach it.
    pub storage_public_endpoint: String,
    /// Whether Postgres can be reached.
    pub postgres: Reachability,
    /// Whether the object store can be reached.
    pub store: Reachability,
    /// Size of the platform database, in bytes. Null if it can't be read.
    pub platform_database_bytes: Option<i64>,
    /// The file system of the data folder. Empty if it can't be measured.
    pub disks: Vec<DiskSpace>,
    /// The processes of this installation that reported within the last day, newest first: at most 1000. A process that
    /// is stopped removes itself from the list; one that is killed does not.
    pub nodes: Vec<Node>,
    /// Folder with plugins.
    pub plugin_dir: String,
    /// Every configuration variable, without the values of secrets.
    pub configuration: Vec<ConfigurationVariable>,
}

/// Whether a service can be reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reachability {
    /// Whether the service can be reached.
    pub reachable: bool,
    /// Time that a request took, in milliseconds. Null if it failed.
    pub latency_ms: Option<f64>,
    /// Why the service can't be reached. Null if it can.
    pub problem: Option<String>,
}

/// Space of a file system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DiskSpace {
    /// What the file system stores. Always `data`: the folder `ATLASHUB_DATA_DIR`.
    pub purpose: String,
    /// The folder.
    pub path: String,
    /// Space that is free for this process, in bytes.
    pub free_bytes: i64,
    /// Size of the file system, in bytes.
    pub total_bytes: i64,
    /// Free space, in percent.
    pub free_percent: f64,
    /// Whether the free space is below `ATLASHUB_DISK_LOW_PERCENT`.
    pub low: bool,
}

/// A process of this installation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Node {
    /// Id of the process. A restarted process has another one.
    pub id: String,
    /// `all`, `gateway` or `scheduler`.
    pub role: String,
    /// Version of AtlasHub.
    pub version: String,
    /// When the process started.
    pub started_at: DateTime<Utc>,
    /// When the process last reported.
    pub last_seen_at: DateTime<Utc>,
    /// Whether the process reported within the last 30 seconds.
    pub alive: bool,
    /// Whether this process sent the response.
    pub current: bool,
}

/// A configuration variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConfigurationVariable {
    /// Name of the variable.
    pub name: String,
    /// The value in force. Null for secrets, and if the variable is not set and has no default.
    pub value: Option<String>,
    /// The default: a value, or a formula in `<…>`. Null if there is none.
    pub default: Option<String>,
    /// Whether the value is a secret.
    pub secret: bool,
    /// Whether the variable is set.
    pub set: bool,
    /// Where the value comes from.
    pub source: ConfigurationSource,
    /// What the variable means.
    pub meaning: String,
}

/// The source of the value of a configuration variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ConfigurationSource {
    /// The variable is not set.
    Default,
    /// The environment of the process.
    Environment,
    /// The file `.env` in the working folder, or else in the nearest folder above it.
    Dotenv,
    /// The file that the variable with the suffix `_FILE` names.
    File,
}

text_enum!(ConfigurationSource {
    Default => "default",
    Environment => "environment",
    Dotenv => "dotenv",
    File => "file",
});

/// A migration of the platform database.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Migration {
    /// Version number. Migrations are applied in this order.
    pub version: i64,
    /// Name of the migration.
    pub name: String,
    /// State of the migration.
    pub state: MigrationState,
    /// When the migration was applied. Null if it has not been applied.
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
    /// Applied, but with other SQL than this binary contains.
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
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateSession {
    /// One-time code that the server printed when it started. It is valid for an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The admin token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// The caller of the admin API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Session {
    /// An e-mail address, the client id of an Access service token, `dev-token`, or `session`.
    pub actor: String,
    /// When the session expires. Null if it does not expire.
    #[serde(deserialize_with = "utc_time::deserialize_option")]
    pub expires_at: Option<DateTime<Utc>>,
    /// How the caller is authenticated.
    pub method: SignInMethod,
    /// Where browsers sign out, for example `/cdn-cgi/access/logout`. Null if `DELETE /admin/v1/session` signs out.
    pub sign_out_url: Option<String>,
    /// Id of the session in `GET /admin/v1/sessions`. Null if the caller has none.
    pub id: Option<String>,
}

/// The method by which a caller of the admin API is authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum SignInMethod {
    /// Cloudflare Access.
    Access,
    /// The header with the admin token.
    DevToken,
    /// The cookie of a session.
    Session,
}

text_enum!(SignInMethod {
    Access => "access",
    DevToken => "devToken",
    Session => "session",
});

/// The way in which the owner signs in. It is in `details.signIn` of a 401 response of the admin API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum SignInWay {
    /// Through Cloudflare Access, in front of the server.
    Access,
    /// With the admin token or a one-time code.
    Token,
}

text_enum!(SignInWay {
    Access => "access",
    Token => "token",
});

/// A session of a browser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AdminSession {
    /// Id of the session.
    pub id: String,
    /// Whether it is the caller's session.
    pub current: bool,
    /// When the owner signed in.
    pub created_at: DateTime<Utc>,
    /// When the session was last used, accurate to a minute. Null for sessions of older versions.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When the session expires. Use of the session postpones this time, at most once a day.
    pub expires_at: DateTime<Utc>,
    /// IP address that signed in. Null for sessions of older versions.
    pub address: Option<String>,
    /// The browser that signed in: the header `User-Agent`. Null if there was none.
    pub user_agent: Option<String>,
}

/// The result of ending sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EndedSessions {
    /// Number of sessions that were ended.
    pub ended: i64,
}
