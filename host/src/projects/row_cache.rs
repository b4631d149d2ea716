//! A cache of rows that does not store what was read before a change.

use std::{
    borrow::Borrow,
    hash::Hash,
    sync::atomic::{AtomicU64, Ordering},
};

use dashmap::DashMap;

/// Rows of the platform database, by key. If an entry is forgotten because its row changed, no result of a query that
/// began earlier is stored, because that query may not have seen the change.
#[derive(Debug)]
pub(crate) struct RowCache<K: Eq + Hash, V> {
    rows: DashMap<K, V>,
    /// Number of times that entries were forgotten.
    forgotten: AtomicU64,
}

/// A query whose result is to be stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    /// Value of `forgotten` when the query began.
    forgotten: u64,
}

impl<K: Eq + Hash, V> Default for RowCache<K, V> {
    fn default() -> Self {
        Self { rows: DashMap::new(), forgotten: AtomicU64::new(0) }
    }
}

impl<K: Eq + Hash, V: Clone> RowCache<K, V> {
    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.rows.get(key).map(|row| row.clone())
    }

    /// Marks the beginning of a query. Must be called before the query is sent.
    pub(crate) fn begin_read(&self) -> Reading {
        Reading { forgotten: self.forgotten.load(Ordering::SeqCst) }
    }

    /// Stores the result of a query, unless an entry was forgotten since the query began.
    pub(crate) fn store(&self, reading: Reading, key: K, row: V) {
        let entry = self.rows.entry(key);
        // Checked while `entry` holds its lock, because `forget` first increments the counter and then takes that lock.
        if self.forgotten.load(Ordering::SeqCst) == reading.forgotten {
            entry.insert(row);
        }
    }

    /// Removes a row that a query did not find. Unlike [`Self::forget`], does not affect queries in progress, because
    /// callers can ask for any number of unknown rows.
    pub(crate) fn remove<Q: Eq + Hash + ?Sized>(&self, key: &Q)
    where
        K: Borrow<Q>,
    {
        self.rows.remove(key);
    }

    /// Removes a row that was changed.
    pub(crate) fn forget<Q: Eq + Hash + ?Sized>(&self, key: &Q)
    where
        K: Borrow<Q>,
    {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.rows.remove(key);
    }

    /// Removes the rows that may have been changed.
    pub(crate) fn forget_if(&self, is_changed: impl Fn(&V) -> bool) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.rows.retain(|_, row| !is_changed(row));
    }

    /// Removes the rows that nobody needs if there are more than `max`. Like [`Self::remove`], does not affect queries
    /// in progress.
    pub(crate) fn trim(&self, max: usize, is_needed: impl Fn(&V) -> bool) {
        if self.rows.len() > max {
            self.rows.retain(|_, row| is_needed(row));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Forget = fn(&RowCache<u8, &'static str>);

    #[test]
    fn row_that_is_forgotten_during_its_query_is_not_stored() {
        let forgets: [(&str, Forget); 2] =
            [("forget", |cache| cache.forget(&1)), ("forget_if", |cache| cache.forget_if(|row| *row == "valid"))];
        for (name, forget) in forgets {
            let cache = RowCache::default();
            cache.store(cache.begin_read(), 1, "valid");
            assert_eq!(cache.get(&1), Some("valid"));
            // A query in the background reads the row, then the row is revoked, then the query's result arrives.
            let reading = cache.begin_read();
            forget(&cache);
            cache.store(reading, 1, "valid");
            assert_eq!(cache.get(&1), None, "{name}");
            cache.store(cache.begin_read(), 1, "valid");
            assert_eq!(cache.get(&1), Some("valid"), "{name}");
        }
    }

    #[test]
    fn row_that_was_not_found_does_not_affect_other_queries() {
        let cache = RowCache::default();
        cache.store(cache.begin_read(), 2, "gone");
        let reading = cache.begin_read();
        cache.remove(&2);
        cache.store(reading, 1, "valid");
        assert_eq!((cache.get(&1), cache.get(&2)), (Some("valid"), None));
    }

    #[test]
    fn rows_that_nobody_needs_are_removed_only_above_the_maximum() {
        let cache = RowCache::default();
        cache.store(cache.begin_read(), 1, "old");
        cache.store(cache.begin_read(), 2, "new");
        let reading = cache.begin_read();
        cache.trim(2, |row| *row == "new");
        assert_eq!(cache.get(&1), Some("old"));
        cache.trim(1, |row| *row == "new");
        cache.store(reading, 3, "new");
        assert_eq!((cache.get(&1), cache.get(&2), cache.get(&3)), (None, Some("new"), Some("new")));
    }
}
