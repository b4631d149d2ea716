//! Reports the progress of a long call.

use std::{cell::Cell, future::Future, time::Duration};

use atlashub_plugin_sdk::{clock, progress, task, transfers};

/// The shortest and the longest pause between two reports. The pause grows with each report, because [`watch`] returns
/// only after the current pause, and a short call must not be delayed.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// Waits for `work` and returns its output. Meanwhile, reports the progress of the transfer with `message`.
pub(crate) async fn watch<T>(message: &str, work: impl Future<Output = T>) -> T {
    let ended = Cell::new(false);
    let work = async {
        let output = work.await;
        ended.set(true);
        output
    };
    let reports = async {
        let mut pause = PAUSES.0;
        while !ended.get() {
            let current = transfers::progress();
            progress::report(current.done, current.total.map(|total| total.max(current.done)), message);
            clock::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    };
    task::join(work, reports).await.0
}
