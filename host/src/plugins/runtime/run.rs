use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use dashmap::DashMap;
use futures_util::FutureExt;
use plugin_manifest::{Limits, Manifest};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep_until,
};
use tokio_util::sync::CancellationToken;
use wasmtime::{Store, UpdateDeadline};

use super::{
    CompiledPlugin, Engine, HostLimits,
    bindings::{
        PluginPre,
        exports::atlashub::plugin::job::{Error as JobError, RunContext},
    },
    limits::{LimitReached, MemoryLimiter, SharedMemory},
    linked::LinkedPlugins,
    metered::Metered,
    outcome,
    redacted::{self, RedactedOutput},
    state::{RunScope, RunState},
};
use crate::{
    jobs::{LineLevel, Redactor, RunCall, RunFailure, RunOutput, RunReport},
    plugins::{LoadedPlugin, capabilities::Services},
};

/// What a guest may hand over in one call, in bytes; the largest that any function wants is 1 MiB and some text.
pub(super) const CALL_BYTES: usize = 4 << 20;
/// Handles of a guest: resources, streams, futures, calls under way.
const HANDLES: usize = 4096;

/// Runs plugins, each run in a store of its own.
pub struct Runtime {
    engine: Engine,
    limits: HostLimits,
    services: Arc<Services>,
    linked: LinkedPlugins,
    memory: Arc<SharedMemory>,
    all_runs: Arc<Semaphore>,
    /// Places of each file.
    plugin_runs: DashMap<[u8; 32], Arc<Semaphore>>,
}

impl Runtime {
    pub fn new(engine: Engine, limits: HostLimits, services: Arc<Services>) -> Self {
        Self {
            engine,
            services,
            linked: LinkedPlugins::new(),
            memory: SharedMemory::new(limits.total_memory_mib),
            all_runs: Arc::new(Semaphore::new(limits.total_runs as usize)),
            plugin_runs: DashMap::new(),
            limits,
        }
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Of one run: the lower of the manifest's and the host's.
    pub fn limits(&self, manifest: &Manifest) -> Limits {
        self.limits.for_run(&manifest.limits)
    }

    /// Runs `call.job` to its end, to its time limit, or until `cancel`, and returns within 100 ms of the last two,
    /// whatever the guest does. Dropping the future ends the run as well. Waiting for other runs to end takes none of
    /// its time.
    ///
    /// Whether the parameters fit the job's schema was checked before.
    ///
    /// # Errors
    /// Why the run is no success, in words for its history.
    pub async fn run(
        &self,
        plugin: &LoadedPlugin<CompiledPlugin>,
        call: RunCall,
        output: Arc<dyn RunOutput>,
        cancel: CancellationToken,
    ) -> Result<RunReport, RunFailure> {
        let limits = self.limits(&plugin.manifest);
        let wall = Duration::from_secs(u64::from(limits.wall_seconds));
        let redactor = Arc::new(Redactor::from_secrets(call.secrets.iter().chain(&plugin.grants.secrets)));
        let output: Arc<dyn RunOutput> = Arc::new(RedactedOutput::new(output, Arc::clone(&redactor)));
        let places = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(RunFailure::Cancelled),
            places = self.places(plugin, &limits) => places,
        };
        output.started();
        let timeout = call.timeout;
        let deadline = Instant::now() + wall.min(timeout);
        let attempt = self.attempt(plugin, call, limits, Arc::clone(&output), Arc::clone(&redactor), deadline);
        let outcome = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(RunFailure::Cancelled),
            () = sleep_until(deadline.into()) => {
                if wall < timeout {
                    let message = format!("Ended: it reached its time limit of {} s.", wall.as_secs());
                    output.log(LineLevel::Error, &message, serde_json::Value::Null);
                }
                Err(RunFailure::TimedOut)
            }
            // A fault of the host's own code must not take the scheduler with it.
            outcome = AssertUnwindSafe(attempt).catch_unwind() => outcome.unwrap_or_else(|_| {
                tracing::error!(plugin = plugin.manifest.name, "the host panicked in a plugin's run");
                Err(outcome::failed("AtlasHub itself failed while it ran the plugin; its own log says more."))
            }),
        };
        drop(places);
        redacted::outcome(&redactor, outcome)
    }

    async fn attempt(
        &self,
        plugin: &LoadedPlugin<CompiledPlugin>,
        call: RunCall,
        limits: Limits,
        output: Arc<dyn RunOutput>,
        redactor: Arc<Redactor>,
        deadline: Instant,
    ) -> Result<RunReport, RunFailure> {
        let linked = self.linked.get(&self.engine.wasmtime, plugin).map_err(|error| outcome::refused(&error))?;
        let context = RunContext {
            run_id: call.run_id.to_string(),
            job: call.job.clone(),
            attempt: call.attempt,
            scheduled_for: call.scheduled_for.and_then(|at| u64::try_from(at.timestamp_millis()).ok()),
            project: call.project.clone(),
        };
        let params = call.params.to_string();
        let run = RunScope::new(plugin, call, limits, output, redactor, Arc::clone(&self.services), deadline);
        let mut store = self.store(run, &limits);
        let _ticking = self.engine.ticker.run();
        let processor_time = Duration::from_secs(u64::from(limits.cpu_seconds));
        let host_time = store.data().host_time.clone();
        let ended = Metered::new(call_job(&linked, &mut store, context, params), processor_time, host_time).await;
        let state = store.into_data();
        outcome::say_what_was_left_out(&state);
        match ended {
            Ok(Ok(answer)) => outcome::report(answer),
            Ok(Err(error)) => Err(outcome::trapped(&error, &state)),
            Err(_) => Err(outcome::limit_reached(LimitReached::ProcessorTime(limits.cpu_seconds))),
        }
    }

    /// Waits until the plugin, and the host, has a run fewer.
    async fn places(&self, plugin: &LoadedPlugin<CompiledPlugin>, limits: &Limits) -> Places<'_> {
        let of_plugin = self
            .plugin_runs
            .entry(plugin.sha256)
            .or_insert_with(|| Arc::new(Semaphore::new(limits.concurrent_runs as usize)))
            .clone();
        let mut places = Places { runtime: self, sha256: plugin.sha256, of_plugin: None, of_all: None };
        // Neither is ever closed.
        places.of_plugin = of_plugin.acquire_owned().await.ok();
        places.of_all = Arc::clone(&self.all_runs).acquire_owned().await.ok();
        places
    }

    fn store(&self, run: RunScope, limits: &Limits) -> Store<RunState> {
        let memory = MemoryLimiter::new(Arc::clone(&self.memory), limits.memory_mib);
        let mut store = Store::new(&self.engine.wasmtime, RunState::new(run, memory));
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(CALL_BYTES);
        store.set_max_component_handles(HANDLES);
        store.set_epoch_deadline(1);
        // Tokio's own yield: it looks after timers and sockets before this task has its turn again.
        store.epoch_deadline_callback(|_| Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))));
        store
    }
}

/// What the guest answered; an error is a trap.
async fn call_job(
    linked: &PluginPre<RunState>,
    store: &mut Store<RunState>,
    context: RunContext,
    params: String,
) -> wasmtime::Result<Result<String, JobError>> {
    let plugin = linked.instantiate_async(&mut *store).await?;
    store
        .run_concurrent(async |accessor| plugin.atlashub_plugin_job().call_run(accessor, context, params).await)
        .await?
}

/// One run's places; given back when dropped.
struct Places<'a> {
    runtime: &'a Runtime,
    sha256: [u8; 32],
    of_plugin: Option<OwnedSemaphorePermit>,
    of_all: Option<OwnedSemaphorePermit>,
}

impl Drop for Places<'_> {
    fn drop(&mut self) {
        self.of_all.take();
        self.of_plugin.take();
        self.runtime.plugin_runs.remove_if(&self.sha256, |_, places| Arc::strong_count(places) == 1);
    }
}
