//! Byte streams between guest and host. A stream that the guest only forwards is not copied.
//!
//! If the guest passes a stream of the host back, [`receive`] returns the rest of the [`ByteStream`] that [`send`]
//! took, so these bytes never enter the guest's memory. Bytes that the guest reads or writes itself are copied once,
//! directly between its memory and [`Bytes`], and count as bytes of host calls.
//!
//! A `stream<u8>` can't report errors. A [`ByteStream`] ends with its first error. If the host reads the stream, it
//! sees the error. A guest only sees the end, and receives the error from the `future` that accompanies the stream.

use std::{
    any::{Any, TypeId},
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::mpsc;
use tokio_util::sync::PollSender;
use wasmtime::{
    AsContextMut, StoreContextMut,
    component::{
        Destination, FutureReader, Lift, Lower, Source, StreamConsumer, StreamProducer, StreamReader, StreamResult,
        VecBuffer,
    },
};

use super::{HostTime, idle::WatchedStream};

/// A stream of bytes that ends with its first error.
pub type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// Functions that streams need from a store's data.
pub trait CountsBytes: Send + 'static {
    /// Counts bytes that enter or leave the guest's memory.
    ///
    /// # Errors
    /// Returns an error, which traps the guest, if the run exceeds its limit on the bytes of host calls.
    fn count_bytes(&mut self, bytes: usize) -> wasmtime::Result<()>;

    /// Returns the counter for the processor time that the host spends on producing bytes for the guest.
    fn host_time(&self) -> HostTime {
        HostTime::default()
    }

    /// Returns the time for which the guest may leave a stream unread before it is closed.
    fn stream_idle(&self) -> Duration {
        Duration::from_secs(60)
    }
}

/// Maximum number of chunks buffered between a writing guest and the reading host.
const BUFFERED_CHUNKS: usize = 4;
/// Maximum size of a chunk that is read from a guest.
const MAX_CHUNK_BYTES: usize = 256 << 10;
/// Buffer size when the reader is the host itself.
const HOST_READ_BYTES: usize = 64 << 10;

/// Creates a stream for the guest to read or forward. `bytes` is not polled before the guest reads. It is dropped when
/// the guest drops its end, when the guest reads too slowly, or when the run ends.
///
/// # Errors
/// Fails if the store's table of handles is full.
pub fn send(store: impl AsContextMut<Data: CountsBytes>, bytes: ByteStream) -> wasmtime::Result<StreamReader<u8>> {
    let (host_time, idle) = {
        let context = store.as_context();
        (context.data().host_time(), context.data().stream_idle())
    };
    let mut bytes = bytes;
    let timed = stream::poll_fn(move |cx| host_time.measure(|| bytes.as_mut().poll_next(cx)));
    StreamReader::new(store, Sender { bytes: WatchedStream::new(Box::pin(timed), idle), rest: Bytes::new() })
}

/// Creates a future for the guest that resolves to the output of `outcome`. `outcome` is dropped when the guest drops
/// its end, or when the run ends.
///
/// # Errors
/// Fails if the store's table of handles is full.
pub fn send_outcome<T>(
    store: impl AsContextMut,
    outcome: impl Future<Output = T> + Send + 'static,
) -> wasmtime::Result<FutureReader<T>>
where
    T: Lift + Lower + Send + Sync + 'static,
{
    FutureReader::new(store, async move { wasmtime::Result::<T>::Ok(outcome.await) })
}

/// Takes a stream from the guest, whether the host or the guest created it. If the guest created it, a slow reader
/// blocks the guest's writes.
///
/// Call [`StreamReader::close`] on a stream that is not received. If the guest created the stream and it is only
/// dropped, the guest's writes wait forever.
///
/// # Errors
/// Returns an error if the stream was already closed.
pub fn receive(
    mut store: impl AsContextMut<Data: CountsBytes>,
    stream: StreamReader<u8>,
) -> wasmtime::Result<ByteStream> {
    match stream.try_into::<ByteStream>(store.as_context_mut()) {
        Ok(bytes) => Ok(bytes),
        Err(stream) => {
            let (sender, mut receiver) = mpsc::channel(BUFFERED_CHUNKS);
            stream.pipe(store, Receiver { chunks: PollSender::new(sender) })?;
            Ok(Box::pin(stream::poll_fn(move |cx| receiver.poll_recv(cx).map(|chunk| chunk.map(Ok)))))
        }
    }
}

/// The host's end of a stream that the guest reads.
struct Sender {
    bytes: WatchedStream,
    /// The part of the last chunk that did not fit into the guest's buffer.
    rest: Bytes,
}

impl<D: CountsBytes> StreamProducer<D> for Sender {
    type Item = u8;
    type Buffer = VecBuffer<u8>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        destination: Destination<'a, u8, VecBuffer<u8>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let this = self.get_mut();
        while this.rest.is_empty() {
            match Pin::new(&mut this.bytes).poll_next(cx) {
                Poll::Ready(Some(Ok(chunk))) => this.rest = chunk,
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Ok(StreamResult::Dropped)),
                Poll::Pending if finish => {
                    this.bytes.stop_waiting();
                    return Poll::Ready(Ok(StreamResult::Cancelled));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        if destination.remaining(store.as_context_mut()) == Some(0) {
            // A zero-length read asks only whether data is available.
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let mut direct = destination.as_direct(store.as_context_mut(), HOST_READ_BYTES);
        let buffer = direct.remaining();
        let count = buffer.len().min(this.rest.len());
        buffer[..count].copy_from_slice(&this.rest[..count]);
        direct.mark_written(count);
        this.rest.advance(count);
        store.data_mut().count_bytes(count)?;
        Poll::Ready(Ok(StreamResult::Completed))
    }

    fn try_into(me: Pin<Box<Self>>, wanted: TypeId) -> Result<Box<dyn Any>, Pin<Box<Self>>> {
        if wanted != TypeId::of::<ByteStream>() {
            return Err(me);
        }
        let Self { bytes, rest } = *Pin::into_inner(me);
        // From here on, the host reads the stream itself, so the limits for a reading guest don't apply.
        let bytes = bytes.into_stream();
        let bytes: ByteStream = if rest.is_empty() { bytes } else { Box::pin(stream::iter([Ok(rest)]).chain(bytes)) };
        Ok(Box::new(bytes))
    }
}

/// The host's end of a stream that the guest writes.
struct Receiver {
    chunks: PollSender<Bytes>,
}

impl<D: CountsBytes> StreamConsumer<D> for Receiver {
    type Item = u8;

    fn poll_consume(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<D>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let this = self.get_mut();
        let reserved = match this.chunks.poll_reserve(cx) {
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            reserved => ready!(reserved),
        };
        if reserved.is_err() {
            // The reader was dropped.
            return Poll::Ready(Ok(StreamResult::Dropped));
        }
        let mut direct = source.as_direct(store.as_context_mut());
        let available = direct.remaining();
        let count = available.len().min(MAX_CHUNK_BYTES);
        if count == 0 {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let chunk = Bytes::copy_from_slice(&available[..count]);
        direct.mark_read(count);
        store.data_mut().count_bytes(count)?;
        let is_sent = this.chunks.send_item(chunk).is_ok();
        Poll::Ready(Ok(if is_sent { StreamResult::Completed } else { StreamResult::Dropped }))
    }
}

#[cfg(test)]
#[path = "streams_tests.rs"]
mod tests;
