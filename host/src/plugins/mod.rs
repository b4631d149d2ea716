//! Plugins: signed, sandboxed WebAssembly components that do the work of jobs.
//!
//! In reading order: what a file says of itself ([`manifest`]), where files come from ([`builtin`], [`first_party`],
//! [`folder`]), who may run ([`trust`], kept in the database by [`trust_store`], changed by [`approvals`] and
//! [`trusted_keys`]), how that is looked at again and again ([`survey`], [`slots`], [`loader`], [`watcher`]), what runs
//! ([`loaded`], [`registry`], [`params`], [`schema_bounds`]), how ([`runtime`], [`capabilities`], [`runner`]), and what the owner sees
//! ([`service`], [`listing`], [`routes`], [`key_routes`]; [`tooling`] for the command line).
//!
//! Deliberately absent: trust in what a plugin says of itself. Its manifest asks; the owner's grant decides; the linker
//! holds what was granted and nothing else. No shell, no WASI, no compiled code read from disk; no upload: a plugin is
//! two files in a folder.

mod loaded;
mod manifest;

pub mod builtin;
mod first_party;
pub mod folder;

mod approvals;
mod queries;
pub mod trust;
mod trust_store;
mod trusted_keys;

mod loader;
mod slots;
mod survey;
mod watcher;

mod params;
mod registry;
mod schema_bounds;

mod backup_catalogue;
pub mod capabilities;
mod runner;
pub mod runtime;

mod errors;
mod key_routes;
mod listing;
mod routes;
mod service;
mod tooling;

use axum::extract::FromRef;
use utoipa_axum::{router::OpenApiRouter, routes};

pub use approvals::SEALED_COLUMNS;
pub use backup_catalogue::{
    BackupCatalogue, BackupVerification, CatalogueEntry, CatalogueError, NewBackup, RunLease, TableDifference,
};
pub use errors::PluginError;
pub use first_party::{FirstParty, RESERVED_NAMES};
pub use folder::PluginFolder;
pub use loaded::{Grants, LoadedPlugin};
pub use manifest::{ReadManifestError, read_manifest};
pub use registry::ActivePlugin;
pub use runner::PluginRunner;
pub use service::{OnRejected, Plugins, PluginsParts};
pub use slots::RejectedPlugin;
pub use tooling::PluginTools;

/// Routes of the admin surface.
pub fn admin_router<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Plugins: FromRef<S>,
{
    OpenApiRouter::new()
        .routes(routes!(routes::list_plugins))
        .routes(routes!(routes::get_plugin, routes::forget_plugin))
        .routes(routes!(routes::approve_plugin))
        .routes(routes!(routes::revoke_plugin))
        .routes(routes!(key_routes::list_trusted_keys, key_routes::add_trusted_key))
        .routes(routes!(key_routes::revoke_trusted_key))
}
