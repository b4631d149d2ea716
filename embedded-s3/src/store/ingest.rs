//! Writes the body of a request to a blob, one batch in memory at a time, and checks its length and digests.

use std::error::Error;
use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use s3s::dto;

use super::blob::{Blob, BlobWriter};
use super::checksum::{Algorithm, field};
use super::disk::Disk;
use super::error::StoreError;
use super::state::Store;

/// Number of bytes that are collected before they are written to disk.
const BATCH_BYTES: usize = 256 * 1024;
/// Maximum size of a request body, as in S3.
const MAX_BODY_BYTES: u64 = 5 * 1024 * 1024 * 1024;
/// Maximum size of a request body whose length is signed: that of an object in S3.
const MAX_SIGNED_BODY_BYTES: u64 = 5 * 1024 * 1024 * 1024 * 1024;

/// Length and digests that the client declared for the body.
#[derive(Default)]
pub(crate) struct Expectations {
    pub length: Option<u64>,
    /// Whether the length is part of the signature of a URL: whoever signed it permits a body of this size.
    pub is_length_signed: bool,
    pub md5: Option<[u8; 16]>,
    /// Values of `x-amz-checksum-*`, in base64.
    pub checksum: dto::Checksum,
    /// Checksum to compute even if the client declares none.
    pub wanted: Option<Algorithm>,
    /// Whether a CRC-64 and the length make up the ETag, unless the client declares an MD5.
    pub allows_crc_etag: bool,
    /// Names of the checksums that follow the body, from `x-amz-trailer`.
    pub announced: Vec<String>,
    pub trailers: Option<s3s::TrailingHeaders>,
}

/// A body that arrived completely. Nothing refers to the blob yet; dropping it removes the file.
#[derive(Debug)]
pub(crate) struct Ingested {
    pub blob: Arc<Blob>,
    /// The MD5 of the body, or the value that replaces it (see [`Expectations::allows_crc_etag`]).
    pub md5: [u8; 16],
    /// The checksums that the client declared, all verified, and the checksum of [`Expectations::wanted`].
    pub checksum: dto::Checksum,
}

/// Reason why a body was rejected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IngestError {
    #[error("The body does not have the declared length of {expected} bytes.")]
    Length { expected: u64 },
    #[error(
        "The body is larger than 5 GiB, or than 5 TiB if the URL signs its length. Send the object in smaller parts."
    )]
    TooLarge,
    #[error("The body does not match the declared {0}.")]
    Digest(&'static str),
    #[error("The body ended early: {0}")]
    Body(Box<dyn Error + Send + Sync>),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<io::Error> for IngestError {
    fn from(error: io::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Writes a body to a blob. A body whose declared length is too large is rejected before it is read.
pub(crate) async fn ingest<S>(store: &Store, mut body: S, expectations: Expectations) -> Result<Ingested, IngestError>
where
    S: Stream<Item = Result<Bytes, Box<dyn Error + Send + Sync>>> + Unpin,
{
    let max_bytes = if expectations.is_length_signed { MAX_SIGNED_BODY_BYTES } else { MAX_BODY_BYTES };
    if expectations.length.is_some_and(|length| length > max_bytes) {
        return Err(IngestError::TooLarge);
    }
    let limit = expectations.length.unwrap_or(max_bytes);
    let mut sink = Sink::new(&expectations);
    let mut batch = Vec::new();
    let (mut batch_bytes, mut received) = (0_usize, 0_u64);
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(IngestError::Body)?;
        received += chunk.len() as u64;
        if received > limit {
            return Err(match expectations.length {
                Some(expected) => IngestError::Length { expected },
                None => IngestError::TooLarge,
            });
        }
        batch_bytes += chunk.len();
        batch.push(chunk);
        if batch_bytes >= BATCH_BYTES {
            let full = std::mem::take(&mut batch);
            batch_bytes = 0;
            let disk = Arc::clone(&store.shared.disk);
            sink = run_blocking(move || {
                sink.write(&disk, &full)?;
                Ok(sink)
            })
            .await?;
        }
    }
    if let Some(expected) = expectations.length.filter(|expected| *expected != received) {
        return Err(IngestError::Length { expected });
    }
    let disk = Arc::clone(&store.shared.disk);
    run_blocking(move || {
        sink.write(&disk, &batch)?;
        sink.finish(&disk, expectations)
    })
    .await
}

async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, IngestError> + Send + 'static,
) -> Result<T, IngestError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| StoreError::Interrupted)?
}

/// The file being written and its running digests. Its methods block.
struct Sink {
    writer: Option<BlobWriter>,
    etag: EtagHasher,
    checksums: ChecksumHasher,
}

/// Computes the 16 bytes of an ETag.
enum EtagHasher {
    Md5(Md5),
    /// A CRC-64 and the number of bytes. Equal bodies have equal ETags, as with MD5, at a fraction of the time.
    Crc(Box<Crc64Nvme>, u64),
}

impl EtagHasher {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Md5(md5) => md5.update(bytes),
            Self::Crc(crc, length) => {
                crc.update(bytes);
                *length += bytes.len() as u64;
            }
        }
    }

    fn finalize(self) -> [u8; 16] {
        match self {
            Self::Md5(md5) => md5.finalize(),
            Self::Crc(crc, length) => {
                let mut etag = [0; 16];
                etag[..8].copy_from_slice(&crc.finalize());
                etag[8..].copy_from_slice(&length.to_be_bytes());
                etag
            }
        }
    }
}

impl Sink {
    fn new(expectations: &Expectations) -> Self {
        let declared = &expectations.checksum;
        let is_needed = |algorithm: Algorithm, name: &str| {
            field(declared, algorithm).is_some()
                || expectations.wanted == Some(algorithm)
                || expectations.announced.iter().any(|announced| announced == name)
        };
        let checksums = ChecksumHasher {
            crc32: is_needed(Algorithm::Crc32, "x-amz-checksum-crc32").then(Crc32::new),
            crc32c: is_needed(Algorithm::Crc32c, "x-amz-checksum-crc32c").then(Crc32c::new),
            crc64nvme: is_needed(Algorithm::Crc64Nvme, "x-amz-checksum-crc64nvme").then(Crc64Nvme::new),
            sha1: is_needed(Algorithm::Sha1, "x-amz-checksum-sha1").then(Sha1::new),
            sha256: is_needed(Algorithm::Sha256, "x-amz-checksum-sha256").then(Sha256::new),
        };
        let etag = if expectations.allows_crc_etag && expectations.md5.is_none() {
            EtagHasher::Crc(Box::new(Crc64Nvme::new()), 0)
        } else {
            EtagHasher::Md5(Md5::new())
        };
        Self { writer: None, etag, checksums }
    }

    fn write(&mut self, disk: &Arc<Disk>, batch: &[Bytes]) -> Result<(), IngestError> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            empty => empty.insert(BlobWriter::create(Arc::clone(disk))?),
        };
        for chunk in batch {
            writer.write(chunk)?;
            self.etag.update(chunk);
            self.checksums.update(chunk);
        }
        Ok(())
    }

    fn finish(self, disk: &Arc<Disk>, mut expectations: Expectations) -> Result<Ingested, IngestError> {
        let md5 = self.etag.finalize();
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
        let set = |checksum: &mut Option<String>, name: &str| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            if let Some(value) = value {
                *checksum = Some(value.trim().to_owned());
            }
        };
        set(&mut expected.checksum_crc32, "x-amz-checksum-crc32");
        set(&mut expected.checksum_crc32c, "x-amz-checksum-crc32c");
        set(&mut expected.checksum_crc64nvme, "x-amz-checksum-crc64nvme");
        set(&mut expected.checksum_sha1, "x-amz-checksum-sha1");
        set(&mut expected.checksum_sha256, "x-amz-checksum-sha256");
    });
}

/// Compares the checksums. A missing announced checksum is an error too, because the body may be truncated.
fn check_checksums(expectations: &Expectations, actual: &dto::Checksum) -> Result<(), IngestError> {
    let expected = &expectations.checksum;
    let checksums = [
        (&expected.checksum_crc32, &actual.checksum_crc32, "x-amz-checksum-crc32"),
        (&expected.checksum_crc32c, &actual.checksum_crc32c, "x-amz-checksum-crc32c"),
        (&expected.checksum_crc64nvme, &actual.checksum_crc64nvme, "x-amz-checksum-crc64nvme"),
        (&expected.checksum_sha1, &actual.checksum_sha1, "x-amz-checksum-sha1"),
        (&expected.checksum_sha256, &actual.checksum_sha256, "x-amz-checksum-sha256"),
    ];
    for (expected, actual, name) in checksums {
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
