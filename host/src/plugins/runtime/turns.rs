//! Limits how many guests compute at a time.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    thread::available_parallelism,
};

use tokio::sync::Semaphore;
use tokio_util::sync::PollSemaphore;

use crate::plugins::package::has_own_permits;

/// Limits how many guests compute at a time. Plugins that do AtlasHub's own work ([`has_own_permits`]) compute one at a
/// time, in a turn that no other plugin can take. If there are several processors, the other plugins leave one of them
/// free. Guests take turns in the order in which they became ready. A guest that computes endlessly gives up its turn
/// at each tick of the epoch.
pub(super) struct Turns {
    common: Arc<Semaphore>,
    /// The turn of the plugins that do AtlasHub's own work.
    own: Arc<Semaphore>,
}

impl Turns {
    pub(super) fn new() -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        Self { common: Arc::new(Semaphore::new((processors - 1).max(1))), own: Arc::new(Semaphore::new(1)) }
    }

    /// Wraps the future of a plugin's run, so that it is polled only in its turns.
    pub(super) fn take<F: Future>(&self, plugin: &str, future: F) -> InTurn<F> {
        let turns = if has_own_permits(plugin) { &self.own } else { &self.common };
        InTurn { future: Box::pin(future), turns: PollSemaphore::new(Arc::clone(turns)) }
    }
}

pub(super) struct InTurn<F> {
    future: Pin<Box<F>>,
    turns: PollSemaphore,
}

impl<F: Future> Future for InTurn<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        let _turn = ready!(this.turns.poll_acquire(cx));
        this.future.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn guests_compute_in_turns() {
        let turns = Turns { common: Arc::new(Semaphore::new(1)), own: Arc::new(Semaphore::new(1)) };
        let (computing, highest) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let runs: Vec<_> = (0..4)
            .map(|_| {
                let (computing, highest) = (Arc::clone(&computing), Arc::clone(&highest));
                tokio::spawn(turns.take("guest", async move {
                    for _ in 0..100 {
                        highest.fetch_max(computing.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::hint::black_box((0..10_000).sum::<u64>());
                        computing.fetch_sub(1, Ordering::SeqCst);
                        tokio::task::yield_now().await;
                    }
                }))
            })
            .collect();
        for run in runs {
            run.await.unwrap();
        }
        assert_eq!(highest.load(Ordering::SeqCst), 1);
    }
}
