//! The manifest of a plugin: JSON in the custom section [`SECTION`] of its component.
//!
//! `atlashub plugin pack` and `cargo xtask plugin build` append the manifest, and the host reads it before it compiles
//! the component. Because the manifest is part of the file, the file's signature covers it.
//!
//! A manifest contains only claims and requests. The host checks whether the plugin is trusted, and the owner decides
//! what to grant.
//!
//! Reading order: this file (the types), `capability` ([`Capability`] and [`Scope`]), `check` (validates a manifest),
//! `text` (characters that the manifest's texts must not contain) and `section` (appends a manifest to a component).
#![warn(missing_docs)]

mod capability;
mod check;
mod section;
mod text;

use serde::{Deserialize, Serialize};

pub use capability::{Capability, Scope};
pub use check::ManifestError;
pub use section::{SECTION, append_section};
pub use text::{escape_deceptive, is_deceptive};

/// The manifest of a plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// Name of the plugin: 2 to 40 lowercase letters, digits and hyphens, starting with a letter. The plugin's file has
    /// the same name.
    pub name: String,
    /// Version, for example `1.4.0`. It is only displayed: the host compares serials.
    pub version: String,
    /// Increases with every release. The host does not load a serial that is lower than one that it has loaded before.
    pub serial: u64,
    /// Name of the publisher.
    pub publisher: String,
    /// Description of the plugin, in a sentence.
    pub description: String,
    /// The plugin's jobs, 1 to 50.
    pub jobs: Vec<JobSpec>,
    /// Capabilities that the plugin requests.
    #[serde(default)]
    pub capabilities: Vec<CapabilityRequest>,
    /// Limits that the plugin requests for its runs. The host's limits apply where they are lower.
    #[serde(default)]
    pub limits: Limits,
}

/// A job of a plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JobSpec {
    /// Name of the job, unique in the plugin. The rules for plugin names apply.
    pub name: String,
    /// Description of the job, in a sentence.
    pub description: String,
    /// JSON Schema (2020-12) of the parameters. Its type must be `object`.
    pub params_schema: serde_json::Value,
}

/// A capability that a plugin requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CapabilityRequest {
    /// The requested capability.
    pub capability: Capability,
    /// Reason for the request, shown to the owner who decides about the grant.
    pub reason: String,
    /// Requested scope. The owner may grant a narrower one.
    #[serde(default)]
    pub scope: Scope,
}

/// Limits of a plugin's runs. All but the last apply to each run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Limits {
    /// Linear memory, in MiB.
    pub memory_mib: u32,
    /// Duration of a run, in seconds. A job's own timeout may be lower.
    pub wall_seconds: u32,
    /// Processor time, in seconds. Waiting does not count.
    pub cpu_seconds: u32,
    /// Data passed between host and component in calls, in MiB. Streams that are only forwarded do not count.
    pub host_call_mib: u32,
    /// Size of the log, in KiB. Later lines are dropped, and the log says how many.
    pub log_kib: u32,
    /// Number of simultaneous runs of the plugin on one scheduler.
    pub concurrent_runs: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_mib: 64,
            wall_seconds: 3600,
            cpu_seconds: 60,
            host_call_mib: 16,
            log_kib: 4096,
            concurrent_runs: 4,
        }
    }
}
