//! A plugin's manifest: JSON in the custom section [`SECTION`] of the component, so that one signature over the file
//! covers it. Written by `cargo xtask plugin build`, read by the host before anything is compiled.
//!
//! Deliberately absent: trust. A manifest is what a plugin claims and asks for; what it may do is the owner's grant.

mod capability;
mod check;
mod section;

use serde::{Deserialize, Serialize};

pub use capability::{Capability, Scope};
pub use check::ManifestError;
pub use section::{SECTION, append_section};

/// What a plugin says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// 2 to 40 lowercase letters, digits and hyphens, beginning with a letter; also the plugin's file name.
    pub name: String,
    /// For people, for example `1.4.0`.
    pub version: String,
    /// Grows with every release; the host never goes back to a lower one.
    pub serial: u64,
    pub publisher: String,
    pub description: String,
    pub jobs: Vec<JobSpec>,
    /// What it asks for beside what is free.
    #[serde(default)]
    pub capabilities: Vec<CapabilityRequest>,
    /// What one run needs; the owner's and the host's own limits may be lower.
    #[serde(default)]
    pub limits: Limits,
}

/// One job that a plugin can do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JobSpec {
    /// Unique in the plugin; same form as the plugin's name.
    pub name: String,
    pub description: String,
    /// JSON Schema (2020-12) of the parameters, an object.
    pub params_schema: serde_json::Value,
}

/// One power that a plugin asks for, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CapabilityRequest {
    pub capability: Capability,
    /// Shown to the owner, who decides by it.
    pub reason: String,
    /// What it would like to reach; the owner may grant less.
    #[serde(default)]
    pub scope: Scope,
}

/// Of one run, unless noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Limits {
    /// Linear memory, in MiB.
    pub memory_mib: u32,
    /// From start to end, in seconds; a job's own timeout may be lower.
    pub wall_seconds: u32,
    /// Processor time in the guest, in seconds.
    pub cpu_seconds: u32,
    /// Bytes that pass between host and guest in calls, in MiB; streams that are only forwarded don't count.
    pub host_call_mib: u32,
    /// Log lines, in KiB.
    pub log_kib: u32,
    /// Runs of the plugin at one time, on one scheduler.
    pub concurrent_runs: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_mib: 64,
            wall_seconds: 3600,
            cpu_seconds: 60,
            host_call_mib: 64,
            log_kib: 4096,
            concurrent_runs: 4,
        }
    }
}
