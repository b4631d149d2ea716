//! The limits that stop a run, and the limiter of its memories and tables.

use wasmtime::ResourceLimiter;

use super::shared_permits::{Permits, PluginPermits, SharedPermits};

/// A limit that stopped a run. The message completes the sentence "Stopped: the run exceeded …."
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LimitReached {
    #[error("its memory limit of {0} MiB")]
    Memory(u32),
    #[error("the memory that is left for its plugin (runs share {0} MiB); try again when fewer runs are active")]
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

/// Maximum number of elements in all tables of one run. A plugin's function table usually contains a few thousand
/// elements.
pub(in crate::plugins) const MAX_TABLE_ELEMENTS: usize = 100_000;
/// Maximum number of core instances, and of tables, of one run. A component with one module needs two or three of each;
/// CPython and its libraries, which are linked when the run starts, need about forty.
pub(in crate::plugins) const MAX_INSTANCES: u32 = 64;
/// Maximum number of linear memories of one run.
pub(in crate::plugins) const MAX_MEMORIES: u32 = 4;

/// Unit in which linear memory is reserved: a page of WebAssembly.
const PAGE_BYTES: usize = 64 << 10;
/// Linear memory for the plugins that do AtlasHub's own work. They use only this memory, and no other plugin uses it.
const OWN_MIB: usize = 64;

/// Linear memory that the runs of all plugins share.
#[derive(Debug)]
pub(in crate::plugins) struct SharedMemory {
    pages: SharedPermits,
    limit_mib: u32,
}

impl SharedMemory {
    pub(in crate::plugins) fn new(limit_mib: u32) -> Self {
        let pages = |mib: usize| (mib << 20) / PAGE_BYTES;
        Self { pages: SharedPermits::new(pages(limit_mib as usize), pages(OWN_MIB)), limit_mib }
    }

    /// Returns the limiter for a run of a plugin.
    pub(in crate::plugins) fn limiter(&self, plugin: &str, limit_mib: u32) -> MemoryLimiter {
        MemoryLimiter {
            pages: self.pages.of_plugin(plugin),
            total_mib: self.limit_mib,
            limit_mib,
            memory: 0,
            reserved: None,
            table_elements: 0,
        }
    }
}

/// Enforces the limits of one run on memories and tables. Growth beyond a limit traps instead of returning `-1`, so
/// that the run's history names the limit.
pub(in crate::plugins) struct MemoryLimiter {
    pages: PluginPermits,
    total_mib: u32,
    limit_mib: u32,
    memory: usize,
    reserved: Option<Permits>,
    table_elements: usize,
}

impl MemoryLimiter {
    fn reserve(&mut self, bytes: usize) -> Result<(), LimitReached> {
        let pages = u32::try_from(bytes.div_ceil(PAGE_BYTES)).unwrap_or(u32::MAX);
        let more = self.pages.try_acquire(pages).ok_or(LimitReached::TotalMemory(self.total_mib))?;
        match &mut self.reserved {
            Some(reserved) => reserved.merge(more),
            None => self.reserved = Some(more),
        }
        Ok(())
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let grown = desired.saturating_sub(current);
        if self.memory.saturating_add(grown) > (self.limit_mib as usize) << 20 {
            return Err(LimitReached::Memory(self.limit_mib).into());
        }
        self.reserve(grown)?;
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
        let (mut first, mut second) = (shared.limiter("a", 2), shared.limiter("a", 2));
        assert!(first.memory_growing(0, 2 << 20, None).unwrap());
        let own_limit = first.memory_growing(2 << 20, 3 << 20, None).unwrap_err();
        assert_eq!(own_limit.downcast_ref::<LimitReached>(), Some(&LimitReached::Memory(2)));
        let total_limit = second.memory_growing(0, 2 << 20, None).unwrap_err();
        assert_eq!(total_limit.downcast_ref::<LimitReached>(), Some(&LimitReached::TotalMemory(3)));
        drop(first);
        assert!(second.memory_growing(0, 2 << 20, None).unwrap());
    }
}
