//! Plugins: signed, sandboxed WebAssembly components that do the work of jobs.
//!
//! The folders follow a plugin from its file to its run:
//! 1. [`package`]: the signed file, its manifest, and the sources of files.
//! 2. [`trust`]: checks the signature and the owner's approval; keys, approvals and revocations.
//! 3. `loading`: compares files and trust with what is loaded, and loads or unloads plugins.
//! 4. [`runtime`]: compiles, links and runs them, with limits.
//! 5. [`guest`]: the data of a run, and [`capabilities`]: the host functions that a run can call.
//!
//! A plugin passes through these types: [`SignedFile`](package::SignedFile) →
//! [`InspectedPlugin`](trust::InspectedPlugin) → [`VerifiedPlugin`](trust::VerifiedPlugin) → [`LoadedPlugin`], which
//! contains the [`RunnablePlugin`](runtime::RunnablePlugin). A `Slot` (`loading/slots.rs`) contains the state of a
//! plugin, loaded or not, that the API shows to the owner.
//!
//! At the root: [`service`] (all plugins of this process), [`runner`] (runs jobs), [`routes`] and [`key_routes`] (admin
//! API), [`listing`] (plugins as the API returns them), [`usage`] (the jobs that use a plugin), [`tooling`] (command
//! line) and [`errors`].
//!
//! Deliberately absent: trust in manifests. A manifest requests, the owner's grant decides, and the linker contains
//! only interfaces that were granted or need no grant. Also absent: a shell, WASI and compiled code read from disk.
//! Nobody uploads plugins: a plugin is two files in a folder, the component and its signature.

pub mod capabilities;
pub mod guest;
mod loading;
pub mod package;
pub mod runtime;
pub mod trust;

mod errors;
mod key_routes;
mod listing;
mod routes;
mod runner;
mod service;
mod tooling;
mod usage;

pub(crate) use key_routes::*;
pub(crate) use routes::*;

pub use errors::PluginError;
pub use guest::{
    BackupCatalogue, BackupVerification, CatalogueEntry, CatalogueError, CopiedObjects, DroppedDatabases,
    ExportOutcome, ImportFile, LoadMethod, LoadedImport, NewBackup, OnObject, OpenExport, ReplacedDatabases, RunLease,
    StoredExport, TableDifference, TransferError, TransferProgress, TransferService,
};
pub use loading::{LoadedPlugin, OnRejected, PluginsParts, RejectedPlugin};
pub use package::{FirstParty, folder::PluginFolder};
pub use runner::PluginRunner;
pub use service::Plugins;
pub use tooling::PluginTools;
pub use trust::{KeyToTrust, SEALED_COLUMNS};
