//! The handle with which a caller writes and commits an upload.

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    super::{ObjectStore, StoreError, StoreResult},
    task::{self, CommitRequest, PartSender, StoredBody, TaskChannels},
};

/// Maximum number of chunks that wait to be sent; further writes wait.
const MAX_QUEUED_CHUNKS: usize = 4;

/// An upload in progress, of at most [`MAX_UPLOAD_BYTES`](super::MAX_UPLOAD_BYTES). Its parts use at most 28 MiB of
/// memory. Dropping this value aborts the upload.
pub struct Upload {
    chunks: mpsc::Sender<Bytes>,
    stored: Option<oneshot::Receiver<StoreResult<StoredBody>>>,
    commit: oneshot::Sender<CommitRequest>,
    abort_on_drop: DropGuard,
}

/// An upload whose bytes were all received, but are not yet visible as an object. Dropping this value discards the
/// bytes.
pub struct StoredUpload {
    /// Size in bytes.
    pub size: u64,
    pub sha256: [u8; 32],
    commit: oneshot::Sender<CommitRequest>,
    abort_on_drop: DropGuard,
}

impl ObjectStore {
    /// Starts an upload without sending a request yet. Must be called inside a tokio runtime.
    pub fn begin_upload(&self, bucket: &str, key: &str, content_type: &str) -> Upload {
        let (chunks, receive_chunks) = mpsc::channel(MAX_QUEUED_CHUNKS);
        let (send_stored, stored) = oneshot::channel();
        let (commit, receive_commit) = oneshot::channel();
        let aborted = CancellationToken::new();
        let sender = PartSender::new(self.clone(), bucket, key, content_type);
        let channels = TaskChannels {
            chunks: receive_chunks,
            stored: send_stored,
            commit: receive_commit,
            aborted: aborted.clone(),
        };
        tokio::spawn(task::run(sender, channels));
        Upload { chunks, stored: Some(stored), commit, abort_on_drop: aborted.drop_guard() }
    }
}

impl Upload {
    /// Writes the next bytes. Waits while the store is slower than the caller. If the future is dropped, the upload can
    /// no longer be used: the bytes may or may not have been accepted.
    ///
    /// # Errors
    /// Returns the error of the store for these or for earlier bytes, or an error if there are too many bytes.
    pub async fn write(&mut self, bytes: Bytes) -> StoreResult<()> {
        match self.chunks.send(bytes).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.failure().await),
        }
    }

    /// Ends the stream and waits until all its parts are in the store. The bytes of a small body are only sent by
    /// [`StoredUpload::commit`].
    pub async fn end(mut self) -> StoreResult<StoredUpload> {
        drop(self.chunks);
        let Some(stored) = self.stored.take() else { return Err(ended()) };
        let StoredBody { size, sha256 } = stored.await.unwrap_or_else(|_| Err(ended()))?;
        Ok(StoredUpload { size, sha256, commit: self.commit, abort_on_drop: self.abort_on_drop })
    }

    async fn failure(&mut self) -> StoreError {
        match self.stored.take() {
            Some(stored) => match stored.await {
                Ok(Err(error)) => error,
                _ => ended(),
            },
            None => ended(),
        }
    }
}

impl StoredUpload {
    /// Makes the object visible atomically. If the future is dropped, the object may or may not exist; it is never
    /// incomplete.
    pub async fn commit(self) -> StoreResult<()> {
        let Self { commit, abort_on_drop, .. } = self;
        let (send_outcome, outcome) = oneshot::channel();
        let result = match commit.send(send_outcome) {
            Ok(()) => outcome.await.unwrap_or_else(|_| Err(ended())),
            Err(_) => Err(ended()),
        };
        drop(abort_on_drop);
        result
    }

    /// Returns the SHA-256 of the bytes in lowercase hex.
    pub fn sha256_hex(&self) -> String {
        hex::encode(self.sha256)
    }
}

/// Returns the error for a task that has reported a failure, or that stopped because the process is ending.
fn ended() -> StoreError {
    StoreError::Other { operation: "upload", cause: anyhow::anyhow!("the upload has already ended") }
}
