//! Sends a request body that is a stream, within its limits.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream::Fuse};
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::EgressError;

/// A request body that is sent while it is produced.
pub struct EgressUpload {
    /// Ends with its first error. The request is then aborted, so that the server does not take the body for complete.
    pub bytes: Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>,
    /// The number of bytes, for the header `content-length`. Without it, the body is sent in chunks.
    pub length: Option<u64>,
}

/// The reason why an upload failed. The HTTP client reports only that its connection was closed.
#[derive(Debug, Clone, Default)]
pub(super) struct UploadFailure(Arc<Mutex<Option<EgressError>>>);

impl UploadFailure {
    pub(super) fn get(&self) -> Option<EgressError> {
        self.0.lock().clone()
    }
}

/// Passes an upload to the HTTP client.
pub(super) struct UploadBody {
    // A body must be `Sync`. The lock is never contended.
    upload: Mutex<Upload>,
    failure: UploadFailure,
}

struct Upload {
    bytes: Fuse<Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>>,
    length: Option<u64>,
    max_bytes: u64,
    /// Bytes that were read so far.
    read: u64,
    /// The chunk that completes the length. It is sent only when the stream has ended: the HTTP client stops reading
    /// after it, and would not notice an error or further bytes.
    last: Option<Bytes>,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl UploadBody {
    /// Returns the body of a request, and the record of its failure. The client's task owns the body, so `exchange`
    /// must be cancelled when the exchange ends.
    pub(super) fn new(upload: EgressUpload, max_bytes: u64, exchange: &CancellationToken) -> (Self, UploadFailure) {
        let EgressUpload { bytes, length } = upload;
        let stopped = Box::pin(exchange.clone().cancelled_owned());
        let failure = UploadFailure::default();
        let upload = Upload { bytes: bytes.fuse(), length, max_bytes, read: 0, last: None, stopped };
        (Self { upload: Mutex::new(upload), failure: failure.clone() }, failure)
    }
}

impl Upload {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, EgressError>> {
        if self.stopped.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(EgressError::Upload { reason: "the exchange has ended".to_owned() }));
        }
        loop {
            match std::task::ready!(self.bytes.poll_next_unpin(cx)) {
                Some(Ok(chunk)) => {
                    self.read += chunk.len() as u64;
                    if self.read > self.max_bytes {
                        return Poll::Ready(Err(EgressError::TooLarge { of: "request", max: self.max_bytes }));
                    }
                    match self.length {
                        Some(length) if self.read > length => return Poll::Ready(Err(wrong_length("more", length))),
                        Some(length) if self.read == length && self.last.is_none() => self.last = Some(chunk),
                        _ if chunk.is_empty() => {}
                        _ => return Poll::Ready(Ok(Some(chunk))),
                    }
                }
                Some(Err(error)) => return Poll::Ready(Err(EgressError::Upload { reason: error.to_string() })),
                None => {
                    return Poll::Ready(match self.length {
                        Some(length) if self.read < length => Err(wrong_length("fewer", length)),
                        _ => Ok(self.last.take().filter(|chunk| !chunk.is_empty())),
                    });
                }
            }
        }
    }
}

fn wrong_length(how_many: &str, length: u64) -> EgressError {
    EgressError::InvalidRequest(format!("its body has {how_many} than the {length} bytes of its content length"))
}

impl http_body::Body for UploadBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        Poll::Ready(match std::task::ready!(this.upload.get_mut().poll_chunk(cx)) {
            Ok(chunk) => chunk.map(|chunk| Ok(Frame::data(chunk))),
            Err(error) => {
                let io_error = io::Error::other(error.to_string());
                this.failure.0.lock().get_or_insert(error);
                Some(Err(io_error))
            }
        })
    }

    fn size_hint(&self) -> SizeHint {
        self.upload.lock().length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::BodyExt as _;

    use super::*;

    async fn send(chunks: &[&'static str], length: Option<u64>) -> Result<String, EgressError> {
        let bytes = stream::iter(chunks.to_vec()).map(|chunk| Ok(Bytes::from(chunk))).boxed();
        let (body, failure) = UploadBody::new(EgressUpload { bytes, length }, 8, &CancellationToken::new());
        let collected = body.collect().await.map_err(|_| failure.get().unwrap())?;
        Ok(String::from_utf8(collected.to_bytes().into()).unwrap())
    }

    #[tokio::test]
    async fn body_has_its_length_and_at_most_the_maximum() {
        for length in [None, Some(5)] {
            assert_eq!(send(&["ab", "", "cde", ""], length).await.unwrap(), "abcde");
        }
        assert_eq!(send(&[], Some(0)).await.unwrap(), "");
        for length in [4, 6] {
            let error = send(&["ab", "cd", "e"], Some(length)).await.unwrap_err();
            assert!(matches!(error, EgressError::InvalidRequest(_)), "{error}");
        }
        let error = send(&["abcd", "efgh", "i"], None).await.unwrap_err();
        assert_eq!(error, EgressError::TooLarge { of: "request", max: 8 });
    }

    #[tokio::test]
    async fn body_ends_with_its_exchange() {
        let exchange = CancellationToken::new();
        let upload = EgressUpload { bytes: stream::pending().boxed(), length: None };
        let (mut body, failure) = UploadBody::new(upload, 8, &exchange);
        assert!(futures_util::poll!(body.frame()).is_pending());
        exchange.cancel();
        assert!(body.frame().await.unwrap().is_err());
        assert!(matches!(failure.get(), Some(EgressError::Upload { .. })));
    }
}
