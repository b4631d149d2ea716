use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{ObjectStore, StoreError, StoreResult, upload_task};

/// Chunks on their way to the store; whoever writes more waits.
const WAITING_CHUNKS: usize = 4;

/// A stream on its way to becoming an object. Memory stays the same however long it is: at most 24 MiB. Dropped, what is
/// there of it is thrown away.
pub struct Upload {
    chunks: mpsc::Sender<Bytes>,
    stored: Option<oneshot::Receiver<StoreResult<Body>>>,
    commit: oneshot::Sender<Commit>,
    guard: DropGuard,
}

/// Bytes that are in the store whole, and no object yet. Dropped, they are thrown away.
pub struct StoredUpload {
    /// Bytes.
    pub size: u64,
    pub sha256: [u8; 32],
    commit: oneshot::Sender<Commit>,
    guard: DropGuard,
}

/// What is known of the bytes when they are all there.
pub(super) struct Body {
    pub(super) size: u64,
    pub(super) sha256: [u8; 32],
}

/// Asks for the object; answered when it is there.
pub(super) type Commit = oneshot::Sender<StoreResult<()>>;

impl ObjectStore {
    /// Begins an upload. Asks nothing of the store yet. Must run inside a tokio runtime.
    pub fn begin_upload(&self, bucket: &str, key: &str, content_type: &str) -> Upload {
        let (chunks, receive_chunks) = mpsc::channel(WAITING_CHUNKS);
        let (tell_stored, stored) = oneshot::channel();
        let (commit, asked) = oneshot::channel();
        let given_up = CancellationToken::new();
        let parts = upload_task::Parts::new(self.clone(), bucket, key, content_type);
        tokio::spawn(upload_task::run(parts, receive_chunks, tell_stored, asked, given_up.clone()));
        Upload { chunks, stored: Some(stored), commit, guard: given_up.drop_guard() }
    }
}

impl Upload {
    /// Takes the next bytes; waits while the store is behind. Dropped on the way, the bytes may or may not be taken, and
    /// the upload is of no use any more.
    ///
    /// # Errors
    /// The store failed, now or with bytes taken earlier.
    pub async fn write(&mut self, bytes: Bytes) -> StoreResult<()> {
        match self.chunks.send(bytes).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.failure().await),
        }
    }

    /// Says that these were all, and waits until the store has them.
    pub async fn end(mut self) -> StoreResult<StoredUpload> {
        drop(self.chunks);
        let Some(stored) = self.stored.take() else { return Err(ended()) };
        let Body { size, sha256 } = stored.await.unwrap_or_else(|_| Err(ended()))?;
        Ok(StoredUpload { size, sha256, commit: self.commit, guard: self.guard })
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
    /// Makes the bytes an object, at once and whole. Dropped on the way, the object may or may not be there; it is never
    /// there in part.
    pub async fn commit(self) -> StoreResult<()> {
        let Self { commit, guard, .. } = self;
        let (tell, done) = oneshot::channel();
        let result = match commit.send(tell) {
            Ok(()) => done.await.unwrap_or_else(|_| Err(ended())),
            Err(_) => Err(ended()),
        };
        drop(guard);
        result
    }

    /// In lower case.
    pub fn sha256_hex(&self) -> String {
        self.sha256.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The upload failed before and said so, or the process is ending.
fn ended() -> StoreError {
    StoreError::Other { operation: "upload", cause: anyhow::anyhow!("the upload has ended already") }
}
