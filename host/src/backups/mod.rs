//! Backups of the platform database and of projects: creates, lists, verifies, restores and removes backups, and signs
//! their downloads.
//!
//! A backup consists of two objects in the platform's bucket: a dump, and a manifest that describes it. A backup of a
//! project can also include the objects of the project (`objects`). The table `backups` is the catalogue of backups.
//! Missing entries are rebuilt from the manifests, so backups outlive the platform database. The plugin `backup`
//! creates backups, through `plugins::capabilities`.
//!
//! Deliberately absent: running `pg_dump` and `pg_restore` (`db::dump`, `db::restore`), uploading (`object_store`),
//! schedules (`jobs`), applying retention policies (the plugin), and access with API keys.
//!
//! Reading order: `manifest`, `stored` (reads the bucket), `queries`, `catalogue` (synchronizes the table with the
//! bucket), `objects` (the objects of projects in backups), `incomplete` (removes unfinished backups), `create` (starts
//! a run of the plugin), `identities` (private keys for encrypted backups), `verify` (restores and compares a backup),
//! `plugin_access` (the operations for plugins), `final_backup` (before a project is deleted), `protection` (how well
//! each database is protected), `retention` (why and until when a backup is kept), `routes`, `restores` and `recovery`
//! (restores without a server).

mod catalogue;
mod create;
mod final_backup;
mod identities;
mod incomplete;
mod manifest;
mod objects;
mod plugin_access;
mod protection;
mod queries;
mod recovery;
mod restores;
mod retention;
mod routes;
mod stored;
mod verify;

use sqlx::PgPool;

use crate::{jobs::Jobs, object_store::ObjectStore, projects::Databases};

pub(crate) use restores::{routes::*, uploads::*};
pub(crate) use routes::*;

pub use catalogue::Catalogue;
pub use create::BackupContent;
pub use identities::{Identities, SEALED_COLUMNS};
pub use incomplete::{IncompleteReport, remove_incomplete, remove_incomplete_below};
pub use manifest::{BackupManifest, ManifestTable, backup_id};
pub use objects::{CopyNames, CopySweepReport, ManifestObjects, ObjectCopies, ObjectsError, RestoredObjects};
pub use recovery::{
    LaterRevocations, RecoveryError, RequiredKeys, RestoredPlatform, RestoredProject, other_sessions, restore_platform,
    restore_project, unlisted_databases,
};
pub use restores::{RestoreJob, Restores};
pub use stored::{StoredBackup, list_stored_backups};
pub use verify::{record_outcome, verify_stored};

/// State of the backup routes.
#[derive(Clone)]
pub struct BackupsState {
    pub platform: PgPool,
    pub store: ObjectStore,
    pub databases: Databases,
    pub catalogue: Catalogue,
    pub restores: Restores,
    pub copies: ObjectCopies,
    pub jobs: Jobs,
}
