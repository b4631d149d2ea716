//! Files: logical buckets, signed uploads and downloads, listing, removal.
//!
//! A project has one bucket in the object store; its logical buckets are the first part of the keys there. The
//! store is the truth about what exists; `file_metadata` keeps what was signed for and what was seen to arrive.
//! The bytes never pass through here.
//!
//! Deliberately absent: transfers of bytes, S3 itself (`object_store`), exports and backups, which have a bucket
//! of the platform's own.
//!
//! Reading order: `path` and `media_type` (pure rules), `access` (who may do what), `settings` (a bucket's
//! settings, cached), `queries`, `settle` (is what arrived what was signed for?), then what callers do: `upload`,
//! `multipart`, `download`, `objects`, `buckets`; `cleanup` and `sweeps`; `routes` and `admin_routes`.

mod access;
mod admin_routes;
mod buckets;
mod cleanup;
mod download;
mod media_type;
mod multipart;
mod objects;
mod path;
mod queries;
mod routes;
mod settings;
mod settle;
mod sweep_queries;
mod sweeps;
mod upload;

use sqlx::PgPool;

use crate::object_store::ObjectStore;

pub use admin_routes::admin_router;
pub use cleanup::{CleanupReport, cleanup};
pub use path::{BucketName, MAX_KEY_BYTES, ObjectPath};
pub use routes::router;
pub use sweeps::{StorageSweep, SweepReport, sweep};

/// What the handlers of this slice need.
#[derive(Clone)]
pub struct StorageState {
    platform: PgPool,
    store: ObjectStore,
    settings: settings::SettingsCache,
    /// Largest object of a bucket that is created without telling, in bytes.
    default_max_object_bytes: i64,
}

impl StorageState {
    pub fn new(platform: PgPool, store: ObjectStore, default_max_object_bytes: i64) -> Self {
        Self { settings: settings::SettingsCache::new(platform.clone()), platform, store, default_max_object_bytes }
    }

    /// Forgets what was read of a project's buckets, for example when the project is removed.
    pub fn forget_project(&self, project: &str) {
        self.settings.forget(project);
    }
}
