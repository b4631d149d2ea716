//! Remembers why batches failed, so that the next ones do not fail for the same cause.

use std::{hash::Hash, num::NonZeroUsize, time::Instant};

use lru::LruCache;

/// Maximum number of pauses. If there are more, the one that was begun or extended longest ago ends.
const MAX_PAUSES: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// The causes of failed batches, each until the end of its pause.
pub(in crate::db) struct Pauses<C: Hash + Eq> {
    ends: LruCache<C, Instant>,
}

impl<C: Hash + Eq> Pauses<C> {
    pub(in crate::db) fn new() -> Self {
        Self { ends: LruCache::new(MAX_PAUSES) }
    }

    /// Begins a pause, or extends it.
    pub(in crate::db) fn begin(&mut self, cause: C, until: Instant) {
        self.ends.put(cause, until);
    }

    /// Returns whether a pause with this cause has not ended yet. Until it ends, requests with the cause share nothing.
    pub(in crate::db) fn contains(&mut self, cause: &C, now: Instant) -> bool {
        // Usually there are no pauses. Then the cause is not hashed.
        if self.ends.is_empty() {
            return false;
        }
        match self.ends.peek(cause) {
            Some(until) if *until > now => true,
            Some(_) => {
                self.ends.pop(cause);
                false
            }
            None => false,
        }
    }
}
