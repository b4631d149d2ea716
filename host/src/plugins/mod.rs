//! Plugins: signed, sandboxed WebAssembly components that do the work of jobs.
//!
//! In reading order: [`manifest`] (what a file says of itself), [`loaded`] (what passed every check), [`runtime`] (runs
//! it within its limits), [`capabilities`] (what it can do there).
//!
//! Deliberately absent: trust in what a plugin says of itself. Its manifest asks; the owner's grant decides; the linker
//! holds what was granted and nothing else. No shell, no WASI, no compiled code read from disk.

mod backup_catalogue;
pub mod capabilities;
mod loaded;
mod manifest;
pub mod runtime;

pub use backup_catalogue::{BackupCatalogue, CatalogueEntry, CatalogueError, NewBackup, RunLease};
pub use loaded::{Grants, LoadedPlugin};
pub use manifest::{ReadManifestError, read_manifest};
