//! Reads the state of a long task again and again while its run is in progress.

use dioxus::prelude::*;
use gloo_timers::future::TimeoutFuture;

use crate::remote;

/// Interval at which the state of a long task is read again while a run works on it.
const REFRESH_MS: u32 = 1_000;

/// While `is_active` and the tab is visible, discards the cached responses of `path` every second, so that components
/// read them again. Exports and imports need this, because the event stream does not report their changes.
pub(super) fn use_refresh(path: &'static str, is_active: bool) {
    let mut active = use_signal(|| is_active);
    if *active.peek() != is_active {
        active.set(is_active);
    }
    use_future(move || async move {
        loop {
            TimeoutFuture::new(REFRESH_MS).await;
            if *active.peek() && remote::is_visible() {
                remote::forget(path);
            }
        }
    });
}
