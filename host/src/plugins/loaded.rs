use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use plugin_manifest::{Capability, Manifest, Scope};

use crate::config::Secret;

/// What the owner granted one plugin.
#[derive(Debug, Clone, Default)]
pub struct Grants {
    pub scopes: BTreeMap<Capability, Scope>,
    /// Settings that the plugin may read.
    pub config: BTreeMap<String, String>,
    /// Opened values of the secrets that the owner gave it; the scope of `secrets` names those that it may use.
    pub secrets: BTreeMap<String, Secret>,
}

impl Grants {
    /// The powers alone, as the key under which linked components are kept.
    pub fn capabilities(&self) -> BTreeSet<Capability> {
        self.scopes.keys().copied().collect()
    }
}

/// A plugin that passed every check, with the code compiled from the very bytes that were checked.
#[derive(Debug, Clone)]
pub struct LoadedPlugin<Code> {
    pub manifest: Arc<Manifest>,
    /// Of the file.
    pub sha256: [u8; 32],
    /// Of the minisign key that signed it, 16 hexadecimal digits.
    pub key_id: String,
    /// Imports ∩ requested ∩ granted.
    pub grants: Arc<Grants>,
    pub code: Code,
}
