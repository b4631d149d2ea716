//! The permissions, settings and secrets of a plugin's runs.

use std::collections::{BTreeMap, BTreeSet};

use plugin_manifest::{Capability, Scope};

use crate::config::Secret;

/// Permissions, settings and secrets of a plugin's runs.
#[derive(Debug, Clone, Default)]
pub struct Grants {
    pub scopes: BTreeMap<Capability, Scope>,
    /// Settings that the plugin may read, by name.
    pub config: BTreeMap<String, String>,
    /// Decrypted secrets of the plugin, by name. The scope of `secrets` lists those that the plugin may use.
    pub secrets: BTreeMap<String, Secret>,
}

impl Grants {
    /// Returns the granted capabilities without their scopes.
    pub fn capabilities(&self) -> BTreeSet<Capability> {
        self.scopes.keys().copied().collect()
    }
}
