//! Plugins, their approvals and the keys that sign them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{projects::RunCount, text_enum::text_enum};

/// The state of a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum PluginState {
    /// Loaded and ready to run.
    Active,
    /// Waiting for the owner's approval, or approved and being compiled (`compiling`).
    Pending,
    /// Cannot run; `reason` says why.
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

/// The resources that a capability may access. An empty list allows nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CapabilityScope {
    /// Databases: `platform`, `project:<id>`, `project:*` or `*`. For the capability `state`, its stores.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<String>,
    /// Object stores: `backups`, `exports`, `imports`, `project:<id>`, `project:*` or `*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stores: Vec<String>,
    /// Hosts: `host`, `*.suffix` or `*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Names of the plugin's secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
}

/// A capability that a plugin requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RequestedCapability {
    /// Name of the capability.
    pub capability: String,
    /// Why the plugin needs it.
    pub reason: String,
    /// The requested databases, stores, hosts and secrets.
    pub scope: CapabilityScope,
}

/// A capability that the owner granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GrantedCapability {
    /// Name of the capability.
    pub capability: String,
    /// What the plugin may access.
    #[serde(default)]
    pub scope: CapabilityScope,
}

/// Limits on a plugin's runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PluginLimits {
    /// Maximum linear memory of one run, in MiB.
    pub memory_mib: u32,
    /// Maximum time of one run from start to end, in seconds.
    pub wall_seconds: u32,
    /// Maximum processor time of one run, in seconds.
    pub cpu_seconds: u32,
    /// Maximum amount of data that one run passes in calls between host and plugin, in MiB.
    pub host_call_mib: u32,
    /// Maximum size of one run's log, in KiB.
    pub log_kib: u32,
    /// Maximum number of simultaneous runs on one scheduler.
    pub concurrent_runs: u32,
}

/// A job of a plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PluginJob {
    /// Name of the job.
    pub name: String,
    /// What the job does.
    pub description: String,
    /// JSON Schema of the parameters.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub params_schema: serde_json::Value,
}

/// A plugin that is in the binary or in the plugin folder, or that has an approval although its files are gone. A
/// manifest is read only if the file's signature is valid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Plugin {
    /// Name of the plugin. If the manifest can't be read, the name of the file.
    pub name: String,
    /// Version, for display. Null if the manifest can't be read.
    pub version: Option<String>,
    /// Number that increases with every release. Null if the manifest can't be read.
    pub serial: Option<u64>,
    /// Who publishes the plugin. Null if the manifest can't be read.
    pub publisher: Option<String>,
    /// What the plugin does. Null if the manifest can't be read.
    pub description: Option<String>,
    /// SHA-256 of the file, as 64 hexadecimal digits. Empty if the file is missing or can't be read.
    pub sha256: String,
    /// Id of the key that the signature names, even if the signature is not valid. Null if there is no signature that
    /// can be read.
    pub key_id: Option<String>,
    /// Name of that key. Null if the key is unknown.
    pub key_name: Option<String>,
    /// Path of the plugin's file. Null if the plugin is part of AtlasHub's binary, or if its file is missing.
    pub file: Option<String>,
    /// Whether the plugin is part of AtlasHub's binary.
    pub first_party: bool,
    /// State of the plugin.
    pub state: PluginState,
    /// Why the plugin is not active. Null if it is active.
    pub reason: Option<String>,
    /// Whether the owner can approve the plugin's current file, or change its grants. False if an approval can't let it
    /// run, for example because its key was revoked or its files are missing.
    pub approvable: bool,
    /// Whether the plugin is approved and is being compiled. Meanwhile, its state is `pending`. It is loaded when the
    /// compilation succeeds.
    pub compiling: bool,
    /// Interfaces that the component imports.
    pub imports: Vec<String>,
    /// Capabilities that the plugin requests.
    pub requested: Vec<RequestedCapability>,
    /// Capabilities that the owner granted.
    pub granted: Vec<GrantedCapability>,
    /// The owner's approval. Null if there is none.
    pub approval: Option<PluginApproval>,
    /// Limits that the plugin requests for its runs. Null if the manifest can't be read.
    pub limits: Option<PluginLimits>,
    /// Limits in force: for each, the lower of the request and the host's limit. Null if the manifest can't be read.
    pub effective_limits: Option<PluginLimits>,
    /// Jobs of the plugin.
    pub jobs: Vec<PluginJob>,
    /// Names of the secrets that the owner stored for the plugin. The values are write-only.
    pub secrets: Vec<String>,
    /// Settings that the owner stored for the plugin.
    pub config: BTreeMap<String, String>,
    /// When the plugin was loaded. Null if it is not loaded.
    pub loaded_at: Option<DateTime<Utc>>,
    /// Jobs that use the plugin, by name: at most 200.
    pub used_by: Vec<PluginUse>,
    /// Number of all jobs that use the plugin.
    pub used_by_count: i64,
    /// The plugin's runs of the last 24 hours.
    #[serde(rename = "runs24h")]
    pub runs_24h: RunCount,
    /// Number of the plugin's runs that are in progress. Revoking the plugin ends them.
    pub active_run_count: i64,
}

/// The owner's approval of a plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PluginApproval {
    /// When the plugin was approved.
    pub approved_at: DateTime<Utc>,
    /// Who approved the plugin: `owner`, `cli`, or `system` for a plugin that comes with AtlasHub.
    pub approved_by: String,
    /// Id of the key that signed the approved file.
    pub key_id: String,
    /// Capabilities that the owner granted.
    pub granted: Vec<GrantedCapability>,
    /// Capabilities that the plugin requested at that time, without their reasons. Any others in the plugin's own
    /// `requested` are new.
    pub requested: Vec<GrantedCapability>,
    /// When the approval was revoked. Null if it was not.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// A job that uses a plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PluginUse {
    /// Id of the job.
    pub job_id: String,
    /// Name of the job.
    pub job_name: String,
    /// The plugin's job that this job runs.
    pub plugin_job: String,
    /// The project that the job belongs to. Null for jobs of the platform.
    pub project_id: Option<String>,
    /// Name of the project. Null for jobs of the platform.
    pub project_name: Option<String>,
    /// Whether the job runs on its schedule.
    pub enabled: bool,
}

/// One page of the list of plugins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PluginPage {
    /// Plugins of the page.
    pub items: Vec<Plugin>,
    /// Cursor of the next page. Null on the last page.
    pub next_cursor: Option<String>,
    /// The plugin folder of the process that sent the response.
    pub folder: PluginFolderInfo,
}

/// The folder with plugins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PluginFolderInfo {
    /// Path of the folder.
    pub path: String,
    /// Why the folder can't be read. Null if it can.
    pub problem: Option<String>,
}

/// An approval of a plugin. It is bound to the plugin's name, its key and the capabilities that it requests.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovePlugin {
    /// SHA-256 of the file to approve, hexadecimal. The approval fails if the file has been replaced since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Capabilities to grant. Without this field, the grants of an approval that covers the plugin stay. If there is no
    /// such approval, or it was revoked, or it was for another key or other requests, all requested capabilities are
    /// granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted: Option<Vec<GrantedCapability>>,
    /// Secrets to store, encrypted, by name. Null as a value removes the secret; secrets that are absent stay. A plugin
    /// can have up to 64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<BTreeMap<String, Option<String>>>,
    /// Settings that the plugin may read. Replaces all settings; without this field, they stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<BTreeMap<String, String>>,
}

/// A public key for plugin signatures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TrustedKey {
    /// Minisign key id, 16 hexadecimal digits.
    pub id: String,
    /// Name of the key.
    pub name: String,
    /// The public key as one line of base64, as in a minisign `.pub` file.
    pub public_key: String,
    /// Whether the key is part of AtlasHub's binary.
    pub first_party: bool,
    /// When the key was added.
    pub created_at: DateTime<Utc>,
    /// When the key was revoked. Null if it is not revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// Whether the key is only proposed by a file in `trusted-keys/`. Plugins signed by a proposed key do not run.
    pub proposed: bool,
}

/// A request to revoke a key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RevokeTrustedKey {
    /// The name of the key, as a confirmation. Only needed for the key of AtlasHub's own plugins.
    #[serde(default)]
    pub confirm: String,
}

/// A public key to trust.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AddTrustedKey {
    /// Name of the key, 1 to 120 characters.
    pub name: String,
    /// The public key as one line of base64, or the whole `.pub` file.
    pub public_key: String,
}
