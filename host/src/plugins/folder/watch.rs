use std::sync::Arc;

use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};
use tokio::sync::Notify;

use super::PluginFolder;

/// Wakes a waiter when something in the folder changes. Some file systems tell nothing: look now and then as well.
#[derive(Debug)]
pub struct FolderWatch {
    identity: Option<(u64, u64)>,
    _watcher: Option<RecommendedWatcher>,
}

impl FolderWatch {
    /// Watches the folder that there is now. Where it can't be watched, nothing is told.
    pub fn start(folder: &PluginFolder, changed: Arc<Notify>) -> Self {
        let identity = folder.identity();
        let watcher = identity.and_then(|_| match watch(folder, changed) {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                tracing::info!(%error, "the plugin folder can't be watched; it is looked at every few seconds");
                None
            }
        });
        Self { identity, _watcher: watcher }
    }

    /// Whether the folder was made, replaced or removed since, so that it has to be watched anew.
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

/// Reading is not a change: we read ourselves.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}
