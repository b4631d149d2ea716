//! Limits on plugins that the host sets, regardless of what manifests request.

use plugin_manifest::Limits;

use crate::config::PluginsConfig;

/// Maximum number of bytes that a guest may pass in one host call. Some arguments have no lower limit of their own,
/// such as the body of a request in `http`, unless it is a stream, and the parameters in `query`.
pub(super) const MAX_CALL_BYTES: usize = 4 << 20;
/// Number of components that are compiled at a time.
const MAX_COMPILATIONS: u32 = 1;
/// Concurrent runs of the plugins that do AtlasHub's own work, in addition to the total.
pub(in crate::plugins) const OWN_RUNS: u32 = 4;

/// Limits that the host sets, regardless of what manifests request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostLimits {
    /// Highest value of each limit of one run.
    pub per_run: Limits,
    /// Linear memory of all runs together, without those of plugins that do AtlasHub's own work, in MiB.
    pub total_memory_mib: u32,
    /// Concurrent runs of all plugins together, without those of plugins that do AtlasHub's own work.
    pub total_runs: u32,
    /// Components that are compiled at a time.
    pub compilations: u32,
    /// The configuration that the other fields come from. It also contains the limits of host calls, files and
    /// compilations.
    pub config: PluginsConfig,
}

impl Default for HostLimits {
    fn default() -> Self {
        Self::from(&PluginsConfig::default())
    }
}

impl From<&PluginsConfig> for HostLimits {
    fn from(config: &PluginsConfig) -> Self {
        Self {
            per_run: config.per_run,
            total_memory_mib: config.total_memory_mib,
            total_runs: config.total_runs,
            compilations: MAX_COMPILATIONS,
            config: *config,
        }
    }
}

impl HostLimits {
    /// Returns the limits of a run: for each, the lower of the manifest's and the host's.
    pub fn for_run(&self, requested: &Limits) -> Limits {
        Limits {
            memory_mib: requested.memory_mib.min(self.per_run.memory_mib),
            wall_seconds: requested.wall_seconds.min(self.per_run.wall_seconds),
            cpu_seconds: requested.cpu_seconds.min(self.per_run.cpu_seconds),
            host_call_mib: requested.host_call_mib.min(self.per_run.host_call_mib),
            log_kib: requested.log_kib.min(self.per_run.log_kib),
            concurrent_runs: requested.concurrent_runs.min(self.per_run.concurrent_runs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_limit_applies() {
        let host = HostLimits::default();
        let requested = Limits { memory_mib: 1024, cpu_seconds: 1, ..Limits::default() };
        let limits = host.for_run(&requested);
        assert_eq!((limits.memory_mib, limits.cpu_seconds), (host.per_run.memory_mib, 1));
    }
}
