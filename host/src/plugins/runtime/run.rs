//! Executes runs: waits for permits, creates the store, calls the guest, and ends with an outcome.

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
    Engine, HostLimits, RunnablePlugin,
    host_limits::{MAX_CALL_BYTES, OWN_RUNS},
    linked::LinkedPlugins,
    outcome,
    redacted::{RedactedOutput, redact_outcome},
    turns::Turns,
};
use crate::{
    egress::Egress,
    jobs::{LineLevel, Redactor, RunCall, RunFailure, RunOutput, RunReport},
    plugins::guest::{
        AuditedDenials, CallLimits, LimitReached, LoggedFailures, Metered, Permits, RunScope, RunState, Services,
        SharedMemory, SharedPermits,
        bindings::{
            PluginPre,
            exports::atlashub::plugin::job::{Error as JobError, RunContext},
        },
    },
};

/// Maximum number of component-model handles of a guest: resources, streams, futures and pending calls.
const MAX_COMPONENT_HANDLES: usize = 4096;

/// Runs plugins, each run in its own store.
pub struct Runtime {
    engine: Engine,
    limits: HostLimits,
    services: Arc<Services>,
    linked: LinkedPlugins,
    memory: SharedMemory,
    turns: Turns,
    calls: CallLimits,
    run_permits: SharedPermits,
    /// Run permits of each file, by SHA-256.
    plugin_permits: DashMap<[u8; 32], Arc<Semaphore>>,
}

impl Runtime {
    pub fn new(engine: Engine, limits: HostLimits, services: Arc<Services>) -> Self {
        Self {
            engine,
            services,
            linked: LinkedPlugins::new(),
            memory: SharedMemory::new(limits.total_memory_mib),
            turns: Turns::new(),
            calls: CallLimits::new(&limits.config),
            run_permits: SharedPermits::new(limits.total_runs as usize, OWN_RUNS as usize),
            plugin_permits: DashMap::new(),
            limits,
        }
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Returns the client that sends the requests of plugins.
    pub fn egress(&self) -> &Egress {
        &self.services.egress
    }

    /// Returns the limits of a run: for each, the lower of the manifest's and the host's.
    pub fn limits(&self, manifest: &Manifest) -> Limits {
        self.limits.for_run(&manifest.limits)
    }

    /// Runs `call.job` until it ends, exceeds its time limit or is cancelled. In the last two cases, returns within
    /// 100 ms, even if the guest computes endlessly. Dropping the future stops the run as well. Time spent waiting for
    /// a run permit does not count towards the time limit.
    ///
    /// The caller must have checked the parameters against the job's schema.
    ///
    /// # Errors
    /// Returns the reason why the run failed, as shown in its history.
    pub async fn run(
        &self,
        plugin: &RunnablePlugin,
        call: RunCall,
        output: Arc<dyn RunOutput>,
        cancel: CancellationToken,
    ) -> Result<RunReport, RunFailure> {
        let limits = self.limits(&plugin.manifest);
        let wall_limit = Duration::from_secs(u64::from(limits.wall_seconds));
        let redactor = Arc::new(Redactor::from_secrets(call.secrets.iter().chain(&plugin.grants.secrets)));
        let output: Arc<dyn RunOutput> = Arc::new(RedactedOutput::new(output, Arc::clone(&redactor)));
        let permits = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(RunFailure::Cancelled),
            permits = self.acquire_permits(plugin, &limits) => permits,
        };
        output.started();
        let started = Instant::now();
        let timeout = call.timeout;
        let deadline = started + wall_limit.min(timeout);
        let scope = RunScope {
            plugin: plugin.manifest.name.clone(),
            grants: Arc::clone(&plugin.grants),
            call,
            limits,
            output: Arc::clone(&output),
            redactor: Arc::clone(&redactor),
            services: Arc::clone(&self.services),
            started,
            deadline,
            denials: AuditedDenials::new(self.services.platform.clone()),
            calls: self.calls.for_run(&plugin.manifest.name),
            failures: LoggedFailures::default(),
        };
        let outcome = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(RunFailure::Cancelled),
            () = sleep_until(deadline.into()) => {
                if wall_limit < timeout {
                    let message =
                        format!("Stopped: the run exceeded its time limit of {} s.", wall_limit.as_secs());
                    output.log(LineLevel::Error, &message, serde_json::Value::Null);
                }
                Err(RunFailure::TimedOut)
            }
            // A panic in the host's code must not end the scheduler.
            outcome = AssertUnwindSafe(self.execute(plugin, scope)).catch_unwind() => outcome.unwrap_or_else(|_| {
                tracing::error!(plugin = plugin.manifest.name, "the host panicked during a plugin's run");
                Err(RunFailure::temporary("AtlasHub failed while it ran the plugin; see the server's log."))
            }),
        };
        drop(permits);
        redact_outcome(&redactor, outcome)
    }

    async fn execute(&self, plugin: &RunnablePlugin, scope: RunScope) -> Result<RunReport, RunFailure> {
        let linked = self.linked.get(&self.engine.wasmtime, plugin).map_err(|error| outcome::link_failed(&error))?;
        let call = &scope.call;
        let context = RunContext {
            run_id: call.run_id.to_string(),
            job: call.job.clone(),
            attempt: call.attempt,
            scheduled_for: call.scheduled_for.and_then(|at| u64::try_from(at.timestamp_millis()).ok()),
            project: call.project.clone(),
        };
        let (params, limits) = (call.params.to_string(), scope.limits);
        let mut store = self.new_store(scope);
        let _ticking = self.engine.ticker.start_run();
        let processor_time = Duration::from_secs(u64::from(limits.cpu_seconds));
        let host_time = store.data().host_time.clone();
        let metered = Metered::new(call_job(&linked, &mut store, context, params), processor_time, host_time);
        let outcome = self.turns.take(&plugin.manifest.name, metered).await;
        let mut state = store.into_data();
        match outcome {
            Ok(Ok(result)) => outcome::report(result),
            Ok(Err(error)) => Err(outcome::trapped(&error, &mut state)),
            Err(_) => Err(outcome::limit_reached(LimitReached::ProcessorTime(limits.cpu_seconds))),
        }
    }

    /// Waits until both the plugin and the host may start another run.
    async fn acquire_permits(&self, plugin: &RunnablePlugin, limits: &Limits) -> RunPermits<'_> {
        let plugin_permits = self
            .plugin_permits
            .entry(plugin.sha256)
            .or_insert_with(|| Arc::new(Semaphore::new(limits.concurrent_runs as usize)))
            .clone();
        let mut permits = RunPermits { runtime: self, sha256: plugin.sha256, plugin: None, host: None };
        // Neither semaphore is ever closed.
        permits.plugin = plugin_permits.acquire_owned().await.ok();
        permits.host = self.run_permits.of_plugin(&plugin.manifest.name).acquire().await;
        permits
    }

    fn new_store(&self, scope: RunScope) -> Store<RunState> {
        let memory = self.memory.limiter(&scope.plugin, scope.limits.memory_mib);
        let mut store = Store::new(&self.engine.wasmtime, RunState::new(scope, memory));
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(MAX_CALL_BYTES);
        store.set_max_component_handles(MAX_COMPONENT_HANDLES);
        store.set_epoch_deadline(1);
        // tokio polls timers and sockets before a task that yielded runs again.
        store.epoch_deadline_callback(|_| Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))));
        store
    }
}

/// Calls the guest's `run`. The outer error is a trap. The inner error is the guest's own.
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

/// Permits of one run, released on drop.
struct RunPermits<'a> {
    runtime: &'a Runtime,
    sha256: [u8; 32],
    plugin: Option<OwnedSemaphorePermit>,
    host: Option<Permits>,
}

impl Drop for RunPermits<'_> {
    fn drop(&mut self) {
        self.host.take();
        self.plugin.take();
        self.runtime.plugin_permits.remove_if(&self.sha256, |_, permits| Arc::strong_count(permits) == 1);
    }
}
