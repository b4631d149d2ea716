use std::time::{Duration, Instant};

/// How long [`eventually`] waits, well above what a loaded machine needs.
const EVENTUALLY_TIMEOUT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(15);

/// Calls `poll` until it returns a value. Panics if that takes longer than a minute.
pub async fn eventually<T>(what: &str, mut poll: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + EVENTUALLY_TIMEOUT;
    loop {
        if let Some(value) = poll().await {
            return value;
        }
        assert!(Instant::now() < deadline, "timed out waiting: {what}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
