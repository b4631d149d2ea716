//! Restores: replaces a project's database with the content of a backup or of an uploaded archive.
//!
//! A restore is a row in `restores`. It is planned first, which reads only the head of the archive. After the owner's
//! confirmation, a run loads the archive into a new database, compares the numbers of rows with the plan, and swaps the
//! two databases. The previous database is kept for a rollback until it is removed. The project keeps its database and
//! its data until the swap, which is one transaction (`projects::Replacements`).
//!
//! Only the host can load archives (`db::restore`), so these runs belong to a built-in job instead of a plugin.
//!
//! The row names everything that a killed process can leave behind: `sweep` drops the new database of a restore whose
//! run has ended, and `queries` returns such a restore as ended.
//!
//! Deliberately absent: restoring the platform database, for which the servers must be stopped (`backups::recovery`).
//!
//! Reading order: `routes`, `plan`, `space` (of the disk), `uploads`, `confirm` (starts runs), `job` (executes them),
//! `load` (the new database), `swap` (records the swap), `failure`, `sweep` and `queries`.

mod confirm;
mod failure;
mod job;
mod load;
mod plan;
mod queries;
pub(super) mod routes;
mod space;
pub(super) mod swap;
mod sweep;
pub(super) mod uploads;

use std::path::PathBuf;

use sqlx::PgPool;

use super::{Identities, ObjectCopies};
use crate::{db::restore::Restorer, object_store::ObjectStore, projects::Replacements};

pub use job::RestoreJob;

/// The state that restores share. Cheap to clone.
#[derive(Clone)]
pub struct Restores {
    platform: PgPool,
    store: ObjectStore,
    pub(super) restorer: Restorer,
    pub(super) replacements: Replacements,
    identities: Identities,
    pub(super) objects: ObjectCopies,
    /// The folder of the embedded Postgres and store.
    data_folder: Option<PathBuf>,
}

impl Restores {
    pub fn new(objects: ObjectCopies, restorer: Restorer, replacements: Replacements, identities: Identities) -> Self {
        let (platform, store) = (objects.platform.clone(), objects.store.clone());
        Self { platform, store, restorer, replacements, identities, objects, data_folder: None }
    }
}
