use std::{
    sync::{Arc, Condvar, Mutex, PoisonError, Weak},
    thread,
    time::Duration,
};

use plugin_compiler::Compiler;
use tokio::sync::Semaphore;
use wasmtime::{Config, Enabled, PoolingAllocationConfig};

use super::{
    compile::{CompileError, CompiledPlugin, check_file},
    limits::{HostLimits, INSTANCES, MEMORIES, TABLE_ELEMENTS},
};

/// How often a guest that computes hands the thread back, and so how fast it can be stopped.
const TICK: Duration = Duration::from_millis(10);

/// Stacks of a run: a plugin of one module has one or two, one of several components one for each call between them that
/// waits.
const STACKS: u32 = 4;
/// For those runs that have more. Each is two mappings, of which a process may have some ten thousands.
const MORE_STACKS: u32 = 128;
/// Of what the host keeps of an instance beside its memory; grows with the number of its functions.
const INSTANCE_BYTES: usize = 16 << 20;
/// Places whose pages are kept for the next run of the same plugin.
const WARM_SLOTS: u32 = 16;
/// Of the memory and of each table of such a place.
const KEPT_BYTES: usize = 256 << 10;

/// Compiles plugins and carries what their code needs. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pub(super) wasmtime: wasmtime::Engine,
    pub(super) ticker: Arc<Ticker>,
    compiler: Compiler,
    compilations: Arc<Semaphore>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("WebAssembly can't be run on this machine: {0}")]
    Unsupported(String),
    #[error("the thread that interrupts plugins can't be started: {0}")]
    Ticker(#[from] std::io::Error),
}

impl Engine {
    /// # Errors
    /// Where the processor or the operating system lacks what the compiler needs.
    pub fn new(limits: &HostLimits, compiler: Compiler) -> Result<Self, EngineError> {
        let wasmtime = match wasmtime::Engine::new(&pooled(limits)) {
            Ok(engine) => engine,
            // Where a process has less address space than usual, each run maps memory of its own.
            Err(error) => {
                tracing::warn!(%error, "places for plugins' memory could not be laid out beforehand");
                wasmtime::Engine::new(&plugin_compiler::configuration())
                    .map_err(|error| EngineError::Unsupported(format!("{error:#}")))?
            }
        };
        Ok(Self {
            ticker: Ticker::start(wasmtime.clone())?,
            wasmtime,
            compiler,
            compilations: Arc::new(Semaphore::new(limits.compilations as usize)),
        })
    }

    /// The engine below, for measuring without a run around it.
    pub fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasmtime
    }

    /// Compiles a component. Call it only for bytes whose signature was checked: a compiler is a large surface.
    ///
    /// # Errors
    /// What keeps the file from being a plugin.
    pub async fn compile(&self, component: Arc<[u8]>) -> Result<CompiledPlugin, CompileError> {
        check_file(&component)?;
        let _permit = self.compilations.acquire().await.map_err(|_| CompileError::Stopped)?;
        let component = self.compiler.compile(&self.wasmtime, component).await?;
        CompiledPlugin::new(&self.wasmtime, component)
    }
}

/// With places for the memory, tables and stacks of all runs laid out once: a run then costs no mapping and unmapping.
/// That takes address space, and memory only while it is used.
fn pooled(limits: &HostLimits) -> Config {
    let runs = limits.total_runs;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(runs)
        .total_core_instances(runs.saturating_mul(INSTANCES))
        .total_memories(runs.saturating_mul(MEMORIES))
        .total_tables(runs.saturating_mul(INSTANCES))
        .total_stacks(runs.saturating_mul(STACKS).saturating_add(MORE_STACKS))
        .table_elements(TABLE_ELEMENTS)
        // Of one run the limiter decides: what is refused here would be no file for any host.
        .max_core_instances_per_component(INSTANCES)
        .max_tables_per_component(INSTANCES)
        .max_tables_per_module(INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_core_instance_size(INSTANCE_BYTES)
        .max_component_instance_size(INSTANCE_BYTES)
        .max_unused_warm_slots(WARM_SLOTS);
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        // What a run has written is found and restored, without giving the pages back and asking for them anew.
        pool.pagemap_scan(Enabled::Yes).linear_memory_keep_resident(KEPT_BYTES).table_keep_resident(KEPT_BYTES);
    }
    let mut config = plugin_compiler::configuration();
    config.allocation_strategy(pool);
    config
}

/// Advances the epoch while anything runs, and sleeps otherwise.
pub(super) struct Ticker {
    running: Mutex<usize>,
    changed: Condvar,
}

impl Ticker {
    fn start(engine: wasmtime::Engine) -> std::io::Result<Arc<Self>> {
        let ticker = Arc::new(Self { running: Mutex::new(0), changed: Condvar::new() });
        let weak = Arc::downgrade(&ticker);
        thread::Builder::new().name("plugin-ticker".to_owned()).spawn(move || tick(&weak, &engine))?;
        Ok(ticker)
    }

    /// The epoch advances at least until the answer is dropped.
    pub(super) fn run(self: &Arc<Self>) -> Ticking {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.changed.notify_all();
        Ticking(Arc::clone(self))
    }
}

/// Something runs.
pub(super) struct Ticking(Arc<Ticker>);

impl Drop for Ticking {
    fn drop(&mut self) {
        *self.0.running.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
    }
}

fn tick(ticker: &Weak<Ticker>, engine: &wasmtime::Engine) {
    /// How long an unused engine may outlive its last handle.
    const LOOK_AFTER: Duration = Duration::from_secs(5);
    while let Some(ticker) = ticker.upgrade() {
        let running = ticker.running.lock().unwrap_or_else(PoisonError::into_inner);
        let (running, _) = ticker
            .changed
            .wait_timeout_while(running, LOOK_AFTER, |running| *running == 0)
            .unwrap_or_else(PoisonError::into_inner);
        let busy = *running > 0;
        drop(running);
        if busy {
            thread::park_timeout(TICK);
            engine.increment_epoch();
        }
    }
}
