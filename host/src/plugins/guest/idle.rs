//! Closes streams that the guest does not read.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::Stream;
use parking_lot::Mutex;
use tokio_util::task::AbortOnDropHandle;

use super::streams::ByteStream;

/// Minimum average rate at which a stream must be read, in bytes per second.
const MIN_RATE: u64 = 16 << 10;

/// A stream that is closed if its reader is too slow, because a stream may hold a connection, a process and permits.
///
/// The reader must read each chunk within `limit`. In total, it may take `limit` plus the time that its bytes need at
/// [`MIN_RATE`]. Time that the reader spends waiting for the stream does not count.
pub(super) struct WatchedStream {
    watched: Arc<Mutex<Watched>>,
    _watcher: AbortOnDropHandle<()>,
}

struct Watched {
    /// `None` after the stream ended, was closed or was taken.
    stream: Option<ByteStream>,
    limit: Duration,
    /// Time at which the stream began to wait for the reader. `None` while the reader waits for the stream.
    idle_since: Option<Instant>,
    /// Time that the reader may still take in total. Grows with each chunk.
    allowance: Duration,
    /// Whether the stream was closed because the reader was too slow.
    is_expired: bool,
}

impl WatchedStream {
    /// Starts to watch a stream. Must be called inside a tokio runtime.
    pub(super) fn new(stream: ByteStream, limit: Duration) -> Self {
        let watched = Watched {
            stream: Some(stream),
            limit,
            idle_since: Some(Instant::now()),
            allowance: limit,
            is_expired: false,
        };
        let watched = Arc::new(Mutex::new(watched));
        let watcher = AbortOnDropHandle::new(tokio::spawn(watch(Arc::downgrade(&watched))));
        Self { watched, _watcher: watcher }
    }

    /// Records that the reader stopped waiting for the stream.
    pub(super) fn stop_waiting(&self) {
        self.watched.lock().idle_since.get_or_insert_with(Instant::now);
    }

    /// Stops watching and returns the rest of the stream, for a reader that has limits of its own.
    pub(super) fn into_stream(self) -> ByteStream {
        let mut watched = self.watched.lock();
        match watched.stream.take() {
            Some(stream) => stream,
            None if watched.is_expired => Box::pin(futures_util::stream::iter([Err(expired(watched.limit))])),
            None => Box::pin(futures_util::stream::empty()),
        }
    }
}

impl Stream for WatchedStream {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut watched = self.watched.lock();
        if let Some(since) = watched.idle_since.take() {
            watched.allowance = watched.allowance.saturating_sub(since.elapsed());
        }
        if watched.is_expired {
            return Poll::Ready(Some(Err(expired(watched.limit))));
        }
        let Some(stream) = &mut watched.stream else { return Poll::Ready(None) };
        let polled = stream.as_mut().poll_next(cx);
        match &polled {
            Poll::Ready(Some(Ok(chunk))) => {
                watched.idle_since = Some(Instant::now());
                watched.allowance += Duration::from_micros(chunk.len() as u64 * 1_000_000 / MIN_RATE);
            }
            Poll::Ready(Some(Err(_)) | None) => watched.stream = None,
            Poll::Pending => {}
        }
        polled
    }
}

fn expired(limit: Duration) -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        format!("the stream was closed because it was not read for {limit:?}, or read too slowly"),
    )
}

/// Closes the stream when the reader has no time left. Returns when the stream has ended or was dropped.
async fn watch(watched: Weak<Mutex<Watched>>) {
    while let Some(current) = watched.upgrade() {
        let (left, closed) = {
            let mut watched = current.lock();
            if watched.stream.is_none() {
                return;
            }
            let left = match watched.idle_since {
                Some(since) => watched.limit.min(watched.allowance).saturating_sub(since.elapsed()),
                None => watched.limit,
            };
            watched.is_expired = left.is_zero();
            (left, if left.is_zero() { watched.stream.take() } else { None })
        };
        drop(current);
        if closed.is_some() {
            tracing::debug!("closed a stream that a plugin did not read in time");
            return;
        }
        tokio::time::sleep(left).await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};

    use super::*;

    const LIMIT: Duration = Duration::from_millis(50);

    /// Returns a stream that never ends, and a reference that is dead once the stream was dropped.
    fn endless(chunk: usize) -> (ByteStream, Weak<()>) {
        let alive = Arc::new(());
        let weak = Arc::downgrade(&alive);
        let stream = stream::repeat_with(move || {
            let _alive = &alive;
            Ok(Bytes::from(vec![0; chunk]))
        });
        (Box::pin(stream), weak)
    }

    async fn until_closed(stream: &Weak<()>) {
        while stream.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn unread_stream_is_closed() {
        let (stream, alive) = endless(10);
        let mut watched = WatchedStream::new(stream, LIMIT);
        until_closed(&alive).await;
        assert_eq!(watched.next().await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(watched.into_stream().next().await.unwrap().is_err());
    }

    #[tokio::test]
    async fn slowly_read_stream_is_closed() {
        let (stream, alive) = endless(10);
        let mut watched = WatchedStream::new(stream, LIMIT);
        while alive.strong_count() > 0 {
            // Returns an error once the stream is closed.
            let _ = watched.next().await.unwrap();
            tokio::time::sleep(LIMIT / 10).await;
        }
    }

    #[tokio::test]
    async fn time_spent_waiting_for_the_stream_does_not_count() {
        let slow = stream::once(async {
            tokio::time::sleep(LIMIT * 4).await;
            Ok(Bytes::from_static(b"late"))
        });
        let mut watched = WatchedStream::new(Box::pin(slow), LIMIT);
        assert_eq!(watched.next().await.unwrap().unwrap(), "late");
    }

    #[tokio::test]
    async fn reader_that_stops_waiting_is_watched_again() {
        let alive = Arc::new(());
        let weak = Arc::downgrade(&alive);
        let silent = stream::poll_fn(move |_| {
            let _alive = &alive;
            Poll::Pending
        });
        let mut watched = WatchedStream::new(Box::pin(silent), LIMIT);
        assert!(futures_util::poll!(watched.next()).is_pending());
        watched.stop_waiting();
        until_closed(&weak).await;
    }

    #[tokio::test]
    async fn stream_that_is_taken_is_not_watched() {
        let (stream, alive) = endless(10);
        let mut rest = WatchedStream::new(stream, LIMIT).into_stream();
        tokio::time::sleep(LIMIT * 2).await;
        assert!(rest.next().await.unwrap().is_ok());
        assert_eq!(alive.strong_count(), 1);
    }
}
