//! From a request's body to a blob, in flat memory, with every digest checked on the way.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use s3s::dto;

use super::blob::{Blob, BlobWriter};
use super::disk::Disk;
use super::{Store, StoreError};

/// Written to disk at a time.
const BATCH: usize = 256 * 1024;
/// A client that sends nothing for so long is gone.
const STALL: Duration = Duration::from_secs(120);
/// Largest body of one request, as in S3.
const MAX_SIZE: u64 = 5 * 1024 * 1024 * 1024;

/// What the client said about the body.
#[derive(Default)]
pub(crate) struct Expectations {
    pub length: Option<u64>,
    pub md5: Option<[u8; 16]>,
    /// Base64 values of `x-amz-checksum-*`.
    pub checksum: dto::Checksum,
    /// Checksums that will follow the body, as named in `x-amz-trailer`.
    pub announced: Vec<String>,
    pub trailers: Option<s3s::TrailingHeaders>,
}

/// A body that arrived whole. Nothing refers to the blob yet: dropping it removes the file.
#[derive(Debug)]
pub(crate) struct Ingested {
    pub blob: Arc<Blob>,
    pub md5: [u8; 16],
    /// The checksums that the client gave, which hold.
    pub checksum: dto::Checksum,
}

/// Why a body was not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IngestError {
    #[error("the body is not the {expected} bytes that were declared")]
    Length { expected: u64 },
    #[error("the body is larger than 5 GiB")]
    TooLarge,
    #[error("the body does not have the {0} that was declared")]
    Digest(&'static str),
    #[error("nothing arrived for {} seconds", STALL.as_secs())]
    Stalled,
    #[error("the body ended early: {0}")]
    Body(Box<dyn Error + Send + Sync>),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<io::Error> for IngestError {
    fn from(error: io::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Store {
    /// Writes a body to a blob.
    pub(crate) async fn ingest<S>(&self, mut body: S, expectations: Expectations) -> Result<Ingested, IngestError>
    where
        S: Stream<Item = Result<Bytes, Box<dyn Error + Send + Sync>>> + Unpin,
    {
        let limit = expectations.length.unwrap_or(MAX_SIZE).min(MAX_SIZE);
        let mut sink = Sink::new(&expectations);
        let mut batch = Vec::new();
        let (mut batched, mut received) = (0_usize, 0_u64);
        loop {
            let next = tokio::time::timeout(STALL, body.next()).await.map_err(|_| IngestError::Stalled)?;
            let Some(chunk) = next else { break };
            let chunk = chunk.map_err(IngestError::Body)?;
            received += chunk.len() as u64;
            if received > limit {
                return Err(match expectations.length {
                    Some(expected) if expected <= MAX_SIZE => IngestError::Length { expected },
                    _ => IngestError::TooLarge,
                });
            }
            batched += chunk.len();
            batch.push(chunk);
            if batched >= BATCH {
                let full = std::mem::take(&mut batch);
                batched = 0;
                let disk = Arc::clone(&self.shared.disk);
                sink = in_background(move || {
                    sink.write(&disk, &full)?;
                    Ok(sink)
                })
                .await?;
            }
        }
        if let Some(expected) = expectations.length.filter(|expected| *expected != received) {
            return Err(IngestError::Length { expected });
        }
        let disk = Arc::clone(&self.shared.disk);
        in_background(move || {
            sink.write(&disk, &batch)?;
            sink.finish(&disk, expectations)
        })
        .await
    }
}

async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, IngestError> + Send + 'static,
) -> Result<T, IngestError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| StoreError::Interrupted)?
}

/// The file and the running digests. Blocking.
struct Sink {
    writer: Option<BlobWriter>,
    md5: Md5,
    checksums: ChecksumHasher,
}

impl Sink {
    fn new(expectations: &Expectations) -> Self {
        let given = &expectations.checksum;
        let wanted = |value: &Option<String>, name: &str| {
            value.is_some() || expectations.announced.iter().any(|announced| announced == name)
        };
        let checksums = ChecksumHasher {
            crc32: wanted(&given.checksum_crc32, "x-amz-checksum-crc32").then(Crc32::new),
            crc32c: wanted(&given.checksum_crc32c, "x-amz-checksum-crc32c").then(Crc32c::new),
            crc64nvme: wanted(&given.checksum_crc64nvme, "x-amz-checksum-crc64nvme").then(Crc64Nvme::new),
            sha1: wanted(&given.checksum_sha1, "x-amz-checksum-sha1").then(Sha1::new),
            sha256: wanted(&given.checksum_sha256, "x-amz-checksum-sha256").then(Sha256::new),
        };
        Self { writer: None, md5: Md5::new(), checksums }
    }

    fn write(&mut self, disk: &Arc<Disk>, batch: &[Bytes]) -> Result<(), IngestError> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(BlobWriter::create(Arc::clone(disk))?),
        };
        for chunk in batch {
            writer.write(chunk)?;
            self.md5.update(chunk);
            self.checksums.update(chunk);
        }
        Ok(())
    }

    fn finish(self, disk: &Arc<Disk>, mut expectations: Expectations) -> Result<Ingested, IngestError> {
        let md5 = self.md5.finalize();
        if expectations.md5.is_some_and(|expected| expected != md5) {
            return Err(IngestError::Digest("Content-MD5"));
        }
        if let Some(trailers) = expectations.trailers.take() {
            read_trailers(&trailers, &mut expectations.checksum);
        }
        let checksum = self.checksums.finalize();
        check_checksums(&expectations, &checksum)?;
        let writer = match self.writer {
            Some(writer) => writer,
            None => BlobWriter::create(Arc::clone(disk))?,
        };
        Ok(Ingested { blob: writer.finish()?, md5, checksum })
    }
}

fn read_trailers(trailers: &s3s::TrailingHeaders, expected: &mut dto::Checksum) {
    trailers.read(|headers| {
        let fill = |slot: &mut Option<String>, name: &str| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            if let Some(value) = value {
                *slot = Some(value.trim().to_owned());
            }
        };
        fill(&mut expected.checksum_crc32, "x-amz-checksum-crc32");
        fill(&mut expected.checksum_crc32c, "x-amz-checksum-crc32c");
        fill(&mut expected.checksum_crc64nvme, "x-amz-checksum-crc64nvme");
        fill(&mut expected.checksum_sha1, "x-amz-checksum-sha1");
        fill(&mut expected.checksum_sha256, "x-amz-checksum-sha256");
    });
}

/// A checksum that was announced but never came fails too: the body may have been cut.
fn check_checksums(expectations: &Expectations, actual: &dto::Checksum) -> Result<(), IngestError> {
    let expected = &expectations.checksum;
    let table = [
        (&expected.checksum_crc32, &actual.checksum_crc32, "x-amz-checksum-crc32"),
        (&expected.checksum_crc32c, &actual.checksum_crc32c, "x-amz-checksum-crc32c"),
        (&expected.checksum_crc64nvme, &actual.checksum_crc64nvme, "x-amz-checksum-crc64nvme"),
        (&expected.checksum_sha1, &actual.checksum_sha1, "x-amz-checksum-sha1"),
        (&expected.checksum_sha256, &actual.checksum_sha256, "x-amz-checksum-sha256"),
    ];
    for (expected, actual, name) in table {
        let announced = expectations.announced.iter().any(|announced| announced == name);
        if (announced || expected.is_some()) && decode(expected) != decode(actual) {
            return Err(IngestError::Digest(name));
        }
    }
    Ok(())
}

fn decode(value: &Option<String>) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(value.as_deref()?).ok()
}
