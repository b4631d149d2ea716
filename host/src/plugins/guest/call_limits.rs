//! Limits on the calls in progress and on the memory that the host holds for them, per run and for all runs.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    CallError,
    bindings::types::ErrorCode,
    shared_permits::{Permits, PluginPermits, SharedPermits},
};
use crate::config::PluginsConfig;

/// Permits that only the plugins that do AtlasHub's own work can take, in addition to the totals of [`PluginsConfig`].
const OWN_CALLS: usize = 32;
const OWN_DUMPS: usize = 2;
const OWN_QUERIES: usize = 1;
/// This is enough for four large uploads and some calls.
const OWN_MEMORY_MIB: usize = 136;
/// Unit in which memory is reserved.
const UNIT_BYTES: usize = 1 << 10;
/// Memory that is reserved for a call in addition to its arguments.
const CALL_BYTES: usize = 1 << 10;

/// Returns the maximum number of connections to Postgres that the calls of all plugins use at a time.
pub fn max_postgres_connections(config: &PluginsConfig) -> usize {
    let own = PluginsConfig::CONNECTIONS_PER_DUMP as usize * OWN_DUMPS + OWN_QUERIES;
    config.postgres_connections() as usize + own
}

/// Limits of the host calls of all runs together.
#[derive(Debug)]
pub(in crate::plugins) struct CallLimits {
    calls_per_run: usize,
    memory_mib_per_run: u32,
    stream_idle: Duration,
    max_http_body_bytes: u64,
    calls: SharedPermits,
    /// In KiB.
    memory: SharedPermits,
    dumps: SharedPermits,
    queries: SharedPermits,
}

/// The host calls of one run: the number in progress, and the memory that the host holds for them.
#[derive(Debug)]
pub struct RunCalls {
    memory_mib: u32,
    stream_idle: Duration,
    max_http_body_bytes: u64,
    calls: Arc<Semaphore>,
    /// In KiB.
    memory: Arc<Semaphore>,
    shared_calls: PluginPermits,
    shared_memory: PluginPermits,
    shared_dumps: PluginPermits,
    shared_queries: PluginPermits,
}

/// The permits of a call in progress.
#[derive(Debug)]
pub(in crate::plugins) struct CallPermit {
    _run: Option<OwnedSemaphorePermit>,
    _shared: Option<Permits>,
}

/// The permit of a dump, verification, export or import in progress.
pub(in crate::plugins) type DumpPermit = Option<Permits>;

/// The permit of a query in progress.
pub(in crate::plugins) type QueryPermit = Option<Permits>;

/// A reservation for memory that the host holds for a run. Dropping it releases the reservation, not the memory.
#[derive(Debug)]
pub struct HeldMemory {
    run: OwnedSemaphorePermit,
    shared: Permits,
    bytes: usize,
}

impl CallLimits {
    pub(in crate::plugins) fn new(config: &PluginsConfig) -> Self {
        let kib = |mib: usize| mib << 10;
        Self {
            calls_per_run: config.calls_per_run as usize,
            memory_mib_per_run: config.call_memory_mib,
            stream_idle: config.stream_idle,
            max_http_body_bytes: config.max_http_body_bytes(),
            calls: SharedPermits::new(config.total_calls as usize, OWN_CALLS),
            memory: SharedPermits::new(kib(config.total_call_memory_mib as usize), kib(OWN_MEMORY_MIB)),
            dumps: SharedPermits::new(config.total_dumps as usize, OWN_DUMPS),
            queries: SharedPermits::new(config.total_queries as usize, OWN_QUERIES),
        }
    }

    pub(in crate::plugins) fn for_run(&self, plugin: &str) -> RunCalls {
        RunCalls {
            memory_mib: self.memory_mib_per_run,
            stream_idle: self.stream_idle,
            max_http_body_bytes: self.max_http_body_bytes,
            calls: Arc::new(Semaphore::new(self.calls_per_run)),
            memory: Arc::new(Semaphore::new((self.memory_mib_per_run as usize) << 10)),
            shared_calls: self.calls.of_plugin(plugin),
            shared_memory: self.memory.of_plugin(plugin),
            shared_dumps: self.dumps.of_plugin(plugin),
            shared_queries: self.queries.of_plugin(plugin),
        }
    }
}

impl RunCalls {
    /// Returns the time for which a stream may stay unread before it is closed.
    pub(in crate::plugins) fn stream_idle(&self) -> Duration {
        self.stream_idle
    }

    /// Returns the maximum size, in bytes, of an HTTP body that is streamed.
    pub(in crate::plugins) fn max_http_body_bytes(&self) -> u64 {
        self.max_http_body_bytes
    }

    /// Waits until a call may start. Check the scope first, so that a denied call needs no permit.
    pub(in crate::plugins) async fn enter(&self) -> CallPermit {
        // No semaphore is ever closed.
        let run = Arc::clone(&self.calls).acquire_owned().await.ok();
        CallPermit { _run: run, _shared: self.shared_calls.acquire().await }
    }

    /// Waits until a dump, verification, export or import may start.
    pub(in crate::plugins) async fn begin_dump(&self) -> DumpPermit {
        self.shared_dumps.acquire().await
    }

    /// Waits until a query on a project's database may start.
    pub(in crate::plugins) async fn begin_query(&self) -> QueryPermit {
        self.shared_queries.acquire().await
    }

    /// Reserves memory for a call with `bytes` of arguments.
    ///
    /// # Errors
    /// See [`RunCalls::hold`].
    pub(in crate::plugins) fn hold_arguments(&self, bytes: usize) -> Result<HeldMemory, CallError> {
        self.hold(bytes.saturating_add(CALL_BYTES))
    }

    /// Reserves `bytes` of memory.
    ///
    /// # Errors
    /// Returns `too-large` if the run would exceed its limit, and `unavailable` if the plugin would exceed its share of
    /// the total or all runs together would exceed the total.
    pub(in crate::plugins) fn hold(&self, bytes: usize) -> Result<HeldMemory, CallError> {
        let (run, shared) = self.reserve(bytes.div_ceil(UNIT_BYTES))?;
        Ok(HeldMemory { run, shared, bytes })
    }

    fn reserve(&self, units: usize) -> Result<(OwnedSemaphorePermit, Permits), CallError> {
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let Ok(run) = Arc::clone(&self.memory).try_acquire_many_owned(units) else {
            return Err(CallError::too_large(format!(
                "the calls and transfers of this run that are in progress need more than {} MiB of the host's memory; \
                 run fewer of them at once",
                self.memory_mib
            )));
        };
        match self.shared_memory.try_acquire(units) {
            Some(shared) => Ok((run, shared)),
            None => Err(CallError::new(
                ErrorCode::Unavailable,
                "the host's memory for calls and transfers, or this plugin's share of it, is in use; try again later",
            )),
        }
    }
}

impl HeldMemory {
    /// Changes the reservation to `bytes`.
    ///
    /// # Errors
    /// See [`RunCalls::hold`]. In that case, the reservation is unchanged.
    pub(in crate::plugins) fn resize(&mut self, calls: &RunCalls, bytes: usize) -> Result<(), CallError> {
        let (before, after) = (self.bytes.div_ceil(UNIT_BYTES), bytes.div_ceil(UNIT_BYTES));
        if after > before {
            let (run, shared) = calls.reserve(after - before)?;
            self.run.merge(run);
            self.shared.merge(shared);
        } else if after < before {
            drop(self.run.split(before - after));
            self.shared.release(before - after);
        }
        self.bytes = bytes;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> CallLimits {
        let config = PluginsConfig { call_memory_mib: 2, total_call_memory_mib: 4, ..PluginsConfig::default() };
        CallLimits::new(&config)
    }

    fn code(result: &Result<HeldMemory, CallError>) -> Option<ErrorCode> {
        match result {
            Err(CallError::Failed { code, .. }) => Some(*code),
            _ => None,
        }
    }

    #[test]
    fn memory_is_bounded_per_run_and_over_all_runs() {
        let limits = limits();
        let (first, second) = (limits.for_run("a"), limits.for_run("a"));
        let mut held = first.hold(2 << 20).unwrap();
        assert_eq!(code(&first.hold(1)), Some(ErrorCode::TooLarge));
        // The share of one plugin is three quarters of the total.
        assert_eq!(code(&second.hold((1 << 20) + 1)), Some(ErrorCode::Unavailable));
        assert!(limits.for_run("b").hold(2 << 20).is_ok());
        held.resize(&first, 1 << 20).unwrap();
        assert!(second.hold(2 << 20).is_ok());
        held.resize(&first, 2 << 20).unwrap();
        assert!(held.resize(&first, 3 << 20).is_err());
        drop(held);
        assert!(first.hold(2 << 20).is_ok());
        assert!(limits.for_run("backup").hold(2 << 20).is_ok());
    }

    #[tokio::test]
    async fn calls_beyond_the_limit_of_a_run_wait() {
        let config = PluginsConfig { calls_per_run: 2, ..PluginsConfig::default() };
        let run = CallLimits::new(&config).for_run("a");
        let (first, _second) = (run.enter().await, run.enter().await);
        let mut third = Box::pin(run.enter());
        assert!(futures_util::poll!(third.as_mut()).is_pending());
        drop(first);
        assert!(futures_util::poll!(third).is_ready());
    }
}
