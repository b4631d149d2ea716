//! The socket of a connection: records its state for the time limits, and recognizes requests that are not valid HTTP.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

use super::{
    MAX_HEAD_BYTES,
    state::{ConnectionState, Phase},
};

/// Time for a response after its client has ended its side of the connection. The client may have disconnected, or may
/// just have nothing more to send.
const HALF_CLOSED_TIMEOUT: Duration = Duration::from_secs(2);

/// The socket as hyper sees it: records when bytes arrive and when writing waits.
///
/// hyper responds to malformed requests by itself, without a body. hyper writes no other response before a complete
/// request, so the phase identifies such a response. It is discarded, and `serve` writes the documented error instead.
pub(super) struct ConnectionIo {
    pub(super) stream: TcpStream,
    state: Arc<ConnectionState>,
    /// Length of the request line of the current head, as far as it has arrived.
    line_bytes: usize,
    line_ended: bool,
    has_read: bool,
    /// Whether the client has ended its side.
    ended: bool,
    half_closed: Option<Pin<Box<Sleep>>>,
    /// The response that was discarded.
    refused: Option<Refused>,
}

/// The kind of hyper's response to a malformed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    UrlTooLong,
    HeadTooLarge,
    Malformed,
}

impl Refused {
    fn of(response: &[u8]) -> Self {
        match response.get(b"HTTP/1.1 ".len()..) {
            Some([b'4', b'1', b'4', ..]) => Self::UrlTooLong,
            Some([b'4', b'3', b'1', ..]) => Self::HeadTooLarge,
            _ => Self::Malformed,
        }
    }
}

impl ConnectionIo {
    pub(super) fn new(stream: TcpStream, state: Arc<ConnectionState>) -> Self {
        Self {
            stream,
            state,
            line_bytes: 0,
            line_ended: false,
            has_read: false,
            ended: false,
            half_closed: None,
            refused: None,
        }
    }

    /// Returns whether the client has sent anything.
    pub(super) fn has_read(&self) -> bool {
        self.has_read
    }

    /// Returns the kind of hyper's response, if the last request was malformed.
    pub(super) fn refused(&self) -> Option<Refused> {
        match self.refused {
            // hyper does not say whether the URL or the headers are too long.
            Some(Refused::HeadTooLarge) if self.line_bytes > MAX_HEAD_BYTES / 2 => Some(Refused::UrlTooLong),
            refused => refused,
        }
    }

    fn received(&mut self, bytes: &[u8]) {
        if self.state.received() {
            (self.line_bytes, self.line_ended) = (0, false);
        }
        self.has_read = true;
        if !self.line_ended && self.state.phase() == Phase::ReadingHead {
            let end = memchr::memchr(b'\n', bytes);
            self.line_bytes += end.unwrap_or(bytes.len());
            self.line_ended = end.is_some();
        }
    }

    /// Reports the end of the client's side to hyper, which then drops the request. A request in progress first has
    /// [`HALF_CLOSED_TIMEOUT`] to complete; a response that is being written is completed.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.state.phase() {
            Phase::Serving => {
                let timeout = self.half_closed.get_or_insert_with(|| Box::pin(sleep(HALF_CLOSED_TIMEOUT)));
                timeout.as_mut().poll(cx).map(Ok)
            }
            // `poll_flush` wakes the task.
            Phase::Writing => Poll::Pending,
            _ => Poll::Ready(Ok(())),
        }
    }

    fn is_held_back(&self) -> bool {
        matches!(self.state.phase(), Phase::New | Phase::Idle | Phase::ReadingHead)
    }

    fn record_write(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(bytes)) => self.state.wrote(*bytes),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.state.write_blocked(),
        }
        written
    }
}

impl AsyncRead for ConnectionIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ended {
            return self.poll_end(cx);
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        match &buf.filled()[before..] {
            [] => {
                self.ended = true;
                self.poll_end(cx)
            }
            new => {
                self.received(new);
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncWrite for ConnectionIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_held_back() {
            self.refused = Some(Refused::of(bytes));
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.record_write(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_held_back() {
            self.refused = slices.iter().find(|slice| !slice.is_empty()).map(|slice| Refused::of(slice));
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.record_write(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper calls this when it has nothing left to write.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.state.flushed() && self.ended {
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    /// Does nothing: `serve` closes the socket, after it has read what the client still sends.
    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
