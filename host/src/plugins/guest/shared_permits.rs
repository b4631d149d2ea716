//! Permits for limited resources that the runs of all plugins share.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::plugins::package::has_own_permits;

/// Permits for a limited resource that the runs of all plugins share, for example calls in progress or memory.
///
/// The plugins that do AtlasHub's own work ([`has_own_permits`]) have permits that no other plugin can take. Each other
/// plugin can take at most its share ([`share_of`]) of the common permits, so no plugin alone can starve the others
/// unless there is only one common permit.
#[derive(Debug)]
pub(in crate::plugins) struct SharedPermits {
    /// Permits for the plugins that do AtlasHub's own work.
    own: Arc<Semaphore>,
    common: Arc<Semaphore>,
    share: usize,
    /// The remaining share of each plugin with runs in progress.
    shares: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// The part of a [`SharedPermits`] that one plugin can use. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::plugins) struct PluginPermits {
    /// `None` for plugins that do AtlasHub's own work.
    share: Option<Arc<Semaphore>>,
    /// For plugins that do AtlasHub's own work, the permits that only they can take.
    common: Arc<Semaphore>,
}

/// A number of permits. Dropping it releases them.
#[derive(Debug)]
pub(in crate::plugins) struct Permits {
    share: Option<OwnedSemaphorePermit>,
    common: OwnedSemaphorePermit,
}

/// Returns the number of permits that one plugin can take of `total`: all but a quarter, which is rounded down but is
/// at least one permit. If `total` is 1, one plugin can take the only permit.
pub(in crate::plugins) fn share_of(total: usize) -> usize {
    (total - (total / 4).max(1).min(total)).max(1)
}

impl SharedPermits {
    /// Creates `total` common permits, and `own` permits for the plugins that do AtlasHub's own work.
    pub(in crate::plugins) fn new(total: usize, own: usize) -> Self {
        Self {
            own: Arc::new(Semaphore::new(own)),
            common: Arc::new(Semaphore::new(total)),
            share: share_of(total),
            shares: Mutex::default(),
        }
    }

    pub(in crate::plugins) fn of_plugin(&self, name: &str) -> PluginPermits {
        if has_own_permits(name) {
            return PluginPermits { share: None, common: Arc::clone(&self.own) };
        }
        let mut shares = self.shares.lock();
        let share = shares.get(name).and_then(Weak::upgrade).unwrap_or_else(|| {
            shares.retain(|_, share| share.strong_count() > 0);
            let share = Arc::new(Semaphore::new(self.share));
            shares.insert(name.to_owned(), Arc::downgrade(&share));
            share
        });
        PluginPermits { share: Some(share), common: Arc::clone(&self.common) }
    }
}

impl PluginPermits {
    /// Waits for a permit. Never returns `None`, because the semaphores are never closed.
    pub(in crate::plugins) async fn acquire(&self) -> Option<Permits> {
        // The share comes first, so that a plugin that waits for its share holds no permit that others could take.
        let share = match &self.share {
            Some(share) => Some(Arc::clone(share).acquire_owned().await.ok()?),
            None => None,
        };
        Some(Permits { share, common: Arc::clone(&self.common).acquire_owned().await.ok()? })
    }

    /// Takes `count` permits. Returns `None` if fewer are free.
    pub(in crate::plugins) fn try_acquire(&self, count: u32) -> Option<Permits> {
        let share = match &self.share {
            Some(share) => Some(Arc::clone(share).try_acquire_many_owned(count).ok()?),
            None => None,
        };
        Some(Permits { share, common: Arc::clone(&self.common).try_acquire_many_owned(count).ok()? })
    }
}

impl Permits {
    /// Adds permits of the same plugin.
    pub(in crate::plugins) fn merge(&mut self, other: Self) {
        if let (Some(share), Some(more)) = (&mut self.share, other.share) {
            share.merge(more);
        }
        self.common.merge(other.common);
    }

    /// Releases `count` of the permits.
    pub(in crate::plugins) fn release(&mut self, count: usize) {
        drop(self.share.as_mut().and_then(|share| share.split(count)));
        drop(self.common.split(count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn share_leaves_permits_for_other_plugins() {
        for (total, share) in [(1, 1), (2, 1), (3, 2), (4, 3), (16, 12), (64, 48)] {
            assert_eq!(share_of(total), share, "{total}");
        }
    }

    #[test]
    fn plugin_takes_neither_all_permits_nor_those_of_own_plugins() {
        let shared = SharedPermits::new(4, 2);
        let greedy = shared.of_plugin("greedy");
        let mut taken: Vec<Permits> = std::iter::from_fn(|| greedy.try_acquire(1)).collect();
        assert_eq!(taken.len(), 3);
        // All runs of a plugin use the same share.
        assert!(shared.of_plugin("greedy").try_acquire(1).is_none());
        assert!(shared.of_plugin("modest").try_acquire(2).is_none());
        let modest = shared.of_plugin("modest").try_acquire(1).unwrap();
        assert!(shared.of_plugin("third").try_acquire(1).is_none());
        assert!(shared.of_plugin("backup").try_acquire(2).is_some());
        drop(modest);
        taken.pop();
        assert!(shared.of_plugin("third").try_acquire(2).is_some());
    }

    #[test]
    fn permits_are_added_and_released() {
        let shared = SharedPermits::new(8, 0);
        let plugin = shared.of_plugin("a");
        let mut permits = plugin.try_acquire(2).unwrap();
        permits.merge(plugin.try_acquire(4).unwrap());
        assert!(plugin.try_acquire(1).is_none());
        permits.release(5);
        assert!(plugin.try_acquire(5).is_some());
        assert!(plugin.try_acquire(6).is_none());
    }
}
