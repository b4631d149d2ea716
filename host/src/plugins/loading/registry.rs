//! The loaded plugins, ready to run.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use tokio::sync::{Notify, futures::Notified};
use tokio_util::sync::CancellationToken;

use crate::{
    plugins::{
        guest::Grants,
        package::{ParamsSchemas, Refusal},
        runtime::{CompiledPlugin, RunnablePlugin},
        trust::{Approval, InspectedPlugin, TrustView, open_secrets},
    },
    secrets::Sealer,
};

/// A plugin that is ready to run.
#[derive(Debug)]
pub struct LoadedPlugin {
    pub runnable: RunnablePlugin,
    pub schemas: ParamsSchemas,
    /// Cancelled when the plugin is revoked, which stops its runs.
    pub revoked: CancellationToken,
    pub loaded_at: DateTime<Utc>,
    /// The approval that the plugin was loaded with.
    pub approval: Approval,
    pub inspected: Arc<InspectedPlugin>,
}

impl LoadedPlugin {
    /// Combines a compiled plugin with its grants.
    ///
    /// # Errors
    /// Returns the reason why the plugin may not run, or why its secrets can't be opened.
    pub(super) fn new(
        inspected: &Arc<InspectedPlugin>,
        code: CompiledPlugin,
        schemas: ParamsSchemas,
        trust: &TrustView,
        sealer: &Sealer,
    ) -> Result<Arc<Self>, Refusal> {
        let name = inspected.name();
        let scopes = inspected.effective_scopes(trust)?;
        let approval = trust.approvals.get(name).ok_or(Refusal::NotApproved)?;
        let secrets = open_secrets(sealer, name, approval)?;
        let grants = Grants { scopes, config: approval.config.clone(), secrets };
        Ok(Arc::new(Self {
            runnable: RunnablePlugin {
                manifest: Arc::new(inspected.facts().manifest.clone()),
                sha256: inspected.sha256(),
                grants: Arc::new(grants),
                code,
            },
            schemas,
            revoked: CancellationToken::new(),
            loaded_at: Utc::now(),
            approval: approval.clone(),
            inspected: Arc::clone(inspected),
        }))
    }
}

/// Loaded plugins by name.
pub(super) type LoadedPlugins = BTreeMap<String, Arc<LoadedPlugin>>;

/// The loaded plugins. A run looks up its plugin here once, and keeps that version until the run ends.
#[derive(Debug, Default)]
pub(in crate::plugins) struct Registry {
    loaded: ArcSwap<LoadedPlugins>,
    /// Replaced and unloaded plugins. Some may still have runs.
    retired: Mutex<Vec<Weak<LoadedPlugin>>>,
    changed: Notify,
}

impl Registry {
    pub(in crate::plugins) fn get(&self, name: &str) -> Option<Arc<LoadedPlugin>> {
        self.loaded.load().get(name).cloned()
    }

    pub(in crate::plugins) fn all(&self) -> Arc<LoadedPlugins> {
        self.loaded.load_full()
    }

    /// Returns a future that completes after the next change of the loaded plugins.
    pub(in crate::plugins) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Replaces the loaded plugins in one step, then stops the runs of revoked plugins. The caller holds the lock of
    /// the slots, so that updates don't overlap.
    pub(super) fn update(&self, trust: &TrustView, change: impl FnOnce(&mut LoadedPlugins)) {
        let mut plugins = (*self.all()).clone();
        change(&mut plugins);
        self.replace(plugins);
        self.stop_revoked(trust);
    }

    fn replace(&self, plugins: LoadedPlugins) {
        let plugins = Arc::new(plugins);
        let previous = self.loaded.swap(Arc::clone(&plugins));
        self.changed.notify_waiters();
        let replaced =
            previous.iter().filter(|(name, plugin)| !plugins.get(*name).is_some_and(|new| Arc::ptr_eq(new, plugin)));
        let mut retired = self.retired.lock();
        retired.retain(|plugin| plugin.strong_count() > 0);
        retired.extend(replaced.map(|(_, plugin)| Arc::downgrade(plugin)));
    }

    /// Stops the runs of revoked plugins, including those of versions replaced earlier.
    fn stop_revoked(&self, trust: &TrustView) {
        for plugin in self.retired.lock().iter().filter_map(Weak::upgrade) {
            if let Err(refusal) = plugin.inspected.check_not_revoked(trust)
                && !plugin.revoked.is_cancelled()
            {
                tracing::warn!(plugin = plugin.inspected.name(), reason = %refusal, "stopping the runs of a plugin");
                plugin.revoked.cancel();
            }
        }
    }
}
