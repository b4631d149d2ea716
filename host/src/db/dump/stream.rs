use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::Stream;
use tokio::{process::ChildStdout, sync::oneshot};
use tokio_util::io::ReaderStream;

/// Big reads: a dump is moved in few steps.
const READ: usize = 256 * 1024;
/// What `pg_dump` may be ahead of us, where the system lets us say so.
#[cfg(target_os = "linux")]
const PIPE: i32 = 1024 * 1024;

/// The archive, as `pg_dump` writes it; it waits while nobody reads. The end says nothing of success.
pub struct DumpBytes {
    output: ReaderStream<ChildStdout>,
    read: u64,
    /// Told how many bytes there were, at the end and not before.
    drained: Option<oneshot::Sender<u64>>,
}

impl DumpBytes {
    pub(super) fn new(output: ChildStdout) -> (Self, oneshot::Receiver<u64>) {
        #[cfg(target_os = "linux")]
        if let Err(error) = nix::fcntl::fcntl(&output, nix::fcntl::FcntlArg::F_SETPIPE_SZ(PIPE)) {
            tracing::debug!(%error, "the pipe of pg_dump keeps its size");
        }
        let (drained, told) = oneshot::channel();
        (Self { output: ReaderStream::with_capacity(output, READ), read: 0, drained: Some(drained) }, told)
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
            Some(Ok(bytes)) => self.read += bytes.len() as u64,
            // Whoever waits for the outcome hears of it.
            Some(Err(_)) => self.drained = None,
            None => {
                let read = self.read;
                if let Some(drained) = self.drained.take() {
                    // Nobody waits for the outcome any more: then there is nobody to tell.
                    let _ = drained.send(read);
                }
            }
        }
        Poll::Ready(item)
    }
}
