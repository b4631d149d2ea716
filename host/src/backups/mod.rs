//! Backups: which there are, and what the owner does with them.
//!
//! A backup is two objects in the platform's own bucket: a dump, and a manifest beside it that says all there is to
//! know. The table `backups` is a catalogue of them, made again from the manifests wherever it lacks one, so that backups
//! outlive the platform database. Making one is the work of the plugin `backup`, over `plugins::capabilities`.
//!
//! Deliberately absent: dumping and restoring (`db::dump`, `db::restore`), uploading (`object_store`), schedules and retention (jobs and the plugin),
//! and any way for an API key to reach the bucket. Restoring over a project will be a file of its own here.
//!
//! Reading order: `manifest`, `stored` (what storage has), `queries`, `catalogue` (table and storage brought together; what
//! plugins get), `incomplete` (what is cleared away), `create` (a run of the plugin), `verify` (a backup restored, compared and
//! removed again), `final_backup` (before a project is deleted), `routes`.

mod catalogue;
mod create;
mod final_backup;
mod incomplete;
mod manifest;
mod queries;
mod routes;
mod stored;
mod verify;

use sqlx::PgPool;

use crate::{jobs::Jobs, object_store::ObjectStore, projects::Databases};

pub(crate) use routes::*;

pub use catalogue::Catalogue;
pub use incomplete::{IncompleteReport, remove_incomplete, remove_incomplete_below};
pub use manifest::{BackupManifest, ManifestTable, backup_id};
pub use stored::{StoredBackup, stored_backups};
pub use verify::{mark_verified, verify_stored};

/// What the routes of backups need.
#[derive(Clone)]
pub struct BackupsState {
    pub platform: PgPool,
    pub store: ObjectStore,
    pub databases: Databases,
    pub catalogue: Catalogue,
    pub jobs: Jobs,
}
