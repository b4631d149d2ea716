//! Deletion of many objects, as a run like any other.
//!
//! [`DeletionJob`] executes these runs, in which its name stands in place of a plugin's. A job on a schedule can delete
//! objects in the same way.
//!
//! Not here: deleting objects (`storage`), the queue and history of runs (`jobs`).

mod job;
mod routes;

pub use job::DeletionJob;
pub(crate) use routes::*;
