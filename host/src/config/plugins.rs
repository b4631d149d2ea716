use plugin_manifest::Limits;

use super::{ConfigError, Vars};

/// The most that plugins get, whatever their manifests ask for; those of one run are never above what a manifest may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PluginsConfig {
    /// Of one run.
    pub per_run: Limits,
    /// Linear memory of all runs in this process together, in MiB.
    pub total_memory_mib: u32,
    /// Runs of all plugins together in this process.
    pub total_runs: u32,
}

impl PluginsConfig {
    pub fn from_vars(vars: &Vars) -> Result<Self, ConfigError> {
        let number = |name: &str, default: u32, most: u32| {
            Ok(vars.number_or(name, u64::from(default), 1, u64::from(most))? as u32)
        };
        let most = Limits::MAX;
        let total_memory_mib = number("ATLASHUB_PLUGIN_TOTAL_MEMORY_MIB", 512, 1 << 20)?;
        let memory_mib = number("ATLASHUB_PLUGIN_MAX_MEMORY_MIB", total_memory_mib.min(256), most.memory_mib)?;
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
                wall_seconds: number("ATLASHUB_PLUGIN_MAX_WALL_SECONDS", 24 * 3600, most.wall_seconds)?,
                cpu_seconds: number("ATLASHUB_PLUGIN_MAX_CPU_SECONDS", 3600, most.cpu_seconds)?,
                host_call_mib: number("ATLASHUB_PLUGIN_MAX_HOST_CALL_MIB", 4096, most.host_call_mib)?,
                log_kib: number("ATLASHUB_PLUGIN_MAX_LOG_KIB", 16 << 10, most.log_kib)?,
                concurrent_runs: number("ATLASHUB_PLUGIN_MAX_CONCURRENT_RUNS", 64, most.concurrent_runs)?,
            },
            total_memory_mib,
            total_runs: number("ATLASHUB_PLUGIN_TOTAL_RUNS", 64, 1000)?,
        })
    }
}
