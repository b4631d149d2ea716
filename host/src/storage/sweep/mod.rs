//! Sweeps of storage: move uploads that have arrived to their paths, and remove oversize objects, records without an
//! object, and abandoned multipart uploads.
//!
//! - `queries`: selects the records to compare with the store.
//! - `compare`: compares one record with the store and updates or removes it.
//! - `settle`: moves or deletes objects that were uploaded without the secret key.
//! - `stale_uploads`: aborts abandoned multipart uploads.
//! - `full`: one pass over all projects, for the background task.
//! - `batch`: one kind of sweep in bounded batches, for plugins.

mod batch;
mod compare;
mod full;
mod queries;
mod settle;
mod stale_uploads;

pub use batch::{StorageSweep, SweepReport, sweep};
pub use full::{FullSweepReport, sweep_all_projects};
pub use stale_uploads::abort_stale_uploads;
