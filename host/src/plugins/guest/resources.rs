//! Host values behind the guest's resource handles. A guest holds the handle, never the value.

use super::{Transfer, bindings::objects};
use crate::{config::Secret, object_store::StoredUpload};

/// An opened secret. Other capabilities read the value from the resource table.
pub struct OpenSecret(pub Secret);

/// An upload whose bytes are in the store, and which becomes an object when it is committed.
pub struct OpenUpload {
    /// `None` after the first commit.
    pub stored: Option<(StoredUpload, Transfer)>,
    pub meta: objects::ObjectMeta,
    pub is_committed: bool,
}
