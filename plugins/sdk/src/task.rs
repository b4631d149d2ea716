//! Doing several things at one time within a run.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

/// Runs both until both have ended.
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

/// Lets the host do something else, and goes on.
pub async fn yield_now() {
    #[cfg(target_arch = "wasm32")]
    wit_bindgen::yield_async().await;
    #[cfg(not(target_arch = "wasm32"))]
    {
        let mut yielded = false;
        poll_fn(move |_| if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}
