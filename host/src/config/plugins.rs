//! Limits on plugins.

use std::time::Duration;

use plugin_manifest::Limits;

use super::{ConfigError, Vars};

/// Limits on plugins, regardless of what their manifests request. A limit of one run can't be higher than the highest
/// value that a manifest may request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PluginsConfig {
    /// Limits of one run, and the maximum number of concurrent runs of one plugin in this process.
    pub per_run: Limits,
    /// Maximum linear memory of all runs in this process together, in MiB.
    pub total_memory_mib: u32,
    /// Maximum number of concurrent runs of all plugins in this process. The plugins that do AtlasHub's own work have
    /// additional permits, here and in the other totals.
    pub total_runs: u32,
    /// Maximum number of host calls of one run that are in progress at a time.
    pub calls_per_run: u32,
    /// Maximum number of host calls of all runs together that are in progress at a time.
    pub total_calls: u32,
    /// Maximum memory that the host holds for the calls and transfers of one run, in MiB.
    pub call_memory_mib: u32,
    /// Maximum memory that the host holds for the calls and transfers of all runs together, in MiB.
    pub total_call_memory_mib: u32,
    /// Maximum number of dumps, verifications, exports and imports of all runs together that are in progress at a time.
    pub total_dumps: u32,
    /// Maximum number of queries of all runs together on projects' databases that are in progress at a time.
    pub total_queries: u32,
    /// Time limit of a query and of reading its rows.
    pub query_timeout: Duration,
    /// Maximum number of connections for the calls of plugins to the platform database, and the same number for listing
    /// tables of projects' databases.
    pub connections: u32,
    /// Time after which a stream that the plugin does not read, or reads too slowly, is closed.
    pub stream_idle: Duration,
    /// Maximum size of an HTTP body that is streamed, in MiB.
    pub http_body_mib: u32,
    /// Maximum size of a plugin's state for one project, or for the platform, in KiB.
    pub state_kib: u32,
    /// Maximum size of a plugin's file, in MiB.
    pub max_file_mib: u32,
    /// Maximum memory of the compilation of a plugin, in MiB.
    pub compile_memory_mib: u32,
}

/// Memory that the compilation of the smallest plugin needs, in MiB.
const MIN_COMPILE_MEMORY_MIB: u64 = 128;

impl Default for PluginsConfig {
    fn default() -> Self {
        Self {
            per_run: Limits {
                memory_mib: 256,
                wall_seconds: 24 * 3600,
                cpu_seconds: 3600,
                host_call_mib: 256,
                log_kib: Limits::MAX.log_kib,
                concurrent_runs: 64,
            },
            total_memory_mib: 512,
            total_runs: 64,
            calls_per_run: 16,
            total_calls: 128,
            call_memory_mib: 40,
            total_call_memory_mib: 128,
            total_dumps: 4,
            total_queries: 4,
            query_timeout: Duration::from_secs(60),
            connections: 4,
            stream_idle: Duration::from_secs(60),
            http_body_mib: 5 << 10,
            state_kib: 1024,
            max_file_mib: 64,
            compile_memory_mib: 1024,
        }
    }
}

impl PluginsConfig {
    /// Maximum number of connections to Postgres of one dump, verification, export or import. A dump needs two: one
    /// holds the snapshot, and `pg_dump` opens the other one.
    pub const CONNECTIONS_PER_DUMP: u32 = 2;

    /// Reads the limits on plugins.
    ///
    /// # Errors
    /// Fails if a variable is invalid. The error describes the first such variable.
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
        let total_call_memory_mib =
            number("ATLASHUB_PLUGIN_TOTAL_CALL_MEMORY_MIB", default.total_call_memory_mib, 1 << 20)?;
        let stream_idle = number("ATLASHUB_PLUGIN_STREAM_IDLE_SECONDS", default.stream_idle.as_secs() as u32, 3600)?;
        let query_timeout = number("ATLASHUB_PLUGIN_QUERY_SECONDS", default.query_timeout.as_secs() as u32, 3600)?;
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
            calls_per_run: number("ATLASHUB_PLUGIN_MAX_CALLS", default.calls_per_run, 1000)?,
            total_calls: number("ATLASHUB_PLUGIN_TOTAL_CALLS", default.total_calls, 10_000)?,
            call_memory_mib: number(
                "ATLASHUB_PLUGIN_MAX_CALL_MEMORY_MIB",
                total_call_memory_mib.min(default.call_memory_mib),
                1 << 20,
            )?,
            total_call_memory_mib,
            total_dumps: number("ATLASHUB_PLUGIN_TOTAL_DUMPS", default.total_dumps, 100)?,
            total_queries: number("ATLASHUB_PLUGIN_TOTAL_QUERIES", default.total_queries, 100)?,
            query_timeout: Duration::from_secs(u64::from(query_timeout)),
            connections: number("ATLASHUB_PLUGIN_CONNECTIONS", default.connections, 100)?,
            stream_idle: Duration::from_secs(u64::from(stream_idle)),
            http_body_mib: number("ATLASHUB_PLUGIN_MAX_HTTP_BODY_MIB", default.http_body_mib, 1 << 20)?,
            state_kib: number("ATLASHUB_PLUGIN_STATE_KIB", default.state_kib, 64 << 10)?,
            max_file_mib: number("ATLASHUB_PLUGIN_MAX_FILE_MIB", default.max_file_mib, 1024)?,
            compile_memory_mib: vars.number_or(
                "ATLASHUB_PLUGIN_COMPILE_MEMORY_MIB",
                u64::from(default.compile_memory_mib),
                MIN_COMPILE_MEMORY_MIB,
                64 << 10,
            )? as u32,
        })
    }

    /// Returns the maximum number of connections to Postgres that the calls of plugins use at a time: to the platform
    /// database, and to projects' databases for lists of tables, dumps and queries. The additional permits of the
    /// plugins that do AtlasHub's own work are not included.
    pub fn postgres_connections(&self) -> u32 {
        2 * self.connections + Self::CONNECTIONS_PER_DUMP * self.total_dumps + self.total_queries
    }

    /// Returns the maximum size of an HTTP body that is streamed, in bytes.
    pub fn max_http_body_bytes(&self) -> u64 {
        u64::from(self.http_body_mib) << 20
    }

    /// Returns the maximum size of a plugin's file, in bytes.
    pub fn max_file_bytes(&self) -> usize {
        (self.max_file_mib as usize) << 20
    }
}
