use plugin_manifest::Limits;

use super::{ConfigError, Vars};

/// Limits on plugins, whatever their manifests request. The limits of one run are at most what a manifest may request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PluginsConfig {
    /// Limits of one run.
    pub per_run: Limits,
    /// Linear memory of all runs in this process together, in MiB.
    pub total_memory_mib: u32,
    /// Concurrent runs of all plugins in this process.
    pub total_runs: u32,
}

impl Default for PluginsConfig {
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
        }
    }
}

impl PluginsConfig {
    pub fn from_vars(vars: &Vars) -> Result<Self, ConfigError> {
        let number = |name: &str, default: u32, max: u32| {
            Ok(vars.number_or(name, u64::from(default), 1, u64::from(max))? as u32)
        };
        let (default, max) = (Self::default(), Limits::MAX);
        let run = default.per_run;
        let total_memory_mib = number("ATLASHUB_PLUGIN_TOTAL_MEMORY_MIB", default.total_memory_mib, 1 << 20)?;
        let memory_mib =
            number("ATLASHUB_PLUGIN_MAX_MEMORY_MIB", total_memory_mib.min(run.memory_mib), max.memory_mib)?;
        if memory_mib > total_memory_mib {
            return Err(ConfigError::new(
                "ATLASHUB_PLUGIN_MAX_MEMORY_MIB",
                format!("is `{memory_mib}`, above ATLASHUB_PLUGIN_TOTAL_MEMORY_MIB"),
                format!("set it to at most {total_memory_mib}"),
            ));
        }
        Ok(Self {
            per_run: Limits {
                memory_mib,
                wall_seconds: number("ATLASHUB_PLUGIN_MAX_WALL_SECONDS", run.wall_seconds, max.wall_seconds)?,
                cpu_seconds: number("ATLASHUB_PLUGIN_MAX_CPU_SECONDS", run.cpu_seconds, max.cpu_seconds)?,
                host_call_mib: number("ATLASHUB_PLUGIN_MAX_HOST_CALL_MIB", run.host_call_mib, max.host_call_mib)?,
                log_kib: number("ATLASHUB_PLUGIN_MAX_LOG_KIB", run.log_kib, max.log_kib)?,
                concurrent_runs: number(
                    "ATLASHUB_PLUGIN_MAX_CONCURRENT_RUNS",
                    run.concurrent_runs,
                    max.concurrent_runs,
                )?,
            },
            total_memory_mib,
            total_runs: number("ATLASHUB_PLUGIN_TOTAL_RUNS", default.total_runs, 1000)?,
        })
    }
}
