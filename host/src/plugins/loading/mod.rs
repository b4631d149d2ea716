//! Loads plugins and keeps them up to date with the plugin folder and the trust store.
//!
//! In reading order: [`state`] (shared data and locks), [`candidate`] (a plugin that could be loaded), [`slots`] (each
//! plugin as the owner sees it), [`plan`] (selects the candidates to load and the plugins to unload), [`loader`] (one
//! pass), [`trust_changes`] (applies trust changes to loaded plugins), [`rejections`] (reports rejections to the
//! owner), [`registry`] (loaded plugins, ready to run), and [`watcher`] (starts the passes).
//!
//! A pass may take minutes while a file is compiled. Revocations don't wait for it: the lock of [`Slots`] is held only
//! briefly, and a compiled plugin is checked against the current trust data again before it is loaded.

mod candidate;
mod loader;
mod plan;
mod registry;
mod rejections;
mod slots;
mod state;
mod trust_changes;
mod watcher;

pub(super) use candidate::{inspect_candidate, list_candidates};
pub(super) use loader::{apply_trust_changes, refresh};
pub use registry::LoadedPlugin;
pub use slots::RejectedPlugin;
pub(super) use slots::{Slot, Slots};
pub(super) use state::LoaderState;
pub use state::{OnRejected, PluginsParts};
pub(super) use watcher::watch;
