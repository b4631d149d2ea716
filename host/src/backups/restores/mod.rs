//! Restores: replaces a project's database with the content of a backup or of an uploaded archive.
//!
//! A restore is a row in `restores`. It is planned first, which only reads the archive's head. After the owner's
//! confirmation a run loads the archive into a new database, compares the rows with the plan, and swaps the two
//! databases. The previous one is kept for a rollback until the owner removes it. The project keeps its database and
//! its data until the swap, which is one transaction (`projects::Replacements`).
//!
//! Loading an archive is the host's alone (`db::restore`), so these runs are a built-in job and no plugin.
//!
//! Whatever a killed process leaves behind is named in the row: `sweep` drops the database of a restore whose run has
//! ended, and `queries` shows such a restore as ended.
//!
//! Deliberately absent: restoring the platform database, which needs the servers to be stopped (`cli`).
//!
//! Reading order: `routes`, `plan`, `space` (of the disk), `uploads`, `confirm` (starts runs), `job` (executes them),
//! `load` (the new database), `swap` (records the swap), `failure`, `sweep`, `queries`.

mod confirm;
mod failure;
mod job;
mod load;
mod plan;
mod queries;
pub(super) mod routes;
mod space;
mod swap;
mod sweep;
mod uploads;

use std::path::PathBuf;

use sqlx::PgPool;

use super::{Identities, ObjectCopies};
use crate::{db::restore::Restorer, object_store::ObjectStore, projects::Replacements};

pub use job::RestoreJob;

/// What restores need. Cheap to clone.
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
