use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use plugin_manifest::{Capability, Limits, Scope};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::{HasSelf, ResourceTable};

use super::{
    CallError, bindings::types::ErrorCode, limits::LimitReached, limits::MemoryLimiter, metered::HostTime,
    streams::CountsBytes,
};
use crate::{
    db::audit::{NewAuditEntry, record_or_log},
    jobs::{Redactor, RunCall, RunOutput},
    plugins::{Grants, LoadedPlugin, capabilities::Services},
};

/// The type under which every capability gets at [`RunState`]: `accessor.with(|mut access| access.get()…)`.
pub type Host = HasSelf<RunState>;

/// Accessor of a host function that may wait.
pub type Accessor = wasmtime::component::Accessor<RunState, Host>;

/// What a store holds: one run.
pub struct RunState {
    /// What never changes; clone it out of the accessor before waiting.
    pub run: Arc<RunScope>,
    /// What the guest's handles stand for.
    pub table: ResourceTable,
    pub(super) memory: MemoryLimiter,
    /// Bytes of calls to the host so far.
    call_bytes: u64,
    /// Uploads, downloads and dumps that are open.
    transfers: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    messages: u32,
    pub(super) host_time: HostTime,
    pub(in crate::plugins) log: crate::plugins::capabilities::log::LogBudget,
}

/// One run, as the capabilities see it.
pub struct RunScope {
    pub plugin: String,
    pub grants: Arc<Grants>,
    pub call: RunCall,
    pub limits: Limits,
    pub output: Arc<dyn RunOutput>,
    /// Knows the secrets that the run may send.
    pub redactor: Arc<Redactor>,
    pub services: Arc<Services>,
    pub started: Instant,
    /// When the run is ended at the latest.
    pub deadline: Instant,
    denials: AtomicU32,
}

/// What one call costs beside its bytes, so that calls without any are bounded too.
const CALL_OVERHEAD: usize = 64;
/// Handles to what the host holds for one run.
pub(super) const HANDLES: usize = 1000;
/// Each may hold some MiB of buffers.
const TRANSFERS: usize = 8;
const REQUESTS: usize = 8;
/// Denials of one run that are written to the audit log; a loop of them would fill it.
const AUDITED_DENIALS: u32 = 20;
/// Of a refused name, how much the audit log keeps.
const TARGET_BYTES: usize = 500;

impl RunState {
    pub(super) fn new(run: RunScope, memory: MemoryLimiter) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        let log = crate::plugins::capabilities::log::LogBudget::new(run.limits.log_kib);
        Self {
            run: Arc::new(run),
            table,
            memory,
            call_bytes: 0,
            transfers: Arc::new(Semaphore::new(TRANSFERS)),
            requests: Arc::new(Semaphore::new(REQUESTS)),
            messages: 0,
            host_time: HostTime::default(),
            log,
        }
    }

    /// Counts the bytes of one call. Every host function calls this once, with what the guest handed over; and with
    /// what it gets where that is more than some numbers.
    ///
    /// # Errors
    /// A trap, once the run's limit is reached.
    pub fn charge(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.call_bytes = self.call_bytes.saturating_add((bytes + CALL_OVERHEAD) as u64);
        if self.call_bytes > u64::from(self.run.limits.host_call_mib) << 20 {
            return Err(LimitReached::HostCalls(self.run.limits.host_call_mib).into());
        }
        Ok(())
    }

    /// A place for one upload, download or dump; it is free again when the answer is dropped.
    ///
    /// # Errors
    /// `too-large`, where the run has too many open already.
    pub fn begin_transfer(&self) -> Result<Transfer, CallError> {
        match Arc::clone(&self.transfers).try_acquire_owned() {
            Ok(place) => Ok(Transfer { _place: place }),
            Err(_) => Err(CallError::too_large(format!(
                "this run has {TRANSFERS} uploads, downloads and dumps open, and that is the most; finish one first"
            ))),
        }
    }

    /// Counts a message to the owner; answers how many there were with it.
    pub fn count_message(&mut self) -> u32 {
        self.messages = self.messages.saturating_add(1);
        self.messages
    }

    /// Places for requests that are under way; a request waits for one.
    pub fn request_places(&self) -> Arc<Semaphore> {
        Arc::clone(&self.requests)
    }
}

/// An open upload, download or dump; keep it with what it stands for.
#[derive(Debug)]
pub struct Transfer {
    _place: OwnedSemaphorePermit,
}

impl RunScope {
    pub(super) fn new<Code>(
        plugin: &LoadedPlugin<Code>,
        call: RunCall,
        limits: Limits,
        output: Arc<dyn RunOutput>,
        redactor: Arc<Redactor>,
        services: Arc<Services>,
        deadline: Instant,
    ) -> Self {
        let (plugin, grants) = (plugin.manifest.name.clone(), Arc::clone(&plugin.grants));
        let started = Instant::now();
        Self { plugin, grants, call, limits, output, redactor, services, started, deadline, denials: AtomicU32::new(0) }
    }

    /// How far a power reaches; nowhere, where it isn't granted.
    pub fn scope(&self, capability: Capability) -> &Scope {
        static NOTHING: Scope =
            Scope { databases: Vec::new(), stores: Vec::new(), hosts: Vec::new(), secrets: Vec::new() };
        self.grants.scopes.get(&capability).unwrap_or(&NOTHING)
    }

    /// Refuses what the grant leaves out, and writes it into the audit log.
    ///
    /// `target` names what was wanted, as `database project:x`.
    pub fn denied(&self, capability: Capability, target: &str) -> CallError {
        self.record_denial(capability, target);
        CallError::new(
            ErrorCode::Denied,
            format!(
                "the grant of plugin `{}` for `{capability}` leaves out {target}; approve the plugin again with it in the scope",
                self.plugin
            ),
        )
    }

    /// Writes a refusal into the audit log; [`RunScope::denied`] does so itself.
    pub fn record_denial(&self, capability: Capability, target: &str) {
        if self.denials.fetch_add(1, Ordering::Relaxed) >= AUDITED_DENIALS {
            return;
        }
        let mut entry = NewAuditEntry::new("system", "plugin.denied");
        entry.target = Some(self.plugin.clone());
        entry.project_id.clone_from(&self.call.project);
        entry.result = api_types::AuditResult::Denied;
        entry.details = serde_json::json!({
            "capability": capability.as_str(),
            "wanted": &target[..target.floor_char_boundary(TARGET_BYTES)],
            "runId": self.call.run_id,
            "job": self.call.job,
        });
        let pool = self.services.platform.clone();
        // Not part of the run: the entry stays when the run is ended.
        tokio::spawn(async move { record_or_log(&pool, &entry).await });
    }
}

impl CountsBytes for RunState {
    fn count_bytes(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.charge(bytes)
    }

    fn host_time(&self) -> HostTime {
        self.host_time.clone()
    }
}
