//! Streams of bytes between capabilities and the plugin.
//!
//! A stream that is handed on (a dump to a put) never enters the plugin's memory: the host joins both ends. One that is read
//! or written here passes in chunks, with backpressure.

use std::{future::Future, pin::Pin};

use crate::{Error, Result};

/// Of a chunk that is read without a buffer of the caller's, in bytes.
const CHUNK: usize = 64 << 10;

/// The reading end. Dropping it tells the writer that nobody listens.
pub struct ByteStream {
    #[cfg(target_arch = "wasm32")]
    pub(crate) reader: wit_bindgen::StreamReader<u8>,
    #[cfg(target_arch = "wasm32")]
    ended: bool,
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) pipe: crate::testing::PipeReader,
}

/// The writing end. Dropping it ends the stream.
pub struct ByteWriter {
    #[cfg(target_arch = "wasm32")]
    writer: wit_bindgen::StreamWriter<u8>,
    #[cfg(not(target_arch = "wasm32"))]
    pipe: crate::testing::PipeWriter,
}

/// A stream that this plugin writes itself. Something has to read it meanwhile: see [`crate::task::join`].
pub fn new() -> (ByteWriter, ByteStream) {
    #[cfg(target_arch = "wasm32")]
    {
        let (writer, reader) = crate::bindings::wit_stream::new::<u8>();
        (ByteWriter { writer }, ByteStream::from_reader(reader))
    }
    #[cfg(not(target_arch = "wasm32"))]
    {
        let (writer, reader) = crate::testing::pipe();
        (ByteWriter { pipe: writer }, ByteStream { pipe: reader })
    }
}

impl ByteStream {
    #[cfg(target_arch = "wasm32")]
    pub(crate) fn from_reader(reader: wit_bindgen::StreamReader<u8>) -> Self {
        Self { reader, ended: false }
    }

    /// The next bytes; none at the end. An end doesn't say that all went well: ask the [`Outcome`] that came with the
    /// stream.
    pub async fn chunk(&mut self) -> Option<Vec<u8>> {
        let mut buffer = Vec::with_capacity(CHUNK);
        self.read_into(&mut buffer).await.then_some(buffer)
    }

    /// Replaces what is in `buffer` by the next bytes, as many as are there and fit its capacity; false at the end.
    pub async fn read_into(&mut self, buffer: &mut Vec<u8>) -> bool {
        buffer.clear();
        if buffer.capacity() == 0 {
            buffer.reserve(CHUNK);
        }
        #[cfg(target_arch = "wasm32")]
        {
            while !self.ended {
                let (result, read) = self.reader.read(std::mem::take(buffer)).await;
                *buffer = read;
                self.ended = !matches!(result, wit_bindgen::StreamResult::Complete(_));
                if !buffer.is_empty() {
                    return true;
                }
            }
            false
        }
        #[cfg(not(target_arch = "wasm32"))]
        self.pipe.read_into(buffer).await
    }

    /// All that is left. Fails beyond `limit` bytes, so that a large stream can't eat the plugin's memory.
    ///
    /// # Errors
    /// `TooLarge`.
    pub async fn collect(mut self, limit: usize) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(chunk) = self.chunk().await {
            if all.len() + chunk.len() > limit {
                let message = format!("the stream has more than {limit} bytes");
                return Err(Error::new(crate::ErrorCode::TooLarge, message));
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all)
    }
}

impl ByteWriter {
    /// Hands over all of `buffer` and leaves it empty, with its capacity, for the next bytes.
    ///
    /// # Errors
    /// `Failed` when the reader went away.
    pub async fn write(&mut self, buffer: &mut Vec<u8>) -> Result<()> {
        #[cfg(target_arch = "wasm32")]
        {
            *buffer = self.writer.write_all(std::mem::take(buffer)).await;
            if buffer.is_empty() { Ok(()) } else { Err(Error::failed("the stream's reader went away")) }
        }
        #[cfg(not(target_arch = "wasm32"))]
        self.pipe.write(buffer).await
    }
}

/// What is known once a stream has ended: whether it carried everything, and more where there is more.
pub struct Outcome<T>(Pin<Box<dyn Future<Output = Result<T>>>>);

impl<T> Outcome<T> {
    pub(crate) fn new(outcome: impl Future<Output = Result<T>> + 'static) -> Self {
        Self(Box::pin(outcome))
    }

    /// Await it after the stream was read, or handed on and taken to its end.
    ///
    /// # Errors
    /// Why the stream ended early.
    pub async fn wait(self) -> Result<T> {
        self.0.await
    }
}
