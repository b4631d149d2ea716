//! Runs plugins: compiles a component, links the granted capabilities, and enforces the limits of each run.
//!
//! In reading order: [`engine`] and [`compile`] (bytes to machine code), [`runnable`] (the parts of a plugin that a run
//! needs), [`linked`] (cache of linked components), [`run`] (one run from start to end) with [`host_limits`],
//! [`turns`] (limits how many guests compute at a time), [`redacted`] (output without secrets) and [`outcome`] (results
//! and errors, as shown in the run's history).
//!
//! Each run has its own store. Timeout and cancellation drop the store, and with it every host future that the guest
//! waits for. On drop, each of these futures undoes what it started, or leaves a state that a sweep repairs.
//!
//! Compilation itself happens in `plugin_compiler`, in a separate process.
//!
//! Deliberately absent: WASI, a cache of machine code on disk, threads in guests and more than one run per store.

mod compile;
mod engine;
mod host_limits;
mod linked;
mod outcome;
mod redacted;
mod run;
mod runnable;
mod turns;

pub use compile::{CompileError, CompiledPlugin};
pub use engine::{Engine, EngineError};
pub use host_limits::HostLimits;
pub(super) use host_limits::OWN_RUNS;
pub use plugin_compiler::Compiler;
pub use run::Runtime;
pub use runnable::RunnablePlugin;
