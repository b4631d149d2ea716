use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use wasmtime::ResourceLimiter;

/// A limit that stopped a run. The message completes the sentence "Stopped: the run exceeded …".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LimitReached {
    #[error("its memory limit of {0} MiB")]
    Memory(u32),
    #[error("the memory limit of {0} MiB for all runs together; try again when fewer runs are active")]
    TotalMemory(u32),
    #[error("its table limit of {0} entries")]
    Table(usize),
    #[error("its processor time limit of {0} s")]
    ProcessorTime(u32),
    #[error("its limit of {0} MiB for host calls")]
    HostCalls(u32),
    #[error("its limit of {0} open handles")]
    Handles(usize),
}

/// Elements of all tables of one run. A plugin's function table has a few thousand.
pub(in crate::plugins) const MAX_TABLE_ELEMENTS: usize = 100_000;
/// Core instances, and tables, of one run. A component with one module needs two or three of each.
pub(in crate::plugins) const MAX_INSTANCES: u32 = 32;
/// Linear memories of one run.
pub(in crate::plugins) const MAX_MEMORIES: u32 = 4;

/// Linear memory that all runs use together.
#[derive(Debug)]
pub(in crate::plugins) struct SharedMemory {
    used: AtomicUsize,
    limit_mib: u32,
}

impl SharedMemory {
    pub(in crate::plugins) fn new(limit_mib: u32) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), limit_mib })
    }

    fn reserve(&self, bytes: usize) -> Result<(), LimitReached> {
        let limit = (self.limit_mib as usize) << 20;
        let fits = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= limit);
        match self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits) {
            Ok(_) => Ok(()),
            Err(_) => Err(LimitReached::TotalMemory(self.limit_mib)),
        }
    }

    fn release(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Enforces the memory limit of one run. Growth beyond it traps instead of returning `-1`, so that the run's history
/// names the limit.
pub(in crate::plugins) struct MemoryLimiter {
    shared: Arc<SharedMemory>,
    limit_mib: u32,
    memory: usize,
    table_elements: usize,
}

impl MemoryLimiter {
    pub(in crate::plugins) fn new(shared: Arc<SharedMemory>, limit_mib: u32) -> Self {
        Self { shared, limit_mib, memory: 0, table_elements: 0 }
    }
}

impl Drop for MemoryLimiter {
    fn drop(&mut self) {
        self.shared.release(self.memory);
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let grown = desired.saturating_sub(current);
        if self.memory.saturating_add(grown) > (self.limit_mib as usize) << 20 {
            return Err(LimitReached::Memory(self.limit_mib).into());
        }
        self.shared.reserve(grown)?;
        self.memory += grown;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let grown = desired.saturating_sub(current);
        if self.table_elements.saturating_add(grown) > MAX_TABLE_ELEMENTS {
            return Err(LimitReached::Table(MAX_TABLE_ELEMENTS).into());
        }
        self.table_elements += grown;
        Ok(true)
    }

    fn instances(&self) -> usize {
        MAX_INSTANCES as usize
    }

    fn tables(&self) -> usize {
        MAX_INSTANCES as usize
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_run_releases_shared_memory() {
        let shared = SharedMemory::new(3);
        let mut first = MemoryLimiter::new(Arc::clone(&shared), 2);
        let mut second = MemoryLimiter::new(Arc::clone(&shared), 2);
        assert!(first.memory_growing(0, 2 << 20, None).unwrap());
        let own_limit = first.memory_growing(2 << 20, 3 << 20, None).unwrap_err();
        assert_eq!(own_limit.downcast_ref::<LimitReached>(), Some(&LimitReached::Memory(2)));
        let total_limit = second.memory_growing(0, 2 << 20, None).unwrap_err();
        assert_eq!(total_limit.downcast_ref::<LimitReached>(), Some(&LimitReached::TotalMemory(3)));
        drop(first);
        assert!(second.memory_growing(0, 2 << 20, None).unwrap());
    }
}
