use std::{
    sync::{Arc, Condvar, Mutex, PoisonError, Weak},
    thread,
    time::Duration,
};

use plugin_compiler::Compiler;
use tokio::sync::Semaphore;

use super::{
    compile::{CompileError, CompiledPlugin, check_file},
    limits::HostLimits,
};

/// How often a guest that computes hands the thread back, and so how fast it can be stopped.
const TICK: Duration = Duration::from_millis(10);

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
        let wasmtime = wasmtime::Engine::new(&plugin_compiler::configuration())
            .map_err(|error| EngineError::Unsupported(format!("{error:#}")))?;
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
