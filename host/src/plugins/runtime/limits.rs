use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use plugin_manifest::Limits;
use wasmtime::ResourceLimiter;

use crate::config::PluginsConfig;

/// What the host allows, whatever manifests ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostLimits {
    /// Of one run; the lower of these and the manifest's counts.
    pub per_run: Limits,
    /// Linear memory of all runs together, in MiB.
    pub total_memory_mib: u32,
    /// Runs of all plugins together.
    pub total_runs: u32,
    /// Components that are compiled at one time.
    pub compilations: u32,
}

impl Default for HostLimits {
    fn default() -> Self {
        Self {
            per_run: Limits {
                memory_mib: 256,
                wall_seconds: 24 * 3600,
                cpu_seconds: 3600,
                host_call_mib: 4096,
                log_kib: 16 << 10,
                concurrent_runs: 64,
            },
            total_memory_mib: 512,
            total_runs: 64,
            compilations: 1,
        }
    }
}

impl From<&PluginsConfig> for HostLimits {
    fn from(config: &PluginsConfig) -> Self {
        Self {
            per_run: config.per_run,
            total_memory_mib: config.total_memory_mib,
            total_runs: config.total_runs,
            ..Self::default()
        }
    }
}

impl HostLimits {
    /// The lower of each limit.
    pub fn for_run(&self, wanted: &Limits) -> Limits {
        Limits {
            memory_mib: wanted.memory_mib.min(self.per_run.memory_mib),
            wall_seconds: wanted.wall_seconds.min(self.per_run.wall_seconds),
            cpu_seconds: wanted.cpu_seconds.min(self.per_run.cpu_seconds),
            host_call_mib: wanted.host_call_mib.min(self.per_run.host_call_mib),
            log_kib: wanted.log_kib.min(self.per_run.log_kib),
            concurrent_runs: wanted.concurrent_runs.min(self.per_run.concurrent_runs),
        }
    }
}

/// A limit that ended a run; the message follows "it was ended: it reached".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LimitReached {
    #[error("its memory limit of {0} MiB")]
    Memory(u32),
    #[error("the limit of {0} MiB for the memory of all runs together; try again when fewer run")]
    TotalMemory(u32),
    #[error("its table limit of {0} entries")]
    Table(usize),
    #[error("its processor time of {0} s")]
    ProcessorTime(u32),
    #[error("its limit of {0} MiB in calls to the host")]
    HostCalls(u32),
    #[error("its limit of {0} open handles")]
    Handles(usize),
}

/// Elements of all tables of a run; a plugin's table of functions has some thousands.
pub(super) const TABLE_ELEMENTS: usize = 100_000;
/// Core instances and tables of one run; a component of one module needs two of each, or three.
pub(super) const INSTANCES: u32 = 32;
/// Linear memories of one run.
pub(super) const MEMORIES: u32 = 4;

/// Linear memory of all runs.
#[derive(Debug)]
pub(super) struct SharedMemory {
    used: AtomicUsize,
    limit_mib: u32,
}

impl SharedMemory {
    pub(super) fn new(limit_mib: u32) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), limit_mib })
    }

    fn take(&self, bytes: usize) -> Result<(), LimitReached> {
        let limit = (self.limit_mib as usize) << 20;
        let fits = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= limit);
        match self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits) {
            Ok(_) => Ok(()),
            Err(_) => Err(LimitReached::TotalMemory(self.limit_mib)),
        }
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Holds one run to its memory. A refused growth is a trap and not a `-1`, so that the history names the limit and
/// not whatever the guest's allocator makes of it.
pub(super) struct MemoryLimiter {
    shared: Arc<SharedMemory>,
    limit_mib: u32,
    memory: usize,
    table_elements: usize,
}

impl MemoryLimiter {
    pub(super) fn new(shared: Arc<SharedMemory>, limit_mib: u32) -> Self {
        Self { shared, limit_mib, memory: 0, table_elements: 0 }
    }
}

impl Drop for MemoryLimiter {
    fn drop(&mut self) {
        self.shared.give_back(self.memory);
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let grown = desired.saturating_sub(current);
        if self.memory.saturating_add(grown) > (self.limit_mib as usize) << 20 {
            return Err(LimitReached::Memory(self.limit_mib).into());
        }
        self.shared.take(grown)?;
        self.memory += grown;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let grown = desired.saturating_sub(current);
        if self.table_elements.saturating_add(grown) > TABLE_ELEMENTS {
            return Err(LimitReached::Table(TABLE_ELEMENTS).into());
        }
        self.table_elements += grown;
        Ok(true)
    }

    fn instances(&self) -> usize {
        INSTANCES as usize
    }

    fn tables(&self) -> usize {
        INSTANCES as usize
    }

    fn memories(&self) -> usize {
        MEMORIES as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_share_memory_and_give_it_back() {
        let shared = SharedMemory::new(3);
        let mut first = MemoryLimiter::new(Arc::clone(&shared), 2);
        let mut second = MemoryLimiter::new(Arc::clone(&shared), 2);
        assert!(first.memory_growing(0, 2 << 20, None).unwrap());
        let alone = first.memory_growing(2 << 20, 3 << 20, None).unwrap_err();
        assert_eq!(alone.downcast_ref::<LimitReached>(), Some(&LimitReached::Memory(2)));
        let together = second.memory_growing(0, 2 << 20, None).unwrap_err();
        assert_eq!(together.downcast_ref::<LimitReached>(), Some(&LimitReached::TotalMemory(3)));
        drop(first);
        assert!(second.memory_growing(0, 2 << 20, None).unwrap());
    }

    #[test]
    fn the_defaults_are_those_of_the_configuration() {
        let config = PluginsConfig::from_vars(&crate::config::Vars::default()).unwrap();
        assert_eq!(HostLimits::from(&config), HostLimits::default());
    }

    #[test]
    fn the_lower_limit_counts() {
        let host = HostLimits::default();
        let wanted = Limits { memory_mib: 1024, cpu_seconds: 1, ..Limits::default() };
        let limits = host.for_run(&wanted);
        assert_eq!((limits.memory_mib, limits.cpu_seconds), (host.per_run.memory_mib, 1));
    }
}
