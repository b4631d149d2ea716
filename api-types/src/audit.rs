//! The audit log.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::text_enum::text_enum;

/// A recorded change or sign-in, or an attempt at one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditEntry {
    /// Id of the entry.
    pub id: String,
    /// When the change, sign-in or attempt was made.
    pub at: DateTime<Utc>,
    /// Who made the change: an e-mail address, the client id of an Access service token, `dev-token`, `session`, `cli`,
    /// `system`, or `unknown` for a failed sign-in. For actions of an app's users, the user's id or `anonymous`, and
    /// `email` in `details` is the user's e-mail address. All actions `auth.*` are actions of an app's users, except
    /// `auth.update` and `auth.rotate_key`, which are the owner's.
    pub actor: String,
    /// What was done, for example `project.create`.
    pub action: String,
    /// The project that was changed. Null for changes to the platform.
    pub project_id: Option<String>,
    /// Name of the project. Null for changes to the platform, and if the project no longer exists.
    pub project_name: Option<String>,
    /// The resource that was changed, for example the id of a key. Null if the action has no single target.
    pub target: Option<String>,
    /// IP address of the caller. Null for changes that were not requested over HTTP.
    pub address: Option<String>,
    /// Whether the change was made.
    pub result: AuditResult,
    /// HTTP status of the response. Null for changes that were not requested over HTTP, failed sign-ins of the owner,
    /// and requests without a response. Of the actions of an app's users, only refused ones can have a status.
    pub status: Option<i32>,
    /// Id of the HTTP request. Null for changes that were not requested over HTTP and for failed sign-ins of the owner.
    pub request_id: Option<String>,
    /// More about the change. Never contains secrets.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub details: serde_json::Value,
}

/// The result of an attempted change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum AuditResult {
    /// The change was made.
    Success,
    /// The change was rejected because it was not allowed or not valid.
    Denied,
    /// The change was attempted and failed, or its client disconnected before it ended. In the latter case, `details`
    /// contains `interrupted`, and something may have been changed.
    Failed,
    /// The outcome is not recorded: the server was stopped or lost its database during the change, or another node is
    /// still making the change.
    Unknown,
}

text_enum!(AuditResult {
    Success => "success",
    Denied => "denied",
    Failed => "failed",
    Unknown => "unknown",
});
