//! Byte streams between guest and host, without a copy where the guest only passes them on.
//!
//! A host stream that comes back from the guest is handed over as it was ([`receive`] answers the very [`ByteStream`]
//! that [`send`] took), so its bytes never enter the guest's memory. Streams that the guest writes or reads itself are
//! copied once, straight between its memory and [`Bytes`], and count as bytes of calls to the host.
//!
//! A `stream<u8>` can't say that it was cut short. A [`ByteStream`] can: it ends with its first error. What reads one
//! natively sees that; the guest sees an end, and learns of the error from the future beside it.

use std::{
    any::{Any, TypeId},
    io,
    pin::Pin,
    task::{Context, Poll, ready},
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

/// Bytes on their way; the first error ends it.
pub type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// A store's data, as far as streams need it.
pub trait CountsBytes: Send + 'static {
    /// Counts bytes that enter or leave the guest's memory.
    ///
    /// # Errors
    /// A trap, once there were too many.
    fn count_bytes(&mut self, bytes: usize) -> wasmtime::Result<()>;
}

/// Chunks that may wait between a guest that writes and the host that reads.
const WAITING_CHUNKS: usize = 4;
/// Largest chunk taken from a guest at once, in bytes.
const CHUNK_BYTES: usize = 256 << 10;
/// Room offered where the reader is the host's own.
const HOST_READ_BYTES: usize = 64 << 10;

/// Gives the guest a stream to read or to pass on. Nothing of `bytes` is read before the guest wants it; it is dropped
/// when the guest drops its end, and with the run.
pub fn send(store: impl AsContextMut<Data: CountsBytes>, bytes: ByteStream) -> wasmtime::Result<StreamReader<u8>> {
    StreamReader::new(store, Sender { bytes, rest: Bytes::new() })
}

/// Gives the guest the value of `outcome` once it is there. Dropped like a stream.
pub fn send_outcome<T>(
    store: impl AsContextMut,
    outcome: impl Future<Output = T> + Send + 'static,
) -> wasmtime::Result<FutureReader<T>>
where
    T: Lift + Lower + Send + Sync + 'static,
{
    FutureReader::new(store, async move { wasmtime::Result::<T>::Ok(outcome.await) })
}

/// Takes a stream from the guest, of the host or of its own. Reading slowly makes the guest wait.
///
/// Call [`StreamReader::close`] on a stream that isn't wanted: dropped, it would keep its writer waiting for ever.
pub fn receive(
    mut store: impl AsContextMut<Data: CountsBytes>,
    stream: StreamReader<u8>,
) -> wasmtime::Result<ByteStream> {
    match stream.try_into::<ByteStream>(store.as_context_mut()) {
        Ok(bytes) => Ok(bytes),
        Err(stream) => {
            let (sender, mut receiver) = mpsc::channel(WAITING_CHUNKS);
            stream.pipe(store, Receiver { chunks: PollSender::new(sender) })?;
            Ok(Box::pin(stream::poll_fn(move |cx| receiver.poll_recv(cx).map(|chunk| chunk.map(Ok)))))
        }
    }
}

/// The host's end of a stream that the guest reads.
struct Sender {
    bytes: ByteStream,
    /// Of the last chunk, what the guest had no room for.
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
            match this.bytes.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(chunk))) => this.rest = chunk,
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Ok(StreamResult::Dropped)),
                Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                Poll::Pending => return Poll::Pending,
            }
        }
        if destination.remaining(store.as_context_mut()) == Some(0) {
            // The guest asked only whether there is something.
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let mut direct = destination.as_direct(store.as_context_mut(), HOST_READ_BYTES);
        let room = direct.remaining();
        let count = room.len().min(this.rest.len());
        room[..count].copy_from_slice(&this.rest[..count]);
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
            // Whoever read it has enough.
            return Poll::Ready(Ok(StreamResult::Dropped));
        }
        let mut direct = source.as_direct(store.as_context_mut());
        let available = direct.remaining();
        let count = available.len().min(CHUNK_BYTES);
        if count == 0 {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let chunk = Bytes::copy_from_slice(&available[..count]);
        direct.mark_read(count);
        store.data_mut().count_bytes(count)?;
        let taken = this.chunks.send_item(chunk).is_ok();
        Poll::Ready(Ok(if taken { StreamResult::Completed } else { StreamResult::Dropped }))
    }
}

#[cfg(test)]
#[path = "streams_tests.rs"]
mod tests;
