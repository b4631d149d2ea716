use sqlx::PgPool;

use super::buckets::SettingsCache;
use crate::object_store::ObjectStore;

/// The state that the handlers of this slice share. Cheap to clone.
#[derive(Clone)]
pub struct StorageState {
    pub(super) platform: PgPool,
    pub(super) store: ObjectStore,
    pub(super) bucket_settings: SettingsCache,
    /// Maximum object size in bytes of a bucket that is created without a limit of its own.
    pub(super) default_max_object_bytes: i64,
}

impl StorageState {
    pub fn new(platform: PgPool, store: ObjectStore, default_max_object_bytes: i64) -> Self {
        Self { bucket_settings: SettingsCache::new(platform.clone()), platform, store, default_max_object_bytes }
    }

    /// Drops the cached bucket settings of a project, for example when the project is deleted.
    pub fn forget_project(&self, project_id: &str) {
        self.bucket_settings.invalidate(project_id);
    }
}
