//! Reports the progress of a long call.

use std::{future::Future, time::Duration};

use atlashub_plugin_sdk::{clock, progress, task, transfers};

/// Time between two reports.
const PAUSE: Duration = Duration::from_millis(500);

/// Waits for `work` and returns its output. Meanwhile, reports the progress of the transfer with `message`.
pub(crate) async fn watch<T>(message: &str, work: impl Future<Output = T>) -> T {
    let reports = async {
        loop {
            let current = transfers::progress();
            progress::report(current.done, current.total.map(|total| total.max(current.done)), message);
            clock::sleep(PAUSE).await;
        }
    };
    task::with_background(work, reports).await
}
