use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use super::{
    LoadedPlugin,
    params::ParamsSchemas,
    runtime::CompiledPlugin,
    trust::{Approval, InspectedPlugin, TrustView},
};

/// A plugin that runs when asked.
#[derive(Debug)]
pub struct ActivePlugin {
    pub plugin: LoadedPlugin<CompiledPlugin>,
    pub schemas: ParamsSchemas,
    /// Ends its runs when it is revoked.
    pub revoked: CancellationToken,
    pub loaded_at: DateTime<Utc>,
    /// The owner's word that it was loaded by.
    pub(super) approval: Approval,
    /// What trust goes by.
    pub inspected: Arc<InspectedPlugin>,
}

pub(super) type ActivePlugins = BTreeMap<String, Arc<ActivePlugin>>;

/// Plugins by name. A run takes its plugin out once and keeps it to the end, whatever takes its place meanwhile.
#[derive(Debug, Default)]
pub(super) struct Registry {
    active: ArcSwap<ActivePlugins>,
    /// No longer for new runs; some may still be under way.
    retired: Mutex<Vec<Weak<ActivePlugin>>>,
}

impl Registry {
    pub(super) fn get(&self, name: &str) -> Option<Arc<ActivePlugin>> {
        self.active.load().get(name).cloned()
    }

    pub(super) fn all(&self) -> Arc<ActivePlugins> {
        self.active.load_full()
    }

    /// Puts others in place of what there is, in one step.
    pub(super) fn replace(&self, plugins: ActivePlugins) {
        let before = self.active.swap(Arc::new(plugins));
        let now = self.active.load();
        let replaced =
            before.iter().filter(|(name, plugin)| !now.get(*name).is_some_and(|now| Arc::ptr_eq(now, plugin)));
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        retired.retain(|plugin| plugin.strong_count() > 0);
        retired.extend(replaced.map(|(_, plugin)| Arc::downgrade(plugin)));
    }

    /// Ends the runs of what was revoked, also of versions that were replaced before.
    pub(super) fn end_revoked(&self, trust: &TrustView) {
        let retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        for plugin in retired.iter().filter_map(Weak::upgrade) {
            if let Err(refusal) = plugin.inspected.check_not_revoked(trust)
                && !plugin.revoked.is_cancelled()
            {
                tracing::warn!(plugin = plugin.plugin.manifest.name, reason = %refusal, "runs of a plugin are ended");
                plugin.revoked.cancel();
            }
        }
    }
}
