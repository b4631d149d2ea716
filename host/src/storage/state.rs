//! The state that the handlers of this slice share.

use sqlx::PgPool;

use super::{buckets::SettingsCache, path_locks::PathLocks};
use crate::object_store::ObjectStore;

/// The state that the handlers of this slice share. Cheap to clone.
#[derive(Clone)]
pub struct StorageState {
    pub(super) platform: PgPool,
    pub(super) store: ObjectStore,
    pub(super) bucket_settings: SettingsCache,
    /// Maximum object size, in bytes, of a bucket that is created without a limit of its own.
    pub(super) default_max_object_bytes: i64,
    /// Maximum size of a file in a browser form, in bytes, if the store has such a limit.
    pub(super) max_form_bytes: Option<i64>,
    pub(super) upload_quotas: UploadQuotas,
    /// Locks of the paths to which staged objects are moved.
    pub(super) settle_locks: PathLocks,
    /// Locks of the paths from which objects are moved.
    pub(super) move_locks: PathLocks,
}

/// Maximum number of uploads that were signed and have not ended, per publishable key and per signed-in user.
#[derive(Debug, Clone, Copy)]
pub struct UploadQuotas {
    /// Uploads that are sent in one request.
    pub staged: u32,
    pub multipart: u32,
}

impl StorageState {
    pub fn new(
        platform: PgPool,
        store: ObjectStore,
        default_max_object_bytes: i64,
        max_form_bytes: Option<i64>,
        upload_quotas: UploadQuotas,
    ) -> Self {
        Self {
            bucket_settings: SettingsCache::new(platform.clone()),
            platform,
            store,
            default_max_object_bytes,
            max_form_bytes,
            upload_quotas,
            settle_locks: PathLocks::default(),
            move_locks: PathLocks::default(),
        }
    }

    /// Returns a copy that uses another connection pool and starts with an empty cache of bucket settings.
    #[must_use]
    pub fn with_platform(&self, platform: PgPool) -> Self {
        Self { bucket_settings: SettingsCache::new(platform.clone()), platform, ..self.clone() }
    }

    /// Drops the cached bucket settings of a project, for example when the project is deleted.
    pub fn forget_project(&self, project_id: &str) {
        self.bucket_settings.invalidate(project_id);
    }
}
