//! All plugins of this process, for the handlers and the runner. The command line uses `tooling` instead.

use std::{sync::Arc, time::Duration};

use api_types::{ApprovePlugin, Plugin, PluginFolderInfo, TrustedKey};

use super::{
    LoadedPlugin, PluginError, PluginsParts, listing,
    loading::{LoaderState, Slot, apply_trust_changes, refresh, watch},
    package::{Refusal, folder::read_proposed_keys},
    runtime::Runtime,
    trust::{
        TrustView,
        approvals::{self, ApprovalRequest, check_approvable},
        trusted_keys,
    },
    usage,
};

/// Maximum time that a request waits for a pass of the loader, which may be compiling a plugin.
const PASS_TIMEOUT: Duration = Duration::from_secs(20);
/// Maximum number of characters of an unknown name that an error message repeats.
const MAX_QUOTED_LENGTH: usize = 64;

/// The plugins of this process: the first-party plugins and those in its plugin folder. Cheap to clone.
#[derive(Clone)]
pub struct Plugins(Arc<LoaderState>);

impl Plugins {
    /// Creates the state of the plugins. Nothing is loaded until [`Plugins::refresh`] or [`Plugins::watch`] is called.
    pub fn new(parts: PluginsParts) -> Self {
        Self(Arc::new(LoaderState::new(parts)))
    }

    /// Returns a loaded plugin. The caller keeps this version, even if another one is loaded later.
    pub fn loaded(&self, name: &str) -> Option<Arc<LoadedPlugin>> {
        self.0.registry.get(name)
    }

    /// Returns a loaded plugin. Until the first pass of the loader has ended, waits for the plugin to be loaded, but
    /// not for other plugins that are being compiled.
    pub async fn loaded_after_start(&self, name: &str) -> Option<Arc<LoadedPlugin>> {
        loop {
            let changed = self.0.registry.changed();
            if let Some(plugin) = self.loaded(name) {
                return Some(plugin);
            }
            tokio::select! {
                () = self.ready() => return self.loaded(name),
                () = changed => {}
            }
        }
    }

    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.0.parts.runtime
    }

    /// Waits until a pass of the loader has succeeded for the first time.
    pub async fn ready(&self) {
        // Can't fail: `self` owns the sender.
        let _ = self.0.ready.subscribe().wait_for(|ready| *ready).await;
    }

    /// Compares the plugin folder and the trust data with the loaded plugins, and loads, replaces or unloads plugins
    /// where they differ.
    ///
    /// # Errors
    /// Returns an error if the platform database is unavailable.
    pub async fn refresh(&self) -> Result<(), PluginError> {
        refresh(&self.0).await
    }

    /// Keeps the loaded plugins up to date. Never returns.
    pub async fn watch(self) {
        watch(self.0).await;
    }

    /// Returns the reason why a plugin is not loaded, if known.
    pub async fn refusal(&self, name: &str) -> Option<String> {
        self.0.slots.lock().await.by_name.get(name)?.refusal().map(Refusal::text)
    }

    /// Lists the plugins in the binary and in the plugin folder by name. A plugin with only an approval is not in the
    /// list.
    pub async fn list(&self) -> Vec<Plugin> {
        // Right after a start, the list is not complete until the first pass has ended.
        let _ = tokio::time::timeout(PASS_TIMEOUT, self.ready()).await;
        let slots = self.0.slots.lock().await;
        let loaded = self.0.registry.all();
        let plugins = slots.by_name.iter();
        plugins.map(|(name, slot)| self.to_wire(slot, &slots.trust, loaded.get(name))).collect()
    }

    fn to_wire(&self, slot: &Slot, trust: &TrustView, loaded: Option<&Arc<LoadedPlugin>>) -> Plugin {
        let mut plugin = listing::to_wire(slot, trust, &self.0.parts.folder, loaded);
        let manifest = slot.inspection.plugin.as_ref().map(|plugin| &plugin.facts().manifest);
        plugin.effective_limits = manifest.map(|manifest| listing::limits(&self.runtime().limits(manifest)));
        plugin
    }

    /// Adds the jobs that use the plugins, and the numbers of the plugins' runs.
    ///
    /// # Errors
    /// Returns an error if the platform database is unavailable.
    pub async fn add_use(&self, plugins: &mut [Plugin]) -> Result<(), PluginError> {
        Ok(usage::add_use(&self.0.parts.platform, plugins).await?)
    }

    /// Returns the plugin folder, and the reason if it can't be read.
    pub async fn folder(&self) -> PluginFolderInfo {
        let folder = self.0.parts.folder.clone();
        let path = folder.path().display().to_string();
        let listing = tokio::task::spawn_blocking(move || folder.list().map(drop)).await;
        let problem = listing.map_err(std::io::Error::other).and_then(|listing| listing).err();
        PluginFolderInfo { path, problem: problem.map(|problem| format!("The folder can't be read: {problem}.")) }
    }

    /// Returns a plugin.
    ///
    /// # Errors
    /// Returns [`PluginError::UnknownPlugin`] if there is no such plugin.
    pub async fn get(&self, name: &str) -> Result<Plugin, PluginError> {
        self.list().await.into_iter().find(|plugin| plugin.name == name).ok_or_else(|| unknown(name))
    }

    /// Approves the plugin's current file and loads it. If compiling takes long, returns before the plugin is loaded.
    ///
    /// # Errors
    /// Returns an error if the plugin is unknown or can't be approved, if its file changed, if the request is invalid,
    /// if a secret can't be sealed, or if the platform database is unavailable.
    pub async fn approve(&self, name: &str, request: &ApprovePlugin, by: &str) -> Result<Plugin, PluginError> {
        self.refresh_with_timeout().await?;
        {
            let slots = self.0.slots.lock().await;
            let slot = slots.by_name.get(name).ok_or_else(|| unknown(name))?;
            check_approvable(name, slot.refusal())?;
            let plugin = slot.inspection.plugin.as_ref().ok_or_else(|| unknown(name))?;
            let previous = slots.trust.approvals.get(name);
            let approval = ApprovalRequest { plugin, previous, request, key: None, approved_by: by };
            approvals::approve(&self.0.parts.platform, &self.0.parts.sealer, approval).await?;
        }
        apply_trust_changes(&self.0).await?;
        self.refresh_with_timeout().await?;
        self.get(name).await
    }

    /// Revokes a plugin and its current file, and stops its runs: on this node immediately, on other nodes within about
    /// a second. Does not wait for a plugin that is being compiled, unless the plugin to revoke is not known yet.
    ///
    /// # Errors
    /// Returns an error if the plugin is unknown, if it has neither an approval nor a readable file, or if the platform
    /// database is unavailable.
    pub async fn revoke(&self, name: &str) -> Result<Plugin, PluginError> {
        if !self.revoke_known(name).await? {
            // The files may have been added just now.
            self.refresh_with_timeout().await?;
            if !self.revoke_known(name).await? {
                let slots = self.0.slots.lock().await;
                return Err(slots
                    .by_name
                    .get(name)
                    .map_or_else(|| unknown(name), |slot| nothing_to_revoke(name, slot)));
            }
        }
        apply_trust_changes(&self.0).await?;
        let slots = self.0.slots.lock().await;
        Ok(match slots.by_name.get(name) {
            Some(slot) => self.to_wire(slot, &slots.trust, None),
            None => listing::missing_to_wire(name, &slots.trust),
        })
    }

    /// Revokes a plugin and its current file. Returns whether the plugin has an approval or a readable file.
    async fn revoke_known(&self, name: &str) -> Result<bool, PluginError> {
        let slots = self.0.slots.lock().await;
        let file = slots.by_name.get(name).and_then(|slot| slot.inspection.sha256);
        let is_known = file.is_some() || slots.trust.approvals.contains_key(name);
        // The database may contain an approval that this node has not read yet.
        Ok(approvals::revoke(&self.0.parts.platform, name, file).await? || is_known)
    }

    /// Deletes a plugin's approval with its settings and secrets. A plugin whose files still exist needs approval
    /// again. A first-party plugin is approved by default again.
    ///
    /// # Errors
    /// Returns an error if the plugin has no approval, or if the platform database is unavailable.
    pub async fn forget(&self, name: &str) -> Result<(), PluginError> {
        if !approvals::forget(&self.0.parts.platform, name).await? {
            return Err(unknown(name));
        }
        apply_trust_changes(&self.0).await?;
        self.refresh_with_timeout().await
    }

    /// Lists trusted, revoked and proposed keys by id.
    ///
    /// # Errors
    /// Returns an error if the platform database is unavailable.
    pub async fn keys(&self) -> Result<Vec<TrustedKey>, PluginError> {
        let parts = &self.0.parts;
        let folder = parts.folder.clone();
        let proposed = tokio::task::spawn_blocking(move || read_proposed_keys(&folder)).await;
        let proposed = proposed.map_err(std::io::Error::other).and_then(|keys| keys).unwrap_or_else(|error| {
            tracing::warn!(%error, "the folder trusted-keys can't be read");
            Default::default()
        });
        trusted_keys::list(&parts.platform, &parts.first_party, proposed).await
    }

    /// Trusts a key, and loads the approved plugins that it signed.
    ///
    /// # Errors
    /// Returns an error if the name or the key is invalid, if the key is already trusted or was revoked, if another key
    /// with its id is known, or if the platform database is unavailable.
    pub async fn add_key(&self, name: &str, public_key: &str) -> Result<TrustedKey, PluginError> {
        let key = trusted_keys::add(&self.0.parts.platform, name, public_key).await?;
        apply_trust_changes(&self.0).await?;
        self.refresh_with_timeout().await?;
        Ok(key)
    }

    /// Revokes a key permanently and returns its name. Unloads the plugins that it signed.
    ///
    /// # Errors
    /// Returns [`PluginError::UnknownKey`] if there is no such key, [`PluginError::OwnKey`] if the key signs AtlasHub's
    /// own plugins and `confirm` is not its name, and [`PluginError::Database`] if the platform database is
    /// unavailable.
    pub async fn revoke_key(&self, id: &str, confirm: &str) -> Result<String, PluginError> {
        let name = trusted_keys::revoke(&self.0.parts.platform, id, |name| name == confirm).await?;
        apply_trust_changes(&self.0).await?;
        self.refresh_with_timeout().await?;
        Ok(name)
    }

    /// Runs a pass in a separate task and waits up to [`PASS_TIMEOUT`]. The task continues after the timeout.
    async fn refresh_with_timeout(&self) -> Result<(), PluginError> {
        let plugins = self.clone();
        let pass = tokio::spawn(async move { plugins.refresh().await });
        match tokio::time::timeout(PASS_TIMEOUT, pass).await {
            Ok(Ok(outcome)) => outcome,
            // The pass timed out or panicked. Callers continue with the loaded plugins.
            Ok(Err(_)) | Err(_) => Ok(()),
        }
    }
}

/// Returns the error for a plugin without an approval whose file can't be read.
pub(super) fn nothing_to_revoke(name: &str, slot: &Slot) -> PluginError {
    let reason = slot.refusal().map_or_else(|| "its file can't be read".to_owned(), Refusal::text);
    PluginError::NothingToRevoke { name: name.to_owned(), reason }
}

fn unknown(name: &str) -> PluginError {
    PluginError::UnknownPlugin(name.chars().take(MAX_QUOTED_LENGTH).collect())
}
