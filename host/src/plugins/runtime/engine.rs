//! The wasmtime engine: its configuration, its pool of memory, and its clock.

use std::{
    sync::{Arc, Weak},
    thread,
    time::Duration,
};

use parking_lot::{Condvar, Mutex};
use plugin_compiler::Compiler;
use tokio::sync::Semaphore;
use wasmtime::{Config, Enabled, PoolingAllocationConfig};

use super::{
    HostLimits,
    compile::{CompileError, CompiledPlugin, check_file},
    host_limits::OWN_RUNS,
};
use crate::plugins::guest::{MAX_INSTANCES, MAX_MEMORIES, MAX_TABLE_ELEMENTS};

/// Interval at which a computing guest yields. This bounds the time that stopping it takes.
const TICK_INTERVAL: Duration = Duration::from_millis(10);
/// Maximum time for which the ticker thread outlives the last handle of its engine.
const TICKER_IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// Stacks reserved per run. A plugin of one module uses one or two. A plugin of several components uses one for each
/// pending call between them.
const STACKS_PER_RUN: u32 = 4;
/// Shared reserve for runs that need more stacks. Each stack takes two memory mappings, of which a process may have
/// some tens of thousands.
const SPARE_STACKS: u32 = 128;
/// Maximum host memory of an instance, in addition to its linear memory. It grows with the number of functions.
const MAX_INSTANCE_BYTES: usize = 16 << 20;
/// Number of pool slots whose pages are kept for the next run of the same plugin.
const WARM_SLOTS: u32 = 16;
/// Number of bytes of the memory, and of each table, of a warm slot that stay resident.
const RESIDENT_BYTES: usize = 256 << 10;

/// The wasmtime engine and the compiler of plugins. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pub(super) wasmtime: wasmtime::Engine,
    pub(super) ticker: Arc<Ticker>,
    compiler: Compiler,
    max_file_bytes: usize,
    compile_memory_mib: u32,
    compilations: Arc<Semaphore>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

/// The reason why the engine can't be created.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("WebAssembly can't be run on this machine: {0}")]
    Unsupported(String),
    #[error("the thread that interrupts plugins can't be started: {0}")]
    Ticker(#[from] std::io::Error),
}

impl Engine {
    /// Creates an engine with pooled memory.
    ///
    /// # Errors
    /// Returns an error if the processor or the operating system lacks a required feature, or if the ticker thread
    /// can't be started.
    pub fn new(limits: &HostLimits, compiler: Compiler) -> Result<Self, EngineError> {
        let wasmtime = match wasmtime::Engine::new(&pooled_configuration(limits)) {
            Ok(engine) => engine,
            // The pool may need more address space than the process has. Without a pool, each run maps its own memory.
            Err(error) => {
                tracing::warn!(%error, "memory for plugins can't be pooled; each run maps its own");
                wasmtime::Engine::new(&plugin_compiler::configuration())
                    .map_err(|error| EngineError::Unsupported(format!("{error:#}")))?
            }
        };
        Ok(Self {
            ticker: Ticker::start(wasmtime.clone())?,
            wasmtime,
            compiler,
            max_file_bytes: limits.config.max_file_bytes(),
            compile_memory_mib: limits.config.compile_memory_mib,
            compilations: Arc::new(Semaphore::new(limits.compilations as usize)),
        })
    }

    /// Returns the underlying engine.
    pub fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasmtime
    }

    /// Compiles a component. Call this only with bytes whose signature was checked, because a compiler is a large
    /// attack surface.
    ///
    /// # Errors
    /// Returns the reason why the component can't be compiled.
    pub async fn compile(&self, component: Arc<[u8]>) -> Result<CompiledPlugin, CompileError> {
        check_file(&component, self.max_file_bytes)?;
        let _permit = self.compilations.acquire().await.map_err(|_| CompileError::Stopped)?;
        let component = self.compiler.compile(&self.wasmtime, component, self.compile_memory_mib).await?;
        CompiledPlugin::new(&self.wasmtime, component)
    }
}

/// Returns a configuration that maps the memory, tables and stacks of all runs once, so that a run needs no mapping of
/// its own.
///
/// The pool reserves address space, and uses memory only for pages that a run uses. With the default of 64 runs, it
/// reserves 3.3 GiB for tables (0.8 MB each) and 1.1 TiB for linear memories (4 GiB each, so that no access needs a
/// check). A higher [`MAX_INSTANCES`] costs address space only for tables, because an instance itself is allocated when
/// a run creates it.
fn pooled_configuration(limits: &HostLimits) -> Config {
    let runs = limits.total_runs.saturating_add(OWN_RUNS);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(runs)
        .total_core_instances(runs.saturating_mul(MAX_INSTANCES))
        .total_memories(runs.saturating_mul(MAX_MEMORIES))
        .total_tables(runs.saturating_mul(MAX_INSTANCES))
        .total_stacks(runs.saturating_mul(STACKS_PER_RUN).saturating_add(SPARE_STACKS))
        .table_elements(MAX_TABLE_ELEMENTS)
        // Limits per component. They are not lower than those of a run's limiter, so that the pool rejects only
        // components that exceed the limits of any run.
        .max_core_instances_per_component(MAX_INSTANCES)
        .max_tables_per_component(MAX_INSTANCES)
        .max_tables_per_module(MAX_INSTANCES)
        .max_memories_per_module(MAX_MEMORIES)
        .max_memories_per_component(MAX_MEMORIES)
        .max_core_instance_size(MAX_INSTANCE_BYTES)
        .max_component_instance_size(MAX_INSTANCE_BYTES)
        .max_unused_warm_slots(WARM_SLOTS);
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        // Finds and resets the pages that a run wrote, instead of unmapping and mapping them again.
        pool.pagemap_scan(Enabled::Yes).linear_memory_keep_resident(RESIDENT_BYTES).table_keep_resident(RESIDENT_BYTES);
    }
    let mut config = plugin_compiler::configuration();
    config.allocation_strategy(pool);
    config
}

/// Advances the epoch while plugins run.
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

    /// Keeps the epoch advancing until the returned value is dropped.
    pub(super) fn start_run(self: &Arc<Self>) -> Ticking {
        *self.running.lock() += 1;
        self.changed.notify_all();
        Ticking(Arc::clone(self))
    }
}

/// Keeps the epoch advancing until it is dropped.
pub(super) struct Ticking(Arc<Ticker>);

impl Drop for Ticking {
    fn drop(&mut self) {
        *self.0.running.lock() -= 1;
    }
}

fn tick(ticker: &Weak<Ticker>, engine: &wasmtime::Engine) {
    while let Some(ticker) = ticker.upgrade() {
        let mut running = ticker.running.lock();
        ticker.changed.wait_while_for(&mut running, |running| *running == 0, TICKER_IDLE_TIMEOUT);
        let is_busy = *running > 0;
        drop(running);
        if is_busy {
            thread::park_timeout(TICK_INTERVAL);
            engine.increment_epoch();
        }
    }
}
