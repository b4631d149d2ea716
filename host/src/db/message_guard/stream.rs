use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsStream};

use super::messages::MessageGuard;

/// A connection's stream without large messages.
pub(in crate::db) struct GuardedStream<S> {
    stream: S,
    guard: MessageGuard,
}

/// A stream without TLS.
pub(in crate::db) struct PlainStream<S>(S);

impl<S> GuardedStream<S> {
    pub(super) fn new(stream: S, max_row_bytes: usize) -> Self {
        Self { stream, guard: MessageGuard::new(max_row_bytes) }
    }
}

impl<S> PlainStream<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self(stream)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for GuardedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, guard } = &mut *self;
        loop {
            if guard.deliver(buffer) {
                return Poll::Ready(Ok(()));
            }
            if let Some(rest) = guard.rest_of_header() {
                // The last read ended within a header. Nothing of it is passed on before it is complete.
                let mut rest = ReadBuf::new(rest);
                ready!(Pin::new(&mut *stream).poll_read(cx, &mut rest))?;
                match rest.filled().len() {
                    0 => return Poll::Ready(Ok(())),
                    read => guard.extend_header(read),
                }
                continue;
            }
            let before = buffer.filled().len();
            ready!(Pin::new(&mut *stream).poll_read(cx, buffer))?;
            if buffer.filled().len() == before {
                return Poll::Ready(Ok(()));
            }
            let kept = guard.filter(&mut buffer.filled_mut()[before..]);
            buffer.set_filled(before + kept);
            if kept > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PlainStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for PlainStream<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: TlsStream + Unpin> TlsStream for GuardedStream<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.stream.channel_binding()
    }
}

macro_rules! delegate_writes {
    ($stream:ident, $field:tt) => {
        impl<S: AsyncWrite + Unpin> AsyncWrite for $stream<S> {
            fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.$field).poll_write(cx, bytes)
            }

            fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut self.$field).poll_flush(cx)
            }

            fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut self.$field).poll_shutdown(cx)
            }
        }
    };
}

delegate_writes!(GuardedStream, stream);
delegate_writes!(PlainStream, 0);

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;
    use crate::db::message_guard::messages::{ERROR_TEXT, ERROR_TOO_LARGE, ROW_TOO_LARGE, error_message};

    fn message(kind: u8, content: usize) -> Vec<u8> {
        let mut message = vec![kind];
        message.extend_from_slice(&(content as u32 + 4).to_be_bytes());
        message.extend((0..content).map(|position| position as u8));
        message
    }

    /// Returns the bytes that pass the guard if reads return at most `piece` bytes at a time.
    async fn filtered(sent: &[u8], piece: usize) -> Vec<u8> {
        struct Pieces<'a>(&'a [u8], usize);
        impl AsyncRead for Pieces<'_> {
            fn poll_read(
                mut self: Pin<&mut Self>,
                _: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                let (piece, rest) = self.0.split_at(self.1.min(self.0.len()).min(buffer.remaining()));
                buffer.put_slice(piece);
                self.0 = rest;
                Poll::Ready(Ok(()))
            }
        }
        let mut received = Vec::new();
        let mut stream = GuardedStream::new(Pieces(sent, piece), 1000);
        stream.guard.max_other_bytes = 1000;
        stream.read_to_end(&mut received).await.unwrap();
        received
    }

    #[tokio::test]
    async fn large_messages_are_replaced_with_reads_of_any_size() {
        let other = 1001;
        let sent = [
            message(b'T', 30),
            message(b'D', 1000),
            message(b'D', 1001),
            message(b'D', 0),
            message(b'E', 50),
            message(b'N', other),
            message(b'C', 3),
            message(b'E', other),
            message(b'Z', 1),
        ]
        .concat();
        let expected = [
            message(b'T', 30),
            message(b'D', 1000),
            error_message(ROW_TOO_LARGE, "a row is too large").to_vec(),
            message(b'D', 0),
            message(b'E', 50),
            message(b'C', 3),
            error_message(ERROR_TOO_LARGE, ERROR_TEXT).to_vec(),
            message(b'Z', 1),
        ]
        .concat();
        for piece in [1, 2, 3, 7, 64, 1006, 8192, usize::MAX] {
            assert!(filtered(&sent, piece).await == expected, "reads of {piece} bytes");
        }
    }
}
