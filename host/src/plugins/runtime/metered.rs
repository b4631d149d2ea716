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

/// A future, and the processor time that polling it takes.
///
/// A guest hands the thread back at every tick of the epoch, so the time is looked at that often; the clock is the
/// thread's own, so that waiting for a processor on a busy machine costs a run nothing. What the host does meanwhile
/// for streams is [`HostTime`] and doesn't count: a guest that passes a large dump on computes nothing.
pub(super) struct Metered<F> {
    future: Pin<Box<F>>,
    spent: Duration,
    limit: Duration,
    host: HostTime,
}

/// Processor time of a run that is the host's.
#[derive(Debug, Clone, Default)]
pub struct HostTime(Arc<AtomicU64>);

impl HostTime {
    /// Does the work, and keeps what it took.
    pub(super) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        let before = processor_time();
        let done = work();
        let took = processor_time().saturating_sub(before);
        self.0.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
        done
    }

    fn total(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// The processor time ran out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Spent;

impl<F: Future> Metered<F> {
    pub(super) fn new(future: F, limit: Duration, host: HostTime) -> Self {
        Self { future: Box::pin(future), spent: Duration::ZERO, limit, host }
    }
}

impl<F: Future> Future for Metered<F> {
    type Output = Result<F::Output, Spent>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let (before, host_before) = (processor_time(), this.host.total());
        let polled = this.future.as_mut().poll(cx);
        let of_the_host = this.host.total().saturating_sub(host_before);
        this.spent += processor_time().saturating_sub(before).saturating_sub(of_the_host);
        match polled {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending if this.spent > this.limit => Poll::Ready(Err(Spent)),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Of this thread.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computes for so long, and lets others have their turn meanwhile.
    async fn compute(length: Duration, host: Option<HostTime>) {
        let spin = || {
            let start = processor_time();
            while processor_time() - start < Duration::from_millis(1) {}
        };
        for _ in 0..length.as_millis() {
            match &host {
                Some(host) => host.during(spin),
                None => spin(),
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn waiting_and_the_hosts_work_cost_nothing_and_computing_does() {
        let limit = Duration::from_millis(50);
        let waits = tokio::time::sleep(Duration::from_millis(100));
        assert_eq!(Metered::new(waits, limit, HostTime::default()).await, Ok(()));
        let host = HostTime::default();
        let works = compute(Duration::from_millis(200), Some(host.clone()));
        assert_eq!(Metered::new(works, limit, host).await, Ok(()));
        let computes = compute(Duration::from_secs(60), None);
        assert_eq!(Metered::new(computes, limit, HostTime::default()).await, Err(Spent));
    }
}
