use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

/// Polls in a row without an end after which a job counts as stuck. Nothing here waits for anything outside the
/// process, so a job that still can't go on never will.
const STUCK: u32 = 10_000_000;

/// Runs a job to its end.
///
/// # Panics
/// Where it waits for something that never comes, for example a stream that nothing writes.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..STUCK {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
    panic!("the job waits for something that never comes: is a stream read by nobody, or written by nobody?");
}
