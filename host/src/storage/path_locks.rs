//! Locks of paths within this process.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

use super::path::ObjectPath;

/// A project's id, and an object key.
type Key = (String, String);
type Locks = HashMap<Key, Arc<tokio::sync::Mutex<()>>>;

/// Locks of paths. While one request moves an object to or from a path, other requests for the path wait instead of
/// copying the object too. Contains the paths that a request has locked or waits for. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct PathLocks(Arc<Mutex<Locks>>);

/// A locked path. Dropping it ends the lock.
pub(super) struct PathLock {
    locks: PathLocks,
    key: Key,
    /// `None` while another request holds the lock.
    held: Option<OwnedMutexGuard<()>>,
}

impl PathLocks {
    /// Waits until no other request of this process has locked the path.
    pub(super) async fn lock(&self, project_id: &str, path: &ObjectPath) -> PathLock {
        let key = (project_id.to_owned(), path.key().to_owned());
        // Created before the wait, so that the entry is also removed if the caller is cancelled.
        let mut lock = PathLock { locks: self.clone(), key, held: None };
        let mutex = Arc::clone(self.0.lock().entry(lock.key.clone()).or_default());
        lock.held = Some(mutex.lock_owned().await);
        lock
    }
}

impl Drop for PathLock {
    fn drop(&mut self) {
        let mut locks = self.locks.0.lock();
        drop(self.held.take());
        // Every request that holds the lock or waits for it has a reference.
        if locks.get(&self.key).is_some_and(|mutex| Arc::strong_count(mutex) == 1) {
            locks.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::{super::path::BucketName, *};

    fn path(path: &str) -> ObjectPath {
        ObjectPath::new(&BucketName::parse("uploads").unwrap(), path).unwrap()
    }

    // Without a runtime, because tokio lets a task take only 128 locks before it must yield.
    #[test]
    fn only_requests_for_the_same_path_wait() {
        let locks = PathLocks::default();
        let held = locks.lock("a", &path("x")).now_or_never().unwrap();
        let others: Vec<_> = (0..1000).filter_map(|n| locks.lock("a", &path(&n.to_string())).now_or_never()).collect();
        assert_eq!(others.len(), 1000);
        assert!(locks.lock("b", &path("x")).now_or_never().is_some());
        assert!(locks.lock("a", &path("x")).now_or_never().is_none());
        drop(held);
        assert!(locks.lock("a", &path("x")).now_or_never().is_some());
    }

    #[tokio::test]
    async fn path_is_forgotten_when_nobody_holds_it_or_waits_for_it() {
        let locks = PathLocks::default();
        let held = locks.lock("a", &path("x")).await;
        let waiting = locks.clone();
        let waiter = tokio::spawn(async move { waiting.lock("a", &path("x")).await });
        assert!(locks.lock("a", &path("x")).now_or_never().is_none());
        drop(held);
        drop(waiter.await.unwrap());
        assert_eq!(locks.0.lock().len(), 0);
    }
}
