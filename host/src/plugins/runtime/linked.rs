//! A cache of components that are linked with exactly the granted capabilities.

use std::{collections::BTreeSet, num::NonZeroUsize};

use lru::LruCache;
use parking_lot::Mutex;
use plugin_manifest::Capability;

use super::RunnablePlugin;
use crate::plugins::{
    capabilities,
    guest::{RunState, bindings::PluginPre},
};

/// Maximum number of cached components. A plugin needs one entry, or two while its grants change.
const MAX_LINKED: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// Cache of components with resolved imports. Runs are instantiated from them.
pub(super) struct LinkedPlugins {
    cache: Mutex<LruCache<Key, PluginPre<RunState>>>,
}

/// SHA-256 of the file, and the granted capabilities.
type Key = ([u8; 32], BTreeSet<Capability>);

/// The reason why a plugin can't be linked.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error(
        "it imports {}, which the owner did not grant; grant it, or install a version of the plugin without it",
        names(.0)
    )]
    NotGranted(Vec<Capability>),
    #[error("its imports don't match the interfaces of this AtlasHub version: {0}")]
    Mismatch(String),
}

impl LinkedPlugins {
    pub(super) fn new() -> Self {
        Self { cache: Mutex::new(LruCache::new(MAX_LINKED)) }
    }

    /// Returns the component linked with the plugin's grants.
    pub(super) fn get(
        &self,
        engine: &wasmtime::Engine,
        plugin: &RunnablePlugin,
    ) -> Result<PluginPre<RunState>, LinkError> {
        let key = (plugin.sha256, plugin.grants.capabilities());
        if let Some(linked) = self.cache.lock().get(&key) {
            return Ok(linked.clone());
        }
        let linked = link(engine, plugin)?;
        self.cache.lock().put(key, linked.clone());
        Ok(linked)
    }
}

fn link(engine: &wasmtime::Engine, plugin: &RunnablePlugin) -> Result<PluginPre<RunState>, LinkError> {
    let granted = plugin.grants.capabilities();
    let missing: Vec<Capability> = plugin.code.capabilities().difference(&granted).copied().collect();
    if !missing.is_empty() {
        return Err(LinkError::NotGranted(missing));
    }
    let mismatch = |error: wasmtime::Error| LinkError::Mismatch(format!("{error:#}"));
    let linker = capabilities::new_linker(engine, granted).map_err(mismatch)?;
    let instance = linker.instantiate_pre(plugin.code.component()).map_err(mismatch)?;
    PluginPre::new(instance).map_err(mismatch)
}

fn names(capabilities: &[Capability]) -> String {
    capabilities.iter().map(|capability| format!("`{capability}`")).collect::<Vec<_>>().join(", ")
}
