//! Runs a future to completion on the current thread.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

/// Number of polls after which a job counts as blocked. In a test, a job can only wait for itself, so further polls
/// would not help.
const MAX_POLLS: u32 = 10_000_000;

/// Runs a future to completion.
///
/// # Panics
/// Panics if the future waits for something that cannot happen, such as a write to a stream that nobody reads.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..MAX_POLLS {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
    panic!("the job is blocked: check for a stream that is written but not read, or read but not written");
}
