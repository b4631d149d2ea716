//! Removes data that the platform no longer needs.
//!
//! Requires the capability [`Maintenance`](crate::plugin::Capability::Maintenance), which has no scope.

pub use crate::bindings::atlashub::plugin::maintenance::{Report, Sweep};
use crate::{Result, backend};

/// Removes a limited number of items. Call this function again while [`Report::more`] is true.
///
/// # Errors
/// Returns `Denied` in native tests whose manifest does not request the capability, `Invalid` if the number of days is
/// out of range, `Conflict` if the run no longer holds its lease, and `Unavailable` if Postgres or the store cannot be
/// reached or returned an error.
pub async fn run(sweep: Sweep) -> Result<Report> {
    backend::maintenance::run(sweep).await
}
