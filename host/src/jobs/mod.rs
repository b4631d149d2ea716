//! Jobs: what runs on a schedule or by hand, and the history of its runs.
//!
//! Deliberately absent: WebAssembly. A job is run by a [`JobRunner`]; the plugins' floor provides it.

pub mod notify;
mod runner;

pub use runner::{JobRunner, LineLevel, RunCall, RunFailure, RunOutput, RunRefusal, RunReport};
