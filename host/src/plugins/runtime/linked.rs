use std::{
    collections::BTreeSet,
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
};

use lru::LruCache;
use plugin_manifest::Capability;

use super::{CompiledPlugin, bindings::PluginPre, state::RunState};
use crate::plugins::{Grants, LoadedPlugin, capabilities::link};

/// Components that are kept linked; a plugin needs one place, two while its grants change.
const KEPT: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// Components whose imports were resolved, by the file's hash and what was granted: what a run starts from.
pub(super) struct LinkedPlugins {
    kept: Mutex<LruCache<Key, PluginPre<RunState>>>,
}

type Key = ([u8; 32], BTreeSet<Capability>);

/// Why a plugin can't be linked.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("it imports {}, and the owner didn't grant that; approve the plugin with it, or install a version that does without", names(.0))]
    NotGranted(Vec<Capability>),
    #[error("its imports don't fit what this version of AtlasHub offers: {0}")]
    Mismatch(String),
}

impl LinkedPlugins {
    pub(super) fn new() -> Self {
        Self { kept: Mutex::new(LruCache::new(KEPT)) }
    }

    /// The plugin's component with nothing but its grants.
    pub(super) fn get(
        &self,
        engine: &wasmtime::Engine,
        plugin: &LoadedPlugin<CompiledPlugin>,
    ) -> Result<PluginPre<RunState>, LinkError> {
        let key = (plugin.sha256, plugin.grants.capabilities());
        if let Some(linked) = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(linked.clone());
        }
        let linked = link_plugin(engine, &plugin.code, &plugin.grants)?;
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).put(key, linked.clone());
        Ok(linked)
    }
}

fn link_plugin(
    engine: &wasmtime::Engine,
    code: &CompiledPlugin,
    grants: &Grants,
) -> Result<PluginPre<RunState>, LinkError> {
    let granted = grants.capabilities();
    let missing: Vec<Capability> = code.capabilities().difference(&granted).copied().collect();
    if !missing.is_empty() {
        return Err(LinkError::NotGranted(missing));
    }
    let mismatch = |error: wasmtime::Error| LinkError::Mismatch(format!("{error:#}"));
    let linker = link(engine, granted).map_err(mismatch)?;
    let instance = linker.instantiate_pre(&code.component).map_err(mismatch)?;
    PluginPre::new(instance).map_err(mismatch)
}

fn names(capabilities: &[Capability]) -> String {
    capabilities.iter().map(|capability| format!("`{capability}`")).collect::<Vec<_>>().join(", ")
}
