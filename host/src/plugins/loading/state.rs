//! The state of the loader.

use std::sync::Arc;

use sqlx::PgPool;
use tokio::sync::{Mutex, Notify, watch};

use super::{RejectedPlugin, Slots, registry::Registry};
use crate::{
    plugins::{
        package::{FirstParty, folder::PluginFolder},
        runtime::Runtime,
    },
    secrets::Sealer,
};

/// Called for each rejected plugin. Must not block.
pub type OnRejected = Arc<dyn Fn(&RejectedPlugin) + Send + Sync>;

/// Dependencies of the loader.
pub struct PluginsParts {
    pub platform: PgPool,
    pub sealer: Sealer,
    pub folder: PluginFolder,
    pub first_party: FirstParty,
    pub runtime: Arc<Runtime>,
    pub on_rejected: OnRejected,
}

/// State of the loader.
pub(in crate::plugins) struct LoaderState {
    pub parts: PluginsParts,
    pub registry: Registry,
    /// Held during a pass, so that passes don't overlap. May be held for minutes while a plugin is compiled.
    pub pass: Mutex<()>,
    /// The lock is held only briefly, at most during database queries.
    pub slots: Mutex<Slots>,
    /// Notified when the plugin folder changes.
    pub folder_changed: Arc<Notify>,
    /// Notified when keys, approvals or revocations change.
    pub trust_changed: Notify,
    /// Notified when files that may be an incomplete copy are found.
    pub incomplete: Notify,
    /// True after the first pass that succeeded.
    pub ready: watch::Sender<bool>,
}

impl LoaderState {
    pub(in crate::plugins) fn new(parts: PluginsParts) -> Self {
        Self {
            parts,
            registry: Registry::default(),
            pass: Mutex::default(),
            slots: Mutex::default(),
            folder_changed: Arc::default(),
            trust_changed: Notify::new(),
            incomplete: Notify::new(),
            ready: watch::Sender::new(false),
        }
    }
}
