use std::{sync::Arc, time::Duration};

use api_types::{ApprovePlugin, Plugin, TrustedKey};
use sqlx::PgPool;
use tokio::sync::{Mutex, Notify, watch};

use super::{
    PluginError,
    approvals::{self, approvable},
    first_party::FirstParty,
    folder::{PluginFolder, proposed_keys},
    listing,
    registry::{ActivePlugin, Registry},
    runtime::Runtime,
    slots::{RejectedPlugin, Slots},
    trust::InspectedPlugin,
    trusted_keys,
};
use crate::secrets::Sealer;

/// How long an answer waits for what is being compiled.
const PATIENCE: Duration = Duration::from_secs(20);

/// Hears of plugins that were refused; must not block.
pub type OnRejected = Arc<dyn Fn(&RejectedPlugin) + Send + Sync>;

/// The plugins of this process: those in the binary and those in its folder. Cheap to clone.
#[derive(Clone)]
pub struct Plugins(pub(super) Arc<Inner>);

/// What [`Plugins`] are made of.
pub struct PluginsParts {
    pub platform: PgPool,
    pub sealer: Sealer,
    pub folder: PluginFolder,
    pub first_party: FirstParty,
    pub runtime: Arc<Runtime>,
    pub on_rejected: OnRejected,
}

pub(super) struct Inner {
    pub(super) parts: PluginsParts,
    pub(super) registry: Registry,
    /// Held while looking, so that one looks at a time; for minutes, where a plugin takes as long to compile.
    pub(super) looking: Mutex<()>,
    /// Held for moments, and for questions to the database.
    pub(super) slots: Mutex<Slots>,
    /// The folder changed.
    pub(super) folder_changed: Arc<Notify>,
    /// Keys, approvals or revocations changed.
    pub(super) trust_changed: Notify,
    /// True once everything was looked at for the first time.
    pub(super) ready: watch::Sender<bool>,
}

impl Plugins {
    /// Nothing is loaded until [`Plugins::refresh`] or [`Plugins::watch`].
    pub fn new(parts: PluginsParts) -> Self {
        Self(Arc::new(Inner {
            parts,
            registry: Registry::default(),
            looking: Mutex::default(),
            slots: Mutex::default(),
            folder_changed: Arc::default(),
            trust_changed: Notify::new(),
            ready: watch::Sender::new(false),
        }))
    }

    /// A plugin that may run; whoever holds it keeps this version.
    pub fn active(&self, name: &str) -> Option<Arc<ActivePlugin>> {
        self.0.registry.get(name)
    }

    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.0.parts.runtime
    }

    /// Waits until everything was looked at once.
    pub async fn ready(&self) {
        // The sender lives in what we hold.
        let _ = self.0.ready.subscribe().wait_for(|ready| *ready).await;
    }

    /// Why a plugin does not run, where it is known.
    pub async fn refusal(&self, name: &str) -> Option<String> {
        let slots = self.0.slots.lock().await;
        slots.by_name.get(name)?.refusal.as_ref().map(ToString::to_string)
    }

    /// Every plugin by name.
    pub async fn list(&self) -> Vec<Plugin> {
        // After a start there is nothing to tell yet.
        let _ = tokio::time::timeout(PATIENCE, self.ready()).await;
        let slots = self.0.slots.lock().await;
        let active = self.0.registry.all();
        let wire = slots.by_name.iter().map(|(name, slot)| listing::plugin(name, slot, &slots.trust, active.get(name)));
        wire.collect()
    }

    pub async fn get(&self, name: &str) -> Result<Plugin, PluginError> {
        let found = self.list().await.into_iter().find(|plugin| plugin.name == name);
        found.ok_or_else(|| unknown(name))
    }

    /// Approves the plugin as it lies there now, and loads it. Where compiling takes long, the answer says that it does.
    pub async fn approve(&self, name: &str, request: &ApprovePlugin, by: &str) -> Result<Plugin, PluginError> {
        self.look().await?;
        {
            let slots = self.0.slots.lock().await;
            let slot = slots.by_name.get(name).ok_or_else(|| unknown(name))?;
            approvable(name, slot.refusal.as_ref())?;
            let inspected = slot.inspected.as_ref().ok_or_else(|| unknown(name))?;
            let before = slots.trust.approvals.get(name);
            let Inner { parts, .. } = &*self.0;
            approvals::approve(&parts.platform, &parts.sealer, inspected, before, request, by).await?;
        }
        self.heed_trust().await?;
        self.look().await?;
        self.get(name).await
    }

    /// Stops a plugin and the file that is there, and ends its runs, here at once and elsewhere within a second.
    /// Whatever is being compiled meanwhile, the revocation is written first.
    pub async fn revoke(&self, name: &str) -> Result<Plugin, PluginError> {
        if !self.revoke_known(name).await? {
            // It may have been put there just now.
            self.look().await?;
            if !self.revoke_known(name).await? {
                return Err(unknown(name));
            }
        }
        self.heed_trust().await?;
        let slots = self.0.slots.lock().await;
        Ok(match slots.by_name.get(name) {
            Some(slot) => listing::plugin(name, slot, &slots.trust, None),
            None => listing::absent(name, &slots.trust),
        })
    }

    /// True where there was something to stop.
    async fn revoke_known(&self, name: &str) -> Result<bool, PluginError> {
        let slots = self.0.slots.lock().await;
        let slot = slots.by_name.get(name);
        let known = slot.is_some() || slots.trust.approvals.contains_key(name);
        let file = slot.and_then(|slot| slot.sighting.sha256);
        // The database may know of an approval that is news here.
        Ok(approvals::revoke(&self.0.parts.platform, name, file).await? || known)
    }

    /// Forgets what the owner decided about a plugin; one that is still there waits for approval again.
    pub async fn forget(&self, name: &str) -> Result<(), PluginError> {
        if !approvals::forget(&self.0.parts.platform, name).await? {
            return Err(unknown(name));
        }
        self.heed_trust().await?;
        self.look().await
    }

    /// Looks at everything, and goes on looking by itself where that takes longer than somebody waits for an answer.
    async fn look(&self) -> Result<(), PluginError> {
        let plugins = self.clone();
        let looking = tokio::spawn(async move { plugins.refresh().await });
        match tokio::time::timeout(PATIENCE, looking).await {
            Ok(Ok(looked)) => looked,
            // A panic is in the log; what is known is what there is.
            Ok(Err(_)) | Err(_) => Ok(()),
        }
    }

    pub async fn keys(&self) -> Result<Vec<TrustedKey>, PluginError> {
        let Inner { parts, .. } = &*self.0;
        let folder = parts.folder.clone();
        let proposed = tokio::task::spawn_blocking(move || proposed_keys(&folder)).await;
        let proposed = proposed.map_err(std::io::Error::other).and_then(|proposed| proposed).unwrap_or_else(|error| {
            tracing::warn!(%error, "the folder trusted-keys can't be read");
            Default::default()
        });
        trusted_keys::list(&parts.platform, &parts.first_party, proposed).await
    }

    pub async fn add_key(&self, name: &str, public_key: &str) -> Result<TrustedKey, PluginError> {
        let key = trusted_keys::add(&self.0.parts.platform, name, public_key).await?;
        self.heed_trust().await?;
        self.look().await?;
        Ok(key)
    }

    pub async fn revoke_key(&self, id: &str) -> Result<(), PluginError> {
        trusted_keys::revoke(&self.0.parts.platform, id).await?;
        self.heed_trust().await?;
        self.look().await
    }

    /// What is known of the plugin that is there, where its signature holds.
    pub async fn inspected(&self, name: &str) -> Option<Arc<InspectedPlugin>> {
        self.0.slots.lock().await.by_name.get(name)?.inspected.clone()
    }
}

fn unknown(name: &str) -> PluginError {
    PluginError::UnknownPlugin(name.chars().take(64).collect())
}
