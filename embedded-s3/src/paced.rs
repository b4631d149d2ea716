//! The minimum rate at which the body of a request must arrive.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

/// Time over which the rate is averaged.
const WINDOW: Duration = Duration::from_secs(60);
/// Minimum number of bytes per [`WINDOW`], 1 KiB per second. A body fails after two slow windows in a row, so a client
/// may pause for a window.
const MIN_BYTES: u64 = 60 * 1024;

/// Whether the body of a request arrived too slowly. [`PacedBody`] sets it.
#[derive(Clone, Debug, Default)]
pub(crate) struct TooSlow(Arc<AtomicBool>);

impl TooSlow {
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the body arrived too slowly")]
struct TooSlowError;

/// The bytes that arrived in the current window. Only the time for which the server waited for the client counts.
#[derive(Debug)]
struct Pace {
    window: Duration,
    min_bytes: u64,
    waited: Duration,
    received: u64,
    /// Whether the last window was slow.
    was_slow: bool,
}

impl Pace {
    fn new(window: Duration, min_bytes: u64) -> Self {
        Self { window, min_bytes, waited: Duration::ZERO, received: 0, was_slow: false }
    }

    /// Returns the rest of the window.
    fn remaining(&self) -> Duration {
        self.window.saturating_sub(self.waited)
    }

    /// Begins the next window. Returns whether enough bytes arrived in at least one of the last two windows.
    fn next_window(&mut self) -> bool {
        let is_slow = self.received < self.min_bytes;
        let is_fast_enough = !(is_slow && self.was_slow);
        *self = Self { was_slow: is_slow, ..Self::new(self.window, self.min_bytes) };
        is_fast_enough
    }
}

/// A body that fails when it arrives too slowly.
pub(crate) struct PacedBody<B> {
    inner: B,
    pace: Pace,
    /// Start of the current wait for the client, if the server waits.
    waiting_since: Option<Instant>,
    /// Completes at the end of the window.
    timer: Option<Pin<Box<Sleep>>>,
    too_slow: TooSlow,
}

impl<B> PacedBody<B> {
    pub(crate) fn new(inner: B, too_slow: TooSlow) -> Self {
        Self { inner, pace: Pace::new(WINDOW, MIN_BYTES), waiting_since: None, timer: None, too_slow }
    }
}

impl<B> Body for PacedBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(context) {
            if let Some(since) = this.waiting_since.take() {
                this.pace.waited += since.elapsed();
            }
            if let Some(Ok(frame)) = &frame {
                this.pace.received += frame.data_ref().map_or(0, |data| data.len() as u64);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let end = Instant::now() + this.pace.remaining();
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
        if this.waiting_since.is_none() {
            this.waiting_since = Some(Instant::now());
            timer.as_mut().reset(end);
        }
        loop {
            ready!(timer.as_mut().poll(context));
            if !this.pace.next_window() {
                this.too_slow.0.store(true, Ordering::Release);
                return Poll::Ready(Some(Err(TooSlowError.into())));
            }
            let now = Instant::now();
            this.waiting_since = Some(now);
            timer.as_mut().reset(now + this.pace.window);
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use futures::{StreamExt as _, TryStreamExt as _, stream};
    use s3s::dto::StreamingBlob;

    use super::*;

    /// Returns the body of a client that sends `sent` and then nothing more.
    fn stalled(sent: &'static [u8]) -> s3s::Body {
        let sent = stream::iter([Ok::<_, io::Error>(Bytes::from_static(sent))]);
        s3s::Body::from(StreamingBlob::wrap(sent.chain(stream::pending())))
    }

    async fn read(body: PacedBody<s3s::Body>) -> Result<Vec<Bytes>, s3s::StdError> {
        StreamingBlob::from(s3s::Body::http_body(body)).try_collect().await
    }

    #[tokio::test]
    async fn body_that_stalls_fails_after_two_windows() {
        let too_slow = TooSlow::default();
        let mut body = PacedBody::new(stalled(b"abc"), too_slow.clone());
        body.pace = Pace::new(Duration::from_millis(1), 10);
        assert!(read(body).await.is_err());
        assert!(too_slow.is_set());
    }

    #[tokio::test]
    async fn body_that_is_slow_for_two_windows_after_a_fast_one_fails() {
        let too_slow = TooSlow::default();
        let mut body = PacedBody::new(stalled(b"abc"), too_slow.clone());
        body.pace = Pace::new(Duration::from_millis(1), 3);
        assert!(read(body).await.is_err());
        assert!(too_slow.is_set());
    }

    #[tokio::test]
    async fn body_that_ends_in_its_window_is_complete() {
        let too_slow = TooSlow::default();
        let body = PacedBody::new(s3s::Body::from(Bytes::from_static(b"abc")), too_slow.clone());
        assert_eq!(read(body).await.unwrap().concat(), b"abc");
        assert!(!too_slow.is_set());
    }

    #[test]
    fn window_counts_only_waiting() {
        let mut pace = Pace::new(WINDOW, MIN_BYTES);
        pace.waited += Duration::from_secs(45);
        assert_eq!(pace.remaining(), Duration::from_secs(15));
        assert!(pace.next_window());
        assert_eq!(pace.remaining(), WINDOW);
    }

    #[test]
    fn two_slow_windows_in_a_row_are_too_slow() {
        let mut pace = Pace::new(WINDOW, MIN_BYTES);
        for (received, is_fast_enough) in
            [(0, true), (MIN_BYTES, true), (MIN_BYTES - 1, true), (MIN_BYTES, true), (0, true), (MIN_BYTES - 1, false)]
        {
            pace.received = received;
            assert_eq!(pace.next_window(), is_fast_enough, "{received}");
        }
    }
}
