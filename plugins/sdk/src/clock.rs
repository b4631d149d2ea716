//! Reads the time and waits. Needs no grant.
//!
//! Use this module instead of `std::time::SystemTime` and `Instant`, which panic in a component.

use std::time::Duration;

use crate::backend;

/// Returns the wall-clock time, in milliseconds since 1970-01-01 UTC.
pub fn now() -> u64 {
    backend::clock::now()
}

/// Returns the time since an arbitrary point before the run. The value never decreases.
pub fn monotonic() -> Duration {
    backend::clock::monotonic()
}

/// Waits. Sleeping does not count towards the run's processor time.
///
/// In native tests the clock jumps forward, so sleeping takes no time.
pub async fn sleep(duration: Duration) {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    backend::clock::sleep(milliseconds).await;
}
