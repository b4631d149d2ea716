//! Measures and limits the processor time of a run.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use nix::time::{ClockId, clock_gettime};

/// A future with a limit on the processor time for polling it.
///
/// A guest yields at every epoch tick, and the limit is checked at each yield. Time is measured with the thread's
/// processor clock, so waiting for a processor on a busy machine does not count. The [`HostTime`] for streams does not
/// count either, because a guest that forwards a large dump computes nothing itself.
pub(in crate::plugins) struct Metered<F> {
    future: Pin<Box<F>>,
    spent: Duration,
    limit: Duration,
    host: HostTime,
}

/// Processor time that the host spends on behalf of a run.
#[derive(Debug, Clone, Default)]
pub struct HostTime(Arc<AtomicU64>);

impl HostTime {
    /// Executes `work`, adds its processor time and returns its result.
    pub fn measure<T>(&self, work: impl FnOnce() -> T) -> T {
        let before = processor_time();
        let output = work();
        let elapsed = processor_time().saturating_sub(before);
        self.0.fetch_add(elapsed.as_nanos() as u64, Ordering::Relaxed);
        output
    }

    fn total(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// The run exceeded its processor time limit.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::plugins) struct ProcessorTimeExceeded;

impl<F: Future> Metered<F> {
    pub(in crate::plugins) fn new(future: F, limit: Duration, host: HostTime) -> Self {
        Self { future: Box::pin(future), spent: Duration::ZERO, limit, host }
    }
}

impl<F: Future> Future for Metered<F> {
    type Output = Result<F::Output, ProcessorTimeExceeded>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let (before, host_before) = (processor_time(), this.host.total());
        let polled = this.future.as_mut().poll(cx);
        let host_time = this.host.total().saturating_sub(host_before);
        this.spent += processor_time().saturating_sub(before).saturating_sub(host_time);
        match polled {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending if this.spent > this.limit => Poll::Ready(Err(ProcessorTimeExceeded)),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Returns the processor time that this thread has used so far.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computes for `length`, and yields after every millisecond. The time counts as the host's if `host` is given.
    async fn compute(length: Duration, host: Option<HostTime>) {
        let spin = || {
            let start = processor_time();
            while processor_time() - start < Duration::from_millis(1) {}
        };
        for _ in 0..length.as_millis() {
            match &host {
                Some(host) => host.measure(spin),
                None => spin(),
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn only_the_guests_own_computing_counts() {
        let limit = Duration::from_millis(50);
        let waits = tokio::time::sleep(Duration::from_millis(100));
        assert_eq!(Metered::new(waits, limit, HostTime::default()).await, Ok(()));
        let host = HostTime::default();
        let works = compute(Duration::from_millis(200), Some(host.clone()));
        assert_eq!(Metered::new(works, limit, host).await, Ok(()));
        let computes = compute(Duration::from_secs(60), None);
        assert_eq!(Metered::new(computes, limit, HostTime::default()).await, Err(ProcessorTimeExceeded));
    }
}
