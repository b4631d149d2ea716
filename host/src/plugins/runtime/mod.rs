//! Runs plugins: compiles a component, links what was granted, and holds each run to its limits.
//!
//! In reading order: [`engine`] and [`compile`] (bytes to code), [`run`] (one run from start to end) with [`state`]
//! (what its store holds), [`redacted`] (what it tells, without secrets), [`limits`], [`metered`] (processor time) and [`outcome`] (what it ended with, in words), then
//! [`linked`] (code kept ready per grant), [`bindings`] (made from `wit/`), [`call_error`] and [`streams`] for the
//! capabilities.
//!
//! A run has a store of its own. Its time and its cancelling stand outside of it: ending a run is dropping the store,
//! and with it every future of the host that it was waiting for. So each of those undoes what it began when it is dropped.
//!
//! Compiling itself is `plugin_compiler`'s, in a process of its own.
//!
//! Deliberately absent: WASI, a cache of machine code on disk, threads in guests, more than one run in a store.

pub mod bindings;
mod call_error;
mod compile;
mod engine;
mod limits;
mod linked;
mod metered;
mod outcome;
mod redacted;
mod run;
mod state;
pub mod streams;

pub use call_error::CallError;
pub use compile::{CompileError, CompiledPlugin, MAX_COMPONENT_BYTES};
pub use engine::{Engine, EngineError};
pub use limits::{HostLimits, LimitReached};
pub use metered::HostTime;
pub use plugin_compiler::Compiler;
pub use run::Runtime;
pub use state::{Accessor, Host, RunScope, RunState, Transfer};
