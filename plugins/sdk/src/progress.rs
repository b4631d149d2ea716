//! Reports the progress of a run. Needs no grant.

use crate::backend;

/// Replaces the progress shown for the run.
///
/// `done` and `total` are in a unit of the plugin's choice, such as bytes or rows. `total` is `None` while it is
/// unknown. `message` says what is being done. Reporting is cheap: the host keeps only the newest report.
pub fn report(done: u64, total: Option<u64>, message: &str) {
    backend::progress::report(done, total, message);
}
