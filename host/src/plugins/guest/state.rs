//! The data of a run's store, which host functions use.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    sync::Arc,
    time::Duration,
};

use wasmtime::component::{HasSelf, ResourceTable};

use super::{
    CallError, HostTime, LimitReached, MemoryLimiter, RunScope, Services, bindings::types, streams::CountsBytes,
};

/// Maximum number of handles to host resources that one run may have open.
pub(in crate::plugins) const MAX_HANDLES: usize = 1000;
/// Number of bytes that [`RunState::charge`] adds to those of a call, so that calls without arguments are bounded too.
const CALL_OVERHEAD_BYTES: usize = 64;

/// The type through which capabilities access [`RunState`]: `accessor.with(|mut access| access.get()…)`.
pub type Host<S = Services> = HasSelf<RunState<S>>;

/// The accessor that an async host function receives.
pub type Accessor<S = Services> = wasmtime::component::Accessor<RunState<S>, Host<S>>;

/// Data of a run's store.
pub struct RunState<S = Services> {
    /// The run. Clone it out of the accessor before awaiting.
    pub run: Arc<RunScope<S>>,
    /// Host values behind the guest's handles.
    pub table: ResourceTable,
    pub(in crate::plugins) memory: MemoryLimiter,
    pub(in crate::plugins) host_time: HostTime,
    /// Number of bytes charged for host calls so far.
    call_bytes: u64,
    /// Per-run state of each capability, by its type.
    capability_states: HashMap<TypeId, Box<dyn Any + Send>>,
}

impl<S> RunState<S> {
    pub(in crate::plugins) fn new(run: RunScope<S>, memory: MemoryLimiter) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        Self {
            run: Arc::new(run),
            table,
            memory,
            host_time: HostTime::default(),
            call_bytes: 0,
            capability_states: HashMap::new(),
        }
    }

    /// Counts bytes of a host call. Every host function calls this with the size of its arguments, and again with the
    /// size of its result if the result is more than a few numbers.
    ///
    /// # Errors
    /// Returns an error, which traps the guest, if the run exceeds its limit on the bytes of host calls.
    pub fn charge(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.call_bytes = self.call_bytes.saturating_add((bytes + CALL_OVERHEAD_BYTES) as u64);
        if self.call_bytes > u64::from(self.run.limits.host_call_mib) << 20 {
            return Err(LimitReached::HostCalls(self.run.limits.host_call_mib).into());
        }
        Ok(())
    }

    /// Returns a capability's state for this run. Creates it on first use.
    ///
    /// Each capability defines its own `T`, so this module does not depend on the capabilities.
    pub fn capability_state<T: Any + Default + Send>(&mut self) -> &mut T {
        let state = self.capability_states.entry(TypeId::of::<T>()).or_insert_with(|| Box::new(T::default()));
        match state.downcast_mut() {
            Some(state) => state,
            None => unreachable!("the state is stored under its own type"),
        }
    }
}

impl<S: Send + Sync + 'static> types::Host for RunState<S> {
    fn convert_error(&mut self, error: CallError) -> wasmtime::Result<types::Error> {
        self.run.log_failure(&error);
        error.into_wit()
    }
}

impl<S: Send + Sync + 'static> CountsBytes for RunState<S> {
    fn count_bytes(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.charge(bytes)
    }

    fn host_time(&self) -> HostTime {
        self.host_time.clone()
    }

    fn stream_idle(&self) -> Duration {
        self.run.calls.stream_idle()
    }
}
