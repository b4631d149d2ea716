//! Host values behind the guest's resource handles. A guest holds the handle, never the value.

use super::{HeldMemory, Transfer, bindings::objects};
use crate::{config::Secret, object_store::StoredUpload, storage::PluginObject};

/// An opened secret. The capability `http` reads its value from the resource table.
pub struct OpenSecret(pub Secret);

/// A complete upload that becomes an object when it is committed.
pub struct OpenUpload {
    /// `None` once a commit has begun.
    pub stored: Option<UncommittedUpload>,
    pub meta: objects::ObjectMeta,
    pub is_committed: bool,
}

/// An upload that has not been committed yet.
pub struct UncommittedUpload {
    pub upload: StoredUpload,
    /// The object to record, if it is in a project's bucket.
    pub object: Option<PluginObject>,
    pub transfer: Transfer,
    /// Reservation for a small object, which is kept in memory until the commit.
    pub memory: HeldMemory,
}
