//! The trust data that the checks of plugins use.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::CapabilityScopes;
use crate::plugins::package::PluginKey;

/// Snapshot of the trust data in the platform database.
#[derive(Debug, Clone, Default)]
pub struct TrustView {
    /// Increases with every change.
    pub version: i64,
    /// Trusted keys by id, without the revoked ones.
    pub keys: BTreeMap<String, PluginKey>,
    pub revoked_keys: BTreeSet<String>,
    /// Names of trusted and revoked keys, by id.
    pub key_names: BTreeMap<String, String>,
    /// SHA-256 hashes of revoked files.
    pub revoked_files: BTreeSet<[u8; 32]>,
    /// Newest versions, by plugin name.
    pub serials: BTreeMap<String, LatestSerial>,
    /// Approvals, by plugin name.
    pub approvals: BTreeMap<String, Approval>,
}

/// The newest version of a plugin that any node loaded from its plugin folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LatestSerial {
    pub serial: u64,
    pub sha256: [u8; 32],
}

/// The decision on one plugin, by the owner or, for a first-party plugin, by the host. It contains the grants, and
/// applies to plugins of one name that are signed with one key. The key does not matter for a first-party plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Approval {
    pub key_id: String,
    pub granted: CapabilityScopes,
    /// The plugin's request at the time of the approval.
    pub requested: CapabilityScopes,
    pub config: BTreeMap<String, String>,
    /// Sealed secrets by name.
    pub secrets: BTreeMap<String, Vec<u8>>,
    /// Whether the host created the approval for a first-party plugin, and the owner has not changed it since.
    pub by_default: bool,
    pub revoked: bool,
    /// The approver, as in the column `approved_by`.
    pub approved_by: String,
    pub approved_at: DateTime<Utc>,
    pub revoked_at: Option<DateTime<Utc>>,
}
