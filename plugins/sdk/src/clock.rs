//! Time. Needs no grant. The standard library's `SystemTime` and `Instant` panic in a component.

use std::time::Duration;

/// Milliseconds since 1970-01-01 UTC.
pub fn now() -> u64 {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::atlashub::plugin::clock::now();
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::with(|state| state.now)
}

/// Time since some moment before the run; never goes back.
pub fn monotonic() -> Duration {
    #[cfg(target_arch = "wasm32")]
    return Duration::from_nanos(crate::bindings::atlashub::plugin::clock::monotonic());
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::with(|state| Duration::from_millis(state.now))
}

/// Waits; costs none of the run's processor time. In tests the clock jumps.
#[cfg_attr(not(target_arch = "wasm32"), allow(clippy::unused_async))]
pub async fn sleep(duration: Duration) {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    #[cfg(target_arch = "wasm32")]
    crate::bindings::atlashub::plugin::clock::sleep(milliseconds).await;
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::with(|state| state.now = state.now.saturating_add(milliseconds));
}
