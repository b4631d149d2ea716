//! Keeps the memory of finished hashes for the next ones.
//!
//! A hash needs 19 MiB. Getting new memory from the system for each hash is slow, because the system clears each page.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use argon2::Block;
use parking_lot::Mutex;
use tokio::runtime::Handle;

/// Minimum time for which memory is kept after the last hash has begun.
const KEPT_FOR: Duration = Duration::from_secs(2);
/// Maximum memory that is kept per hash, in blocks of 1 KiB. A hash from another program can need more.
const MAX_KEPT_BLOCKS: usize = super::MEMORY_KIB as usize;

/// Memory for one hash. [`Memory::reserve`] makes it large enough.
#[derive(Default)]
pub(super) struct Memory(Vec<Block>);

impl Memory {
    /// Returns at least this number of blocks, with any content.
    pub(super) fn reserve(&mut self, blocks: usize) -> &mut [Block] {
        if self.0.len() < blocks {
            self.0.resize(blocks, Block::new());
        }
        &mut self.0
    }
}

/// The memory of hashes that have finished.
#[derive(Clone, Default)]
pub(super) struct Kept(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    unused: Vec<Memory>,
    last_used: Option<Instant>,
    is_release_scheduled: bool,
}

impl Kept {
    /// Returns the memory of a finished hash, or empty memory if none is kept.
    pub(super) fn take(&self) -> Memory {
        let mut state = self.0.lock();
        state.last_used = Some(Instant::now());
        state.unused.pop().unwrap_or_default()
    }

    /// Keeps the memory for later hashes, unless it is larger than [`MAX_KEPT_BLOCKS`]. A task checks every
    /// [`KEPT_FOR`], and releases all kept memory if no hash has begun since the previous check.
    pub(super) fn put_back(&self, memory: Memory, runtime: &Handle) {
        if memory.0.len() > MAX_KEPT_BLOCKS {
            return;
        }
        let mut state = self.0.lock();
        state.unused.push(memory);
        if std::mem::replace(&mut state.is_release_scheduled, true) {
            return;
        }
        let kept = self.clone();
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(KEPT_FOR).await;
                if kept.release_unless_used_within(KEPT_FOR) {
                    return;
                }
            }
        });
    }

    fn release_unless_used_within(&self, time: Duration) -> bool {
        let mut state = self.0.lock();
        if state.last_used.is_some_and(|at| at.elapsed() < time) {
            return false;
        }
        let unused = std::mem::take(&mut state.unused);
        state.is_release_scheduled = false;
        drop(state);
        drop(unused);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn memory_is_kept_until_it_is_unused_for_a_while_unless_it_is_large() {
        let kept = Kept::default();
        let mut memory = kept.take();
        memory.reserve(8);
        kept.put_back(memory, &Handle::current());
        assert!(!kept.release_unless_used_within(Duration::from_secs(60)));
        let memory = kept.take();
        assert_eq!(memory.0.len(), 8);
        kept.put_back(memory, &Handle::current());
        let mut large = Memory::default();
        large.reserve(MAX_KEPT_BLOCKS + 1);
        kept.put_back(large, &Handle::current());
        assert_eq!(kept.0.lock().unused.len(), 1);
        assert!(kept.release_unless_used_within(Duration::ZERO));
        assert_eq!(kept.take().0.len(), 0);
    }
}
