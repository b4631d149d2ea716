//! The file that lists the objects of a backup: a header, then a line per object, each as JSON. It is encrypted if
//! recipients are configured.

use std::io;

use api_types::RestoreObjects;
use bytes::{Buf as _, Bytes, BytesMut};
use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::{ObjectCopies, ObjectsError, transfer::upload_stream};
use crate::{
    object_store::{PLATFORM_BUCKET, StoredUpload},
    secrets::age_file::ByteStream,
};

const FORMAT: &str = "atlashub-objects/1";
const CONTENT_TYPE: &str = "application/octet-stream";
const WHAT: &str = "the list of the backup's objects";
/// Maximum length of a line. The longest line is the header, which takes about 100 bytes for each bucket.
const MAX_LINE_BYTES: usize = 1 << 20;
/// Maximum number of chunks that wait for the store.
const MAX_QUEUED_CHUNKS: usize = 4;

/// The first line of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListHeader {
    format: String,
    pub(super) buckets: Vec<ListedBucket>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListedBucket {
    pub(super) name: String,
    pub(super) max_object_bytes: i64,
}

/// An object of a backup: one line of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListEntry {
    /// Key in the project's bucket of the store: `<bucket>/<path>`.
    pub(super) key: String,
    pub(super) content_type: Option<String>,
    pub(super) uploaded_by: Option<String>,
    pub(super) last_modified: Option<DateTime<Utc>>,
    pub(super) size_bytes: i64,
    /// SHA-256 of the content, in hexadecimal.
    pub(super) sha256: String,
    /// Name of the copy, in hexadecimal.
    pub(super) copy: String,
}

/// The part of a backup's manifest about its objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestObjects {
    pub count: u64,
    /// Total size of the objects, in bytes.
    pub size_bytes: u64,
    /// SHA-256 of the list as it is stored, in hexadecimal.
    pub sha256: String,
}

impl ManifestObjects {
    pub(in super::super) fn to_wire(&self) -> RestoreObjects {
        RestoreObjects { count: to_i64(self.count), size_bytes: to_i64(self.size_bytes) }
    }
}

fn to_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl ListHeader {
    pub(super) fn new(buckets: &[(String, i64)]) -> Self {
        let bucket = |(name, max_object_bytes): &(String, i64)| ListedBucket {
            name: name.clone(),
            max_object_bytes: *max_object_bytes,
        };
        Self { format: FORMAT.to_owned(), buckets: buckets.iter().map(bucket).collect() }
    }
}

/// Writes a list. Dropping the writer discards the list.
pub(super) struct ListWriter {
    chunks: mpsc::Sender<io::Result<Bytes>>,
    storing: AbortOnDropHandle<Result<StoredUpload, ObjectsError>>,
}

impl ListWriter {
    /// Begins the upload of a list, and writes its header.
    pub(super) async fn begin(copies: &ObjectCopies, key: String, header: &ListHeader) -> Result<Self, ObjectsError> {
        let (chunks, receive) = mpsc::channel(MAX_QUEUED_CHUNKS);
        let copies = copies.clone();
        let storing = tokio::spawn(async move {
            let lines = stream::unfold(receive, async |mut receive| Some((receive.recv().await?, receive)));
            let bytes = copies.encrypted(lines.boxed())?;
            upload_stream(&copies.store, PLATFORM_BUCKET, &key, CONTENT_TYPE, WHAT, bytes).await
        });
        let mut writer = Self { chunks, storing: AbortOnDropHandle::new(storing) };
        writer.write(std::slice::from_ref(header)).await?;
        Ok(writer)
    }

    /// Appends lines.
    pub(super) async fn write<T: Serialize>(&mut self, lines: &[T]) -> Result<(), ObjectsError> {
        let mut text = Vec::new();
        for line in lines {
            let start = text.len();
            serde_json::to_writer(&mut text, line).map_err(|error| ObjectsError::Failed(error.to_string()))?;
            if text.len() - start > MAX_LINE_BYTES {
                return Err(ObjectsError::Failed(format!("{WHAT} would have a line of more than 1 MiB")));
            }
            text.push(b'\n');
        }
        if text.is_empty() || self.chunks.send(Ok(text.into())).await.is_ok() {
            return Ok(());
        }
        match (&mut self.storing).await? {
            Err(error) => Err(error),
            Ok(_) => Err(ObjectsError::Failed(format!("the upload of {WHAT} ended before all lines were written"))),
        }
    }

    /// Ends the upload. The list becomes visible when the returned upload is committed.
    pub(super) async fn finish(self) -> Result<StoredUpload, ObjectsError> {
        drop(self.chunks);
        self.storing.await?
    }
}

/// Reads a list.
pub(super) struct ListReader<'a> {
    content: ByteStream<'a>,
    buffer: BytesMut,
}

impl<'a> ListReader<'a> {
    /// Opens a list and reads its header.
    pub(super) async fn open(content: ByteStream<'a>) -> Result<(Self, ListHeader), ObjectsError> {
        let mut reader = Self { content, buffer: BytesMut::new() };
        let header: Option<ListHeader> = reader.line().await?;
        match header {
            Some(header) if header.format == FORMAT => Ok((reader, header)),
            _ => Err(ObjectsError::Failed(format!("{WHAT} has an unknown format"))),
        }
    }

    /// Returns the next objects, at most `count`. Returns an empty vector at the end.
    pub(super) async fn next(&mut self, count: usize) -> Result<Vec<ListEntry>, ObjectsError> {
        let mut entries = Vec::with_capacity(count);
        while entries.len() < count
            && let Some(entry) = self.line().await?
        {
            entries.push(entry);
        }
        Ok(entries)
    }

    /// Reads the next line. Returns `None` at the end.
    async fn line<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ObjectsError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end);
                self.buffer.advance(1);
                let parsed = serde_json::from_slice(&line);
                return parsed.map(Some).map_err(|_| ObjectsError::Failed(format!("{WHAT} has an invalid line")));
            }
            match self.content.next().await {
                Some(chunk) => self.buffer.extend_from_slice(&chunk.map_err(|e| ObjectsError::of_stream(WHAT, e))?),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(ObjectsError::Failed(format!("{WHAT} was cut short"))),
            }
            if self.buffer.len() > MAX_LINE_BYTES && !self.buffer.contains(&b'\n') {
                return Err(ObjectsError::Failed(format!("{WHAT} has an invalid line")));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(text: &str) -> ByteStream<'static> {
        let chunks: Vec<io::Result<Bytes>> =
            text.as_bytes().chunks(7).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        stream::iter(chunks).boxed()
    }

    #[tokio::test]
    async fn header_with_thousands_of_buckets_is_read() {
        let buckets: Vec<(String, i64)> = (0..5000).map(|number| (format!("{number:063}"), i64::MAX)).collect();
        let header = serde_json::to_string(&ListHeader::new(&buckets)).unwrap() + "\n";
        let chunks: Vec<io::Result<Bytes>> =
            header.as_bytes().chunks(16 << 10).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        let (_, read) = ListReader::open(stream::iter(chunks).boxed()).await.unwrap();
        assert_eq!(read.buckets.len(), 5000);
    }

    #[tokio::test]
    async fn list_is_read_line_by_line_and_cut_lists_are_errors() {
        let header = r#"{"format":"atlashub-objects/1","buckets":[{"name":"uploads","maxObjectBytes":5}]}"#;
        let line = r#"{"key":"uploads/ä b","contentType":null,"uploadedBy":"secret","lastModified":null,
            "sizeBytes":1,"sha256":"00","copy":"11","later":true}"#
            .replace('\n', "");
        let (mut reader, read) = ListReader::open(content(&format!("{header}\n{line}\n{line}\n"))).await.unwrap();
        assert_eq!(read.buckets[0].name, "uploads");
        assert_eq!(reader.next(1).await.unwrap()[0].key, "uploads/ä b");
        assert_eq!((reader.next(9).await.unwrap().len(), reader.next(9).await.unwrap().len()), (1, 0));
        let (mut cut, _) = ListReader::open(content(&format!("{header}\n{line}"))).await.unwrap();
        assert!(cut.next(9).await.is_err());
        for text in ["", "{}\n", r#"{"format":"atlashub-objects/2","buckets":[]}"#] {
            assert!(ListReader::open(content(text)).await.is_err(), "{text}");
        }
    }
}
