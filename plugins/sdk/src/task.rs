//! Runs several futures at once within a run.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
};

use crate::backend;

/// Runs two futures concurrently until both have finished.
pub async fn join<A: Future, B: Future>(first: A, second: B) -> (A::Output, B::Output) {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let (mut first_output, mut second_output) = (None, None);
    poll_fn(move |context| {
        if first_output.is_none()
            && let Poll::Ready(output) = first.as_mut().poll(context)
        {
            first_output = Some(output);
        }
        if second_output.is_none()
            && let Poll::Ready(output) = second.as_mut().poll(context)
        {
            second_output = Some(output);
        }
        match (first_output.take(), second_output.take()) {
            (Some(first), Some(second)) => Poll::Ready((first, second)),
            (first, second) => {
                (first_output, second_output) = (first, second);
                Poll::Pending
            }
        }
    })
    .await
}

/// Runs futures concurrently until all have finished, and returns their outputs in the order of the futures.
///
/// The host executes a limited number of calls of a run at a time and holds a limited amount of memory for them. Use
/// [`join_up_to`] for more than a few large transfers.
pub async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    join_up_to(usize::MAX, futures).await
}

/// Runs futures, at most `limit` of them at a time, until all have finished. A limit of 0 counts as 1. Returns their
/// outputs in the order of the futures.
pub async fn join_up_to<F: Future>(limit: usize, futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut waiting = futures.into_iter().fuse();
    let mut running: Vec<(usize, Pin<Box<F>>)> = Vec::new();
    let mut outputs: Vec<Option<F::Output>> = Vec::new();
    poll_fn(|context| {
        loop {
            // Remove finished futures first, so that waiting ones can start in the same poll.
            running.retain_mut(|(index, future)| match future.as_mut().poll(context) {
                Poll::Ready(output) => {
                    outputs[*index] = Some(output);
                    false
                }
                Poll::Pending => true,
            });
            let mut started = false;
            while running.len() < limit.max(1)
                && let Some(future) = waiting.next()
            {
                running.push((outputs.len(), Box::pin(future)));
                outputs.push(None);
                started = true;
            }
            if running.is_empty() {
                return Poll::Ready(std::mem::take(&mut outputs).into_iter().flatten().collect());
            }
            if !started {
                return Poll::Pending;
            }
        }
    })
    .await
}

/// Waits for `work` and returns its output. Meanwhile, also runs `background`, which is dropped at the end of `work`.
///
/// For example, `background` can report the progress of `work` in a loop that never ends.
pub async fn with_background<W: Future>(work: W, background: impl Future<Output = ()>) -> W::Output {
    let (mut work, mut background) = (pin!(work), pin!(background));
    let mut is_running = true;
    poll_fn(move |context| {
        if let Poll::Ready(output) = work.as_mut().poll(context) {
            return Poll::Ready(output);
        }
        is_running = is_running && background.as_mut().poll(context).is_pending();
        Poll::Pending
    })
    .await
}

/// Gives the host and other futures of the run a turn, then continues. Call this function in long computations, so that
/// the other futures make progress.
pub async fn yield_now() {
    backend::task::yield_now().await;
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, task::Context, task::Waker};

    use super::*;

    /// Finishes at the second poll, and counts how many run at a time.
    async fn step(index: usize, running: &Cell<usize>, highest: &Cell<usize>) -> usize {
        running.set(running.get() + 1);
        highest.set(highest.get().max(running.get()));
        let mut is_first = true;
        poll_fn(|_| if std::mem::take(&mut is_first) { Poll::Pending } else { Poll::Ready(()) }).await;
        running.set(running.get() - 1);
        index
    }

    fn max_running(limit: usize, count: usize) -> usize {
        let (running, highest) = (Cell::new(0), Cell::new(0));
        let mut all = pin!(join_up_to(limit, (0..count).map(|index| step(index, &running, &highest))));
        let mut context = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(outputs) = all.as_mut().poll(&mut context) {
                assert_eq!(outputs, (0..count).collect::<Vec<_>>());
                return highest.get();
            }
        }
    }

    #[test]
    fn background_runs_until_the_end_of_the_work() {
        let polls = |times: usize| {
            let mut left = times;
            poll_fn(move |_| {
                left = left.saturating_sub(1);
                if left == 0 { Poll::Ready(()) } else { Poll::Pending }
            })
        };
        let mut context = Context::from_waker(Waker::noop());
        let mut endless = pin!(with_background(polls(3), std::future::pending()));
        // The second future would panic if it were polled after its end.
        let mut short = pin!(with_background(polls(3), async {}));
        for is_last in [false, false, true] {
            assert_eq!(endless.as_mut().poll(&mut context).is_ready(), is_last);
            assert_eq!(short.as_mut().poll(&mut context).is_ready(), is_last);
        }
    }

    #[test]
    fn futures_run_up_to_the_limit_and_keep_their_order() {
        assert_eq!(max_running(3, 10), 3);
        assert_eq!(max_running(0, 4), 1);
        assert_eq!(max_running(usize::MAX, 5), 5);
        assert_eq!(max_running(2, 0), 0);
    }
}
