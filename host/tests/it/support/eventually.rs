//! Waiting for a condition. Every test that polls uses [`eventually`], or [`eventually_blocking`] in code that is not
//! async.

use std::time::{Duration, Instant};

use super::WAIT_TIMEOUT;

const POLL_INTERVAL: Duration = Duration::from_millis(15);

/// Result of a probe: a `bool`, or an `Option` with the value that the test waits for.
pub trait ProbeResult {
    type Value;

    /// Returns the value if the condition holds.
    fn into_value(self) -> Option<Self::Value>;
}

impl ProbeResult for bool {
    type Value = ();

    fn into_value(self) -> Option<()> {
        self.then_some(())
    }
}

impl<T> ProbeResult for Option<T> {
    type Value = T;

    fn into_value(self) -> Option<T> {
        self
    }
}

/// Calls `probe` until it returns true or a value, and returns the value.
///
/// # Panics
/// Panics with `condition` if that takes longer than [`WAIT_TIMEOUT`].
pub async fn eventually<P: ProbeResult>(condition: &str, mut probe: impl AsyncFnMut() -> P) -> P::Value {
    let deadline = Instant::now() + WAIT_TIMEOUT;
    loop {
        if let Some(value) = probe().await.into_value() {
            return value;
        }
        assert!(Instant::now() < deadline, "timed out waiting for: {condition}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Does the same as [`eventually`], but blocks the thread while it waits.
///
/// # Panics
/// Panics with `condition` if that takes longer than [`WAIT_TIMEOUT`].
#[expect(clippy::disallowed_methods, reason = "the processes that tests start send no event to wait for")]
pub fn eventually_blocking<P: ProbeResult>(condition: &str, mut probe: impl FnMut() -> P) -> P::Value {
    let deadline = Instant::now() + WAIT_TIMEOUT;
    loop {
        if let Some(value) = probe().into_value() {
            return value;
        }
        assert!(Instant::now() < deadline, "timed out waiting for: {condition}");
        std::thread::sleep(POLL_INTERVAL);
    }
}
