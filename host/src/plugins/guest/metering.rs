//! Measures and limits the processor time of a run.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    thread::{self, ThreadId},
    time::Duration,
};

use nix::time::{ClockId, clock_gettime};
use parking_lot::Mutex;

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

/// Processor time that the host spends on behalf of a run, on the thread that polls the run.
///
/// The host also reads streams on other threads, for example to upload a stream that the guest forwarded. The processor
/// clock of the run's thread does not contain that time, so it is not counted here.
#[derive(Debug, Clone, Default)]
pub struct HostTime(Arc<Mutex<Measured>>);

#[derive(Debug, Default)]
struct Measured {
    total: Duration,
    /// The thread that is polling the run.
    polling: Option<ThreadId>,
}

impl HostTime {
    /// Executes `work`, adds its processor time and returns its result.
    pub fn measure<T>(&self, work: impl FnOnce() -> T) -> T {
        let before = processor_time();
        let output = work();
        let elapsed = processor_time().saturating_sub(before);
        let mut measured = self.0.lock();
        if measured.polling == Some(thread::current().id()) {
            measured.total += elapsed;
        }
        output
    }

    /// Executes `poll` on behalf of the run. Returns the result of `poll`, and the host's processor time during it.
    fn during<T>(&self, poll: impl FnOnce() -> T) -> (T, Duration) {
        let before = {
            let mut measured = self.0.lock();
            measured.polling = Some(thread::current().id());
            measured.total
        };
        let output = poll();
        let mut measured = self.0.lock();
        measured.polling = None;
        (output, measured.total.saturating_sub(before))
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
        let before = processor_time();
        let future = &mut this.future;
        let (polled, host_time) = this.host.during(|| future.as_mut().poll(cx));
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

    /// Computes for a millisecond.
    fn spin() {
        let start = processor_time();
        while processor_time() - start < Duration::from_millis(1) {}
    }

    /// Computes for `length`, and yields after every millisecond. The time counts as the host's if `host` is given.
    async fn compute(length: Duration, host: Option<HostTime>) {
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

    #[tokio::test]
    async fn time_of_the_host_on_another_thread_is_not_subtracted() {
        let host = HostTime::default();
        let other = host.clone();
        let computes = async move {
            for _ in 0..500 {
                let other = other.clone();
                thread::spawn(move || (0..2).for_each(|_| other.measure(spin))).join().unwrap();
                compute(Duration::from_millis(1), None).await;
            }
        };
        assert_eq!(Metered::new(computes, Duration::from_millis(50), host).await, Err(ProcessorTimeExceeded));
    }
}
