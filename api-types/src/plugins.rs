use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::text_enum::text_enum;

/// Whether a plugin runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum PluginState {
    Active,
    /// Waits for the owner's approval.
    Pending,
    /// Can't run; `reason` says why.
    Rejected,
    /// Stopped by the owner.
    Revoked,
}

text_enum!(PluginState {
    Active => "active",
    Pending => "pending",
    Rejected => "rejected",
    Revoked => "revoked",
});

/// How far a power reaches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CapabilityScope {
    /// `platform`, `project:<id>`, `project:*`, `*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<String>,
    /// `backups`, `project:<id>`, `project:*`, `*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stores: Vec<String>,
    /// `host`, `*.suffix`, `*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
}

/// A power that a plugin asks for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RequestedCapability {
    pub capability: String,
    pub reason: String,
    pub scope: CapabilityScope,
}

/// A power that the owner granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GrantedCapability {
    pub capability: String,
    #[serde(default)]
    pub scope: CapabilityScope,
}

/// Limits of one run, unless noted.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PluginLimits {
    pub memory_mib: u32,
    pub wall_seconds: u32,
    pub cpu_seconds: u32,
    pub host_call_mib: u32,
    pub log_kib: u32,
    /// Runs at one time, on one scheduler.
    pub concurrent_runs: u32,
}

/// One job that a plugin can do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PluginJob {
    pub name: String,
    pub description: String,
    /// JSON Schema of the parameters.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub params_schema: serde_json::Value,
}

/// A plugin that the host knows.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Plugin {
    /// Of the file, where there is no readable manifest.
    pub name: String,
    pub version: Option<String>,
    pub serial: Option<u64>,
    pub publisher: Option<String>,
    pub description: Option<String>,
    /// Hexadecimal, of the file.
    pub sha256: String,
    /// Of the key that signed it.
    pub key_id: Option<String>,
    pub first_party: bool,
    pub state: PluginState,
    pub reason: Option<String>,
    /// Interfaces that the component imports.
    pub imports: Vec<String>,
    pub requested: Vec<RequestedCapability>,
    pub granted: Vec<GrantedCapability>,
    pub limits: Option<PluginLimits>,
    pub jobs: Vec<PluginJob>,
    /// Names of secrets that the owner gave it; values are write-only.
    pub secrets: Vec<String>,
    pub config: BTreeMap<String, String>,
    pub loaded_at: Option<DateTime<Utc>>,
}

/// An approval binds name, key and grants. What is left out is granted as requested.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovePlugin {
    /// Of the file that was looked at, hexadecimal: another one that took its place meanwhile is not approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted: Option<Vec<GrantedCapability>>,
    /// Values to store, sealed; null removes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<BTreeMap<String, Option<String>>>,
    /// Settings that the plugin may read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<BTreeMap<String, String>>,
}

/// A key whose signatures count.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TrustedKey {
    /// Minisign key id, 16 hexadecimal digits.
    pub id: String,
    pub name: String,
    /// One line of base64, as in a minisign `.pub` file.
    pub public_key: String,
    pub first_party: bool,
    pub created_at: DateTime<Utc>,
    pub revoked_at: Option<DateTime<Utc>>,
    /// Only proposed by a file in `trusted-keys/`; nothing signed by it runs yet.
    pub proposed: bool,
}

/// A key to trust.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AddTrustedKey {
    /// 1 to 120 characters.
    pub name: String,
    /// The base64 line, or the whole `.pub` file.
    pub public_key: String,
}
