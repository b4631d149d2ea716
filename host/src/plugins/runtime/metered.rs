use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use nix::time::{ClockId, clock_gettime};

/// A future, and the processor time that polling it takes.
///
/// A guest hands the thread back at every tick of the epoch, so the time is looked at that often; the clock is the
/// thread's own, so that waiting for a processor on a busy machine costs a run nothing.
pub(super) struct Metered<F> {
    future: Pin<Box<F>>,
    spent: Duration,
    limit: Duration,
}

/// The processor time ran out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Spent;

impl<F: Future> Metered<F> {
    pub(super) fn new(future: F, limit: Duration) -> Self {
        Self { future: Box::pin(future), spent: Duration::ZERO, limit }
    }
}

impl<F: Future> Future for Metered<F> {
    type Output = Result<F::Output, Spent>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let before = processor_time();
        let polled = this.future.as_mut().poll(cx);
        this.spent += processor_time().saturating_sub(before);
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

    #[tokio::test]
    async fn waiting_costs_nothing_and_computing_does() {
        let waits = Metered::new(tokio::time::sleep(Duration::from_millis(50)), Duration::from_millis(20));
        assert_eq!(waits.await, Ok(()));
        let computes = async {
            let start = processor_time();
            loop {
                if processor_time() - start > Duration::from_secs(10) {
                    break;
                }
                tokio::task::yield_now().await;
            }
        };
        assert_eq!(Metered::new(computes, Duration::from_millis(20)).await, Err(Spent));
    }
}
