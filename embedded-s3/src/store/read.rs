//! Streams the bytes of an object from its blobs, one chunk in memory at a time.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use s3s::dto::StreamingBlob;

use super::error::StoreError;
use super::record::Object;

/// Bytes read from disk at once.
const CHUNK_BYTES: u64 = 256 * 1024;

/// Streams a range of an object's bytes. The range must lie within the object.
///
/// The first chunk is read before this function returns, so that a failing disk leads to an error response instead of a
/// truncated body. The stream keeps the object's files from being removed.
pub(crate) async fn read(object: Arc<Object>, range: Range<u64>) -> Result<StreamingBlob, StoreError> {
    let cursor = Cursor { object, range, open: None };
    let Some((first, cursor)) = cursor.advance().await? else {
        return Ok(StreamingBlob::wrap(stream::empty::<io::Result<Bytes>>()));
    };
    let rest = stream::try_unfold(cursor, Cursor::advance);
    Ok(StreamingBlob::wrap(stream::iter([Ok(first)]).chain(rest)))
}

struct Cursor {
    object: Arc<Object>,
    range: Range<u64>,
    open: Option<OpenBlob>,
}

struct OpenBlob {
    file: File,
    remaining: u64,
}

impl Cursor {
    async fn advance(mut self) -> io::Result<Option<(Bytes, Self)>> {
        if self.range.is_empty() {
            return Ok(None);
        }
        tokio::task::spawn_blocking(move || self.read_chunk().map(|chunk| Some((chunk, self))))
            .await
            .map_err(io::Error::other)?
    }

    fn read_chunk(&mut self) -> io::Result<Bytes> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => open_at(&self.object, self.range.start)?,
        };
        let length = CHUNK_BYTES.min(open.remaining).min(self.range.end - self.range.start);
        let mut chunk = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        open.file.read_exact(&mut chunk)?;
        open.remaining -= length;
        self.range.start += length;
        if open.remaining > 0 {
            self.open = Some(open);
        }
        Ok(chunk.into())
    }
}

fn open_at(object: &Object, position: u64) -> io::Result<OpenBlob> {
    let mut offset = position;
    for blob in &object.blobs {
        if offset < blob.size {
            let mut file = blob.open()?;
            file.seek(SeekFrom::Start(offset))?;
            return Ok(OpenBlob { file, remaining: blob.size - offset });
        }
        offset -= blob.size;
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}
