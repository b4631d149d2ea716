//! Deletion of many objects, as a run like any other.
//!
//! [`DeletionJob`] executes these runs, which have the plugin `storage` and the job `delete`. A scheduled job can
//! delete objects in the same way.
//!
//! Deliberately absent: deleting objects (`storage`), the queue and history of runs (`jobs`).

mod job;
mod routes;

pub use job::DeletionJob;
pub(crate) use routes::*;
