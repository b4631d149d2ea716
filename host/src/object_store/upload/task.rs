//! The task that sends the bytes of an upload, in one request or in parts.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::{mpsc, oneshot},
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::super::{ObjectStore, PartEtag, StoreError, StoreResult};

const MIB: usize = 1 << 20;
/// A body of up to this size is kept in memory until the commit and sent in one request.
const MAX_SMALL_BYTES: usize = MIB;
/// Maximum number of smaller parts that are sent while the next part is filled. Larger parts are sent one at a time.
const MAX_CONCURRENT_PARTS: usize = 2;
/// Maximum number of parts of an upload in S3.
const MAX_PARTS: i32 = 10_000;
/// Maximum size of a stream in bytes: the size of [`MAX_PARTS`] parts.
pub const MAX_UPLOAD_BYTES: u64 =
    (FIRST_PARTS as usize * FIRST_PART_BYTES + (MAX_PARTS - FIRST_PARTS) as usize * LATER_PART_BYTES) as u64;
/// Number of smaller parts at the beginning.
const FIRST_PARTS: i32 = 1000;
const FIRST_PART_BYTES: usize = 8 * MIB;
const LATER_PART_BYTES: usize = 12 * MIB;
/// Pauses before each attempt to abort an upload.
const ABORT_PAUSES: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(10)];

/// Returns the size of a part in bytes. Later parts are larger, so that 10 000 parts hold 113 GiB.
fn part_size(number: i32) -> usize {
    if number <= FIRST_PARTS { FIRST_PART_BYTES } else { LATER_PART_BYTES }
}

/// Returns the maximum number of parts in flight. Together with the part that is filled they use at most 28 MiB.
fn max_in_flight(number: i32) -> usize {
    if number <= FIRST_PARTS { MAX_CONCURRENT_PARTS } else { 1 }
}

/// Size and digest of a body that was received completely.
pub(super) struct StoredBody {
    pub(super) size: u64,
    pub(super) sha256: [u8; 32],
}

/// A request to make the object visible. The outcome is sent through it.
pub(super) type CommitRequest = oneshot::Sender<StoreResult<()>>;

/// The task's ends of the channels to the handle.
pub(super) struct TaskChannels {
    pub(super) chunks: mpsc::Receiver<Bytes>,
    pub(super) stored: oneshot::Sender<StoreResult<StoredBody>>,
    pub(super) commit: oneshot::Receiver<CommitRequest>,
    /// Cancelled when the handle is dropped.
    pub(super) aborted: CancellationToken,
}

/// Divides a stream into parts and sends them.
pub(super) struct PartSender {
    store: ObjectStore,
    bucket: String,
    key: String,
    content_type: String,
    /// Bytes of the next part.
    buffer: BytesMut,
    hash: Sha256,
    size: u64,
    /// The task that creates the upload. It continues during an abort, so that the id of the upload is not lost.
    creating: Option<JoinHandle<StoreResult<String>>>,
    upload_id: Option<String>,
    next_number: i32,
    in_flight: JoinSet<StoreResult<PartEtag>>,
    sent: Vec<PartEtag>,
}

/// Runs an upload until it is committed or aborted.
pub(super) async fn run(mut sender: PartSender, channels: TaskChannels) {
    let TaskChannels { mut chunks, stored, commit, aborted } = channels;
    let received = tokio::select! {
        biased;
        () = aborted.cancelled() => return sender.abort().await,
        received = sender.receive(&mut chunks) => received,
    };
    // Further writes then fail, and report the error that is sent below.
    drop(chunks);
    let has_failed = received.is_err();
    let is_abandoned = stored.send(received).is_err();
    if has_failed || is_abandoned {
        return sender.abort().await;
    }
    let commit_request = tokio::select! {
        biased;
        () = aborted.cancelled() => None,
        request = commit => request.ok(),
    };
    let Some(send_outcome) = commit_request else { return sender.abort().await };
    let outcome = sender.complete().await;
    let has_failed = outcome.is_err();
    // The caller may have stopped waiting. If the outcome is a success, the object exists anyway.
    let _ = send_outcome.send(outcome);
    if has_failed {
        sender.abort().await;
    }
}

impl PartSender {
    pub(super) fn new(store: ObjectStore, bucket: &str, key: &str, content_type: &str) -> Self {
        Self {
            store,
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            content_type: content_type.to_owned(),
            buffer: BytesMut::new(),
            hash: Sha256::new(),
            size: 0,
            creating: None,
            upload_id: None,
            next_number: 1,
            in_flight: JoinSet::new(),
            sent: Vec::new(),
        }
    }

    /// Receives the whole body and sends its parts.
    async fn receive(&mut self, chunks: &mut mpsc::Receiver<Bytes>) -> StoreResult<StoredBody> {
        while let Some(mut chunk) = chunks.recv().await {
            self.hash.update(&chunk);
            self.size += chunk.len() as u64;
            while !chunk.is_empty() {
                let room = part_size(self.next_number) - self.buffer.len();
                let piece = chunk.split_to(room.min(chunk.len()));
                self.buffer.extend_from_slice(&piece);
                if self.buffer.len() == part_size(self.next_number) {
                    self.send_part().await?;
                }
            }
            // Report a failed part without waiting until the next one is full.
            while let Some(sent) = self.in_flight.try_join_next() {
                self.record_sent(sent)?;
            }
        }
        let is_small = self.next_number == 1 && self.buffer.len() <= MAX_SMALL_BYTES;
        if !is_small && !self.buffer.is_empty() {
            self.send_part().await?;
        }
        while let Some(sent) = self.in_flight.join_next().await {
            self.record_sent(sent)?;
        }
        Ok(StoredBody { size: self.size, sha256: std::mem::take(&mut self.hash).finalize().into() })
    }

    /// Sends the buffer as the next part. Waits while too many parts are in flight.
    async fn send_part(&mut self) -> StoreResult<()> {
        let number = self.next_number;
        if number > MAX_PARTS {
            return Err(StoreError::Other {
                operation: "UploadPart",
                cause: anyhow::anyhow!("the body needs more than {MAX_PARTS} parts"),
            });
        }
        let upload_id = self.ensure_created().await?;
        while self.in_flight.len() >= max_in_flight(number) {
            if let Some(sent) = self.in_flight.join_next().await {
                self.record_sent(sent)?;
            }
        }
        let next = BytesMut::with_capacity(part_size(number + 1));
        let body = std::mem::replace(&mut self.buffer, next).freeze();
        let (store, bucket, key) = (self.store.clone(), self.bucket.clone(), self.key.clone());
        self.in_flight.spawn(async move {
            let etag = store.upload_part(&bucket, &key, &upload_id, number, body).await?;
            Ok(PartEtag { number, etag })
        });
        self.next_number += 1;
        Ok(())
    }

    fn record_sent(&mut self, sent: Result<StoreResult<PartEtag>, tokio::task::JoinError>) -> StoreResult<()> {
        let part = sent.unwrap_or_else(|error| Err(task_failed("UploadPart", error)))?;
        self.sent.push(part);
        Ok(())
    }

    /// Returns the upload's id. Creates the upload at the first call.
    async fn ensure_created(&mut self) -> StoreResult<String> {
        if let Some(upload_id) = &self.upload_id {
            return Ok(upload_id.clone());
        }
        let (store, bucket) = (self.store.clone(), self.bucket.clone());
        let (key, content_type) = (self.key.clone(), self.content_type.clone());
        let creating = self
            .creating
            .insert(tokio::spawn(async move { store.create_multipart(&bucket, &key, &content_type).await }));
        let created = creating.await.unwrap_or_else(|error| Err(task_failed("CreateMultipartUpload", error)));
        self.creating = None;
        let upload_id = created?;
        self.upload_id = Some(upload_id.clone());
        Ok(upload_id)
    }

    async fn complete(&mut self) -> StoreResult<()> {
        let Some(upload_id) = &self.upload_id else {
            let body = std::mem::take(&mut self.buffer).freeze();
            return self.store.put_small(&self.bucket, &self.key, &self.content_type, body).await;
        };
        self.sent.sort_by_key(|part| part.number);
        match self.store.complete_multipart(&self.bucket, &self.key, upload_id, &self.sent).await {
            // An earlier attempt may have succeeded although its response was lost. Then the upload has become the
            // object.
            Err(error) if error.is_not_found() => match self.store.head(&self.bucket, &self.key).await? {
                Some(object) if u64::try_from(object.size) == Ok(self.size) => Ok(()),
                _ => Err(error),
            },
            completed => completed,
        }
    }

    /// Removes the parts from the store. If the store is unreachable, a sweep removes them later.
    async fn abort(mut self) {
        self.in_flight.shutdown().await;
        if let Some(creating) = self.creating.take()
            && let Ok(Ok(upload_id)) = creating.await
        {
            self.upload_id = Some(upload_id);
        }
        let Some(upload_id) = &self.upload_id else { return };
        for pause in ABORT_PAUSES {
            tokio::time::sleep(pause).await;
            match self.store.abort_multipart(&self.bucket, &self.key, upload_id).await {
                Ok(()) => return,
                Err(error) => tracing::debug!(%error, key = self.key, "could not abort an upload; retrying"),
            }
        }
        tracing::warn!(key = self.key, "could not abort an upload; a sweep will abort it");
    }
}

fn task_failed(operation: &'static str, error: tokio::task::JoinError) -> StoreError {
    StoreError::Other { operation, cause: error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_for_every_part() {
        for number in [1, 2, 1000, 1001, MAX_PARTS] {
            let bytes = part_size(number) * max_in_flight(number) + part_size(number + 1);
            assert!(bytes <= 28 * MIB, "part {number}: {bytes}");
        }
    }

    #[test]
    fn largest_stream_fills_all_parts() {
        let bytes: usize = (1..=MAX_PARTS).map(part_size).sum();
        assert_eq!(bytes as u64, MAX_UPLOAD_BYTES);
    }
}
