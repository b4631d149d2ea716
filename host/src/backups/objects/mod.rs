//! Objects of projects in backups: copies them, restores them, and removes copies that no backup refers to. See "How
//! objects are backed up" in docs/ARCHITECTURE.md.
//!
//! Reading order: `keys` (of the stored files), `names` (of copies), `list` (the file that lists a backup's objects),
//! `lock` (between backups and the sweep), `cache` (hashes of the objects of the last backup), `copy`, `transfer` (one
//! object), `check` (whether all copies exist), `bring_back`, `sweep`, `error`.
//!
//! Deliberately not copied: staged uploads, which are not at their path yet (`storage::open_uploads`), objects whose
//! key is in none of the project's buckets, and objects that are larger than their upload was signed for.

mod bring_back;
mod cache;
mod check;
mod copy;
mod error;
mod keys;
mod list;
mod lock;
mod names;
mod sweep;
mod transfer;

use sqlx::PgPool;

use crate::{config::AgeRecipients, object_store::ObjectStore, storage::StorageState};

pub use bring_back::RestoredObjects;
pub(super) use check::check_copies;
pub use error::ObjectsError;
pub(super) use keys::{dump_key_of_extra, extra_keys};
pub use list::ManifestObjects;
pub use names::CopyNames;
pub use sweep::CopySweepReport;

/// Maximum size of an object that is read into memory. Larger objects are streamed, one at a time.
const MAX_SMALL_BYTES: i64 = 1 << 20;
/// Maximum number of objects in progress at the same time.
const MAX_PARALLEL: usize = 4;

/// Copies the objects of projects into backups and back. Cheap to clone.
#[derive(Clone)]
pub struct ObjectCopies {
    pub platform: PgPool,
    pub store: ObjectStore,
    pub storage: StorageState,
    /// Recipients to which copies and lists are encrypted. Without recipients, they are not encrypted.
    pub recipients: AgeRecipients,
    pub names: CopyNames,
}

impl ObjectCopies {
    /// Returns a copy that uses another connection pool.
    #[must_use]
    pub fn with_platform(&self, platform: PgPool) -> Self {
        Self { storage: self.storage.with_platform(platform.clone()), platform, ..self.clone() }
    }
}
