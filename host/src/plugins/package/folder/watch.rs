//! Watches the plugin folder for changes.

use std::sync::Arc;

use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};
use tokio::sync::Notify;

use super::PluginFolder;

/// Notifies a waiter when the folder changes. Some file systems report no changes, so callers must also list the folder
/// periodically.
#[derive(Debug)]
pub struct FolderWatch {
    identity: Option<(u64, u64)>,
    _watcher: Option<RecommendedWatcher>,
}

impl FolderWatch {
    /// Watches the folder that exists at the path now. If it can't be watched, no changes are reported.
    pub fn start(folder: &PluginFolder, changed: Arc<Notify>) -> Self {
        let identity = folder.identity();
        let watcher = identity.and_then(|_| match watch(folder, changed) {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                tracing::info!(%error, "the plugin folder can't be watched; it is listed every few seconds instead");
                None
            }
        });
        Self { identity, _watcher: watcher }
    }

    /// Returns whether the folder was created, replaced or removed since the watch started.
    pub fn is_outdated(&self, folder: &PluginFolder) -> bool {
        self.identity != folder.identity()
    }
}

fn watch(folder: &PluginFolder, changed: Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        if event.is_ok_and(|event| is_change(event.kind)) {
            changed.notify_one();
        }
    })?;
    watcher.watch(folder.path(), RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// Returns whether the event is a change. Reading a file is not one, because the loader itself reads the files.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}
