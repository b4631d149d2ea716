use std::collections::{BTreeMap, BTreeSet};

use super::{PluginKey, Powers};

/// What the platform database says about trust, at one moment.
#[derive(Debug, Clone, Default)]
pub struct TrustView {
    /// Grows with every change.
    pub version: i64,
    /// By id; revoked ones are not among them.
    pub keys: BTreeMap<String, PluginKey>,
    pub revoked_keys: BTreeSet<String>,
    pub revoked_files: BTreeSet<[u8; 32]>,
    /// By plugin.
    pub serials: BTreeMap<String, SeenSerial>,
    /// By plugin.
    pub approvals: BTreeMap<String, Approval>,
}

/// The newest version that ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenSerial {
    pub serial: u64,
    pub sha256: [u8; 32],
}

/// The owner's word on one plugin: binds name, key and grants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Approval {
    pub key_id: String,
    pub granted: Powers,
    /// What the plugin asked for when it was approved.
    pub requested: Powers,
    pub config: BTreeMap<String, String>,
    /// Sealed, by name.
    pub secrets: BTreeMap<String, Vec<u8>>,
    /// Made by the host for a plugin of its own, and untouched by the owner since.
    pub by_default: bool,
    pub revoked: bool,
}
