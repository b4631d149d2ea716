//! Runs several futures at once within a run.

use std::{
    future::{Future, poll_fn},
    pin::pin,
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

/// Gives control back to the host once, then continues. Long computations can call it to stay cancellable.
pub async fn yield_now() {
    backend::task::yield_now().await;
}
