use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::text_enum::text_enum;

/// One change, or one attempt at it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditEntry {
    pub id: String,
    pub at: DateTime<Utc>,
    /// Who: an e-mail address, `dev-token`, `session`, `cli`, `system`.
    pub actor: String,
    /// What, for example `project.create`.
    pub action: String,
    pub project_id: Option<String>,
    /// On what, for example a key's id.
    pub target: Option<String>,
    /// From where.
    pub address: Option<String>,
    pub result: AuditResult,
    /// HTTP status answered.
    pub status: Option<i32>,
    pub request_id: Option<String>,
    /// More about it, never a secret.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub details: serde_json::Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum AuditResult {
    Success,
    /// Refused: not allowed or not valid.
    Denied,
    /// Tried and failed.
    Failed,
}

text_enum!(AuditResult {
    Success => "success",
    Denied => "denied",
    Failed => "failed",
});
