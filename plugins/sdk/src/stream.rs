//! Streams of bytes between capabilities and the plugin.
//!
//! A stream that the plugin only forwards, for example from a dump to an upload, never enters the plugin's memory: the
//! host connects both ends. A stream that the plugin reads or writes itself is transferred in chunks, with
//! backpressure.

use std::{future::Future, pin::Pin};

use crate::{Error, Result, backend};

/// Default size of a chunk, in bytes.
const CHUNK_BYTES: usize = 64 << 10;

/// The reading end of a stream. Dropping it makes the writer fail.
pub struct ByteStream {
    pub(crate) reader: backend::stream::Reader,
}

/// The writing end of a stream. Dropping it ends the stream.
pub struct ByteWriter {
    writer: backend::stream::Writer,
}

/// Creates a stream that the plugin writes itself.
///
/// Writing waits until the other end is read. Read it at the same time, for example by passing it to an upload in a
/// [`join`](crate::task::join).
pub fn new() -> (ByteWriter, ByteStream) {
    let (writer, reader) = backend::stream::new();
    (ByteWriter { writer }, ByteStream { reader })
}

impl ByteStream {
    /// Reads the next chunk, at most 64 KiB. Returns `None` at the end of the stream.
    ///
    /// A stream cannot report that it was cut short. Await the [`Outcome`] that belongs to the stream.
    pub async fn chunk(&mut self) -> Option<Vec<u8>> {
        let mut buffer = Vec::with_capacity(CHUNK_BYTES);
        self.read_into(&mut buffer).await.then_some(buffer)
    }

    /// Replaces the content of `buffer` with the next bytes, at most its capacity, or 64 KiB if it has none. Returns
    /// false at the end of the stream.
    pub async fn read_into(&mut self, buffer: &mut Vec<u8>) -> bool {
        buffer.clear();
        if buffer.capacity() == 0 {
            buffer.reserve(CHUNK_BYTES);
        }
        self.reader.read_into(buffer).await
    }

    /// Reads the rest of the stream into memory, at most `limit` bytes. Await the [`Outcome`] afterwards, because the
    /// stream may have been cut short.
    ///
    /// # Errors
    /// Returns `TooLarge` if the stream contains more than `limit` bytes.
    pub async fn collect(mut self, limit: usize) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(chunk) = self.chunk().await {
            if all.len() + chunk.len() > limit {
                let message = format!("the stream contains more than {limit} bytes");
                return Err(Error::new(crate::ErrorCode::TooLarge, message));
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all)
    }
}

impl ByteWriter {
    /// Writes all of `buffer`. The buffer is empty afterwards and keeps its capacity.
    ///
    /// # Errors
    /// Returns `Failed` if the reader was dropped.
    pub async fn write(&mut self, buffer: &mut Vec<u8>) -> Result<()> {
        self.writer.write(buffer).await
    }
}

/// The outcome of a stream: whether it was complete, and the properties that are known only at its end.
pub struct Outcome<T>(Pin<Box<dyn Future<Output = Result<T>>>>);

impl<T> Outcome<T> {
    pub(crate) fn new(outcome: impl Future<Output = Result<T>> + 'static) -> Self {
        Self(Box::pin(outcome))
    }

    /// Waits for the outcome. Call this method after the stream was read completely or passed on.
    ///
    /// # Errors
    /// Returns the reason why the stream ended early.
    pub async fn wait(self) -> Result<T> {
        self.0.await
    }
}
