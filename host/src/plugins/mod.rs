//! Plugins: signed, sandboxed WebAssembly components that do the work of jobs.
//!
//! Deliberately absent: trust in what a plugin says of itself. Its manifest asks; the owner's grant decides; the linker
//! holds what was granted and nothing else. No shell, no WASI, no compiled code read from disk.

pub mod builtin;
mod loaded;

pub use loaded::{Grants, LoadedPlugin};
