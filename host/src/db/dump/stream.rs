//! The bytes of a dump, as a stream.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::Stream;
use tokio::{process::ChildStdout, sync::oneshot};
use tokio_util::io::ReaderStream;

/// Bytes per read. The number is large, so that a dump needs few reads.
const READ_BYTES: usize = 256 * 1024;
/// Size of the pipe, and so the number of bytes by which `pg_dump` can run ahead of the reader.
#[cfg(target_os = "linux")]
const PIPE_BYTES: i32 = 1024 * 1024;

/// The dump as a stream. `pg_dump` waits while the stream is not read. The end of the stream doesn't mean success;
/// see [`super::DumpOutcome`].
pub struct DumpBytes {
    output: ReaderStream<ChildStdout>,
    size_bytes: u64,
    /// Receives the total number of bytes when the stream ends.
    drained: Option<oneshot::Sender<u64>>,
}

impl DumpBytes {
    pub(super) fn new(output: ChildStdout) -> (Self, oneshot::Receiver<u64>) {
        #[cfg(target_os = "linux")]
        if let Err(error) = nix::fcntl::fcntl(&output, nix::fcntl::FcntlArg::F_SETPIPE_SZ(PIPE_BYTES)) {
            tracing::debug!(%error, "the pipe of pg_dump could not be enlarged");
        }
        let (drained, receiver) = oneshot::channel();
        let output = ReaderStream::with_capacity(output, READ_BYTES);
        (Self { output, size_bytes: 0, drained: Some(drained) }, receiver)
    }
}

impl Stream for DumpBytes {
    type Item = std::io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.drained.is_none() {
            return Poll::Ready(None);
        }
        let item = ready!(Pin::new(&mut self.output).poll_next(cx));
        match &item {
            Some(Ok(bytes)) => self.size_bytes += bytes.len() as u64,
            // Closing the channel fails the outcome.
            Some(Err(_)) => self.drained = None,
            None => {
                let size_bytes = self.size_bytes;
                if let Some(drained) = self.drained.take() {
                    // Sending fails if the outcome was dropped.
                    let _ = drained.send(size_bytes);
                }
            }
        }
        Poll::Ready(item)
    }
}
