//! The manifest of a plugin: JSON in the custom section [`SECTION`] of its component.
//!
//! `cargo xtask plugin build` writes the manifest, and the host reads it before it compiles the component. Because the
//! manifest is part of the file, the file's signature covers it.
//!
//! A manifest contains claims and requests. The host checks whether the plugin is trusted, and the owner decides what
//! to grant.
//!
//! Reading order: this file has the types, [`Capability`] and [`Scope`] are in `capability`, `check` validates a
//! manifest, `text` finds characters that its texts must not contain, `section` appends it to a component.
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

/// A plugin's description of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// Name of the plugin: 2 to 40 lowercase letters, digits and hyphens, starting with a letter. The plugin's file has
    /// the same name.
    pub name: String,
    /// Version for people, for example `1.4.0`.
    pub version: String,
    /// Increases with every release. The host never loads a lower serial than it has seen.
    pub serial: u64,
    /// Who publishes the plugin.
    pub publisher: String,
    /// What the plugin does, in a sentence.
    pub description: String,
    /// The plugin's jobs, 1 to 50.
    pub jobs: Vec<JobSpec>,
    /// Capabilities that the plugin requests.
    #[serde(default)]
    pub capabilities: Vec<CapabilityRequest>,
    /// Limits that the plugin requests for one run. The host's limits apply where they are lower.
    #[serde(default)]
    pub limits: Limits,
}

/// A job of a plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JobSpec {
    /// Name of the job, unique in the plugin. The rules are those of the plugin's name.
    pub name: String,
    /// What the job does, in a sentence.
    pub description: String,
    /// JSON Schema (2020-12) of the parameters, which are an object.
    pub params_schema: serde_json::Value,
}

/// A capability that a plugin requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CapabilityRequest {
    /// The requested capability.
    pub capability: Capability,
    /// Why the plugin needs it. Shown to the owner, who decides about the grant.
    pub reason: String,
    /// What the plugin wants to access. The owner may grant less.
    #[serde(default)]
    pub scope: Scope,
}

/// Limits of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Limits {
    /// Linear memory, in MiB.
    pub memory_mib: u32,
    /// Time from start to end, in seconds. A job's own timeout may be lower.
    pub wall_seconds: u32,
    /// Processor time spent in the component, in seconds. Waiting does not count.
    pub cpu_seconds: u32,
    /// Data passed between host and component in calls, in MiB. Streams that are only forwarded do not count.
    pub host_call_mib: u32,
    /// Size of the log, in KiB. Further lines are dropped.
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
