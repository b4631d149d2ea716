//! The stream between the client library and Postgres. A [`MessageGuard`] sees all messages.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsStream};

use super::messages::MessageGuard;

/// Maximum number of bytes that the stream accepts before they are written.
const MAX_UNWRITTEN_BYTES: usize = 64 << 10;

/// The stream of a connection. It replaces or drops messages that are too large, and joins the requests of a
/// transaction.
pub(in crate::db) struct GuardedStream<S> {
    stream: S,
    guard: MessageGuard,
    /// Bytes from the library that are not yet written to the socket.
    unwritten: BytesMut,
}

/// A stream without TLS.
pub(in crate::db) struct PlainStream<S>(S);

impl<S> GuardedStream<S> {
    pub(in crate::db) fn new(stream: S, max_row_bytes: usize) -> Self {
        Self { stream, guard: MessageGuard::new(max_row_bytes), unwritten: BytesMut::new() }
    }
}

impl<S> PlainStream<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self(stream)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for GuardedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, guard, .. } = &mut *self;
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

impl<S: AsyncWrite + Unpin> GuardedStream<S> {
    fn poll_unwritten(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unwritten.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.unwritten))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.unwritten.advance(written),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for GuardedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_unwritten(cx))?;
        let accepted = bytes.len().min(MAX_UNWRITTEN_BYTES);
        let this = &mut *self;
        this.guard.requests.send(&bytes[..accepted], &mut this.unwritten)?;
        // What can't be written now is written before the next bytes, or when the stream is flushed.
        match self.poll_unwritten(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(accepted)),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_unwritten(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_unwritten(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PlainStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;
    use crate::db::wire::{
        messages::{ERROR_TEXT, ERROR_TOO_LARGE, ROW_TOO_LARGE, error_message},
        requests::{NOT_RUN_TEXT, SET_CLAIMS},
    };

    fn message(kind: u8, content: usize) -> Vec<u8> {
        let mut message = vec![kind];
        message.extend_from_slice(&(content as u32 + 4).to_be_bytes());
        message.extend((0..content).map(|position| position as u8));
        message
    }

    /// Returns the bytes that pass the guard if reads return at most `piece` bytes at a time. `requests` were sent
    /// before.
    async fn filtered(requests: &[u8], sent: &[u8], piece: usize) -> Vec<u8> {
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
        stream.guard.requests.send(requests, &mut BytesMut::new()).unwrap();
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
            assert!(filtered(&[], &sent, piece).await == expected, "reads of {piece} bytes");
        }
    }

    #[tokio::test]
    async fn response_to_claims_is_completed_with_reads_of_any_size() {
        let request = |kind: u8, content: &str| {
            [&[kind][..], &(content.len() as u32 + 4).to_be_bytes(), content.as_bytes(), b"S\0\0\0\x04"].concat()
        };
        let requests = [
            b"\0\0\0\x08\0\x03\0\0".to_vec(),
            request(b'P', &format!("s1\0{SET_CLAIMS}\0\0\0")),
            request(b'B', "\0s1\0{}"),
            request(b'B', "\0s2\0"),
            request(b'B', "\0s1\0{}"),
            request(b'B', "\0s2\0"),
        ]
        .concat();
        let ready = b"Z\0\0\0\x05T".to_vec();
        let not_run = error_message("25P02", NOT_RUN_TEXT).to_vec();
        let sent = |ready: &[u8], not_run: &[u8]| {
            [
                &message(b'Z', 1)[..],
                &message(b'Z', 1),
                &message(b'2', 0),
                &message(b'D', 30),
                &message(b'C', 9),
                ready,
                &message(b'2', 0),
                &message(b'D', 500),
                &message(b'N', 20),
                &message(b'C', 9),
                &message(b'Z', 1),
                &message(b'E', 40),
                ready,
                not_run,
                &message(b'Z', 1),
                &message(b'D', 9),
            ]
            .concat()
        };
        for piece in [1, 2, 3, 7, 64, 559, 8192, usize::MAX] {
            let received = filtered(&requests, &sent(&[], &[]), piece).await;
            assert!(received == sent(&ready, &not_run), "reads of {piece} bytes");
        }
    }

    #[tokio::test]
    async fn bytes_are_written_in_order_when_the_socket_is_full() {
        use tokio::io::AsyncWriteExt as _;
        let (writer, mut reader) = tokio::io::duplex(7);
        let mut stream = GuardedStream::new(writer, 1000);
        let mut sent = b"\0\0\0\x08\0\x03\0\0".to_vec();
        for length in [3, 200_000, 0, 40] {
            sent.extend(message(b'd', length));
        }
        let expected = sent.clone();
        let writing = async move {
            stream.write_all(&sent).await.unwrap();
            stream.shutdown().await.unwrap();
        };
        let mut received = Vec::new();
        let ((), read) = tokio::join!(writing, reader.read_to_end(&mut received));
        assert_eq!(read.unwrap(), expected.len());
        assert!(received == expected);
    }
}
