//! What an upload does while its handle takes bytes: parts go to the store as they fill up.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::{mpsc, oneshot},
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::{
    ObjectStore, PartEtag, StoreError, StoreResult,
    upload::{Body, Commit},
};

const MIB: usize = 1 << 20;
/// A body up to this size is held until it is committed, and put in one call.
const SMALL: usize = MIB;
/// Parts on their way while the next one fills up.
const IN_FLIGHT: usize = 2;
/// S3's.
const MOST_PARTS: i32 = 10_000;
/// Pauses between tries to throw parts away.
const ABORT_PAUSES: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(10)];

/// Bytes of a part. Most bodies have small parts; the ten thousandth ends at 113 GiB.
fn part_size(number: i32) -> usize {
    if number <= 1000 { 8 * MIB } else { 12 * MIB }
}

/// With the one that fills up, never more than 24 MiB.
fn in_flight(number: i32) -> usize {
    if number <= 1000 { IN_FLIGHT } else { 1 }
}

/// An upload's state in this process and in the store.
pub(super) struct Parts {
    store: ObjectStore,
    bucket: String,
    key: String,
    content_type: String,
    filling: BytesMut,
    hash: Sha256,
    size: u64,
    /// Asked for in a task of its own, so that giving up can't lose the id.
    creating: Option<JoinHandle<StoreResult<String>>>,
    upload_id: Option<String>,
    next_number: i32,
    sending: JoinSet<StoreResult<PartEtag>>,
    sent: Vec<PartEtag>,
}

/// Runs an upload to its commit, or to its undoing.
pub(super) async fn run(
    mut parts: Parts,
    mut chunks: mpsc::Receiver<Bytes>,
    tell_stored: oneshot::Sender<StoreResult<Body>>,
    commit: oneshot::Receiver<Commit>,
    given_up: CancellationToken,
) {
    let received = tokio::select! {
        biased;
        () = given_up.cancelled() => return parts.abort().await,
        received = parts.receive(&mut chunks) => received,
    };
    // Whoever still writes hears of the failure.
    drop(chunks);
    let failed = received.is_err();
    let nobody_waits = tell_stored.send(received).is_err();
    if failed || nobody_waits {
        return parts.abort().await;
    }
    let asked = tokio::select! {
        biased;
        () = given_up.cancelled() => None,
        asked = commit => asked.ok(),
    };
    let Some(answer) = asked else { return parts.abort().await };
    let outcome = parts.complete().await;
    let failed = outcome.is_err();
    // Nobody waits for the answer any more: the object is there all the same.
    let _ = answer.send(outcome);
    if failed {
        parts.abort().await;
    }
}

impl Parts {
    pub(super) fn new(store: ObjectStore, bucket: &str, key: &str, content_type: &str) -> Self {
        Self {
            store,
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            content_type: content_type.to_owned(),
            filling: BytesMut::new(),
            hash: Sha256::new(),
            size: 0,
            creating: None,
            upload_id: None,
            next_number: 1,
            sending: JoinSet::new(),
            sent: Vec::new(),
        }
    }

    /// Takes the body to its end.
    async fn receive(&mut self, chunks: &mut mpsc::Receiver<Bytes>) -> StoreResult<Body> {
        while let Some(mut chunk) = chunks.recv().await {
            self.hash.update(&chunk);
            self.size += chunk.len() as u64;
            while !chunk.is_empty() {
                let room = part_size(self.next_number) - self.filling.len();
                let some = chunk.split_to(room.min(chunk.len()));
                self.filling.extend_from_slice(&some);
                if self.filling.len() == part_size(self.next_number) {
                    self.send_part().await?;
                }
            }
            // A part that failed is heard of before the next one is full.
            while let Some(sent) = self.sending.try_join_next() {
                self.note(sent)?;
            }
        }
        let is_small = self.next_number == 1 && self.filling.len() <= SMALL;
        if !is_small && !self.filling.is_empty() {
            self.send_part().await?;
        }
        while let Some(sent) = self.sending.join_next().await {
            self.note(sent)?;
        }
        Ok(Body { size: self.size, sha256: std::mem::take(&mut self.hash).finalize().into() })
    }

    /// Sends what has filled up as the next part, when there is room for it on the way.
    async fn send_part(&mut self) -> StoreResult<()> {
        let number = self.next_number;
        if number > MOST_PARTS {
            return Err(StoreError::Other {
                operation: "UploadPart",
                cause: anyhow::anyhow!("the body is larger than {MOST_PARTS} parts"),
            });
        }
        let upload_id = self.begun().await?;
        while self.sending.len() >= in_flight(number) {
            if let Some(sent) = self.sending.join_next().await {
                self.note(sent)?;
            }
        }
        let next = BytesMut::with_capacity(part_size(number + 1));
        let body = std::mem::replace(&mut self.filling, next).freeze();
        let (store, bucket, key) = (self.store.clone(), self.bucket.clone(), self.key.clone());
        self.sending.spawn(async move {
            let etag = store.upload_part(&bucket, &key, &upload_id, number, body).await?;
            Ok(PartEtag { number, etag })
        });
        self.next_number += 1;
        Ok(())
    }

    fn note(&mut self, sent: Result<StoreResult<PartEtag>, tokio::task::JoinError>) -> StoreResult<()> {
        let part = sent.unwrap_or_else(|error| Err(unexpected("UploadPart", error)))?;
        self.sent.push(part);
        Ok(())
    }

    /// The upload's id, asked for with the first part.
    async fn begun(&mut self) -> StoreResult<String> {
        if let Some(upload_id) = &self.upload_id {
            return Ok(upload_id.clone());
        }
        let (store, bucket) = (self.store.clone(), self.bucket.clone());
        let (key, content_type) = (self.key.clone(), self.content_type.clone());
        let creating = self
            .creating
            .insert(tokio::spawn(async move { store.create_multipart(&bucket, &key, &content_type).await }));
        let answer = creating.await.unwrap_or_else(|error| Err(unexpected("CreateMultipartUpload", error)));
        self.creating = None;
        let upload_id = answer?;
        self.upload_id = Some(upload_id.clone());
        Ok(upload_id)
    }

    async fn complete(&mut self) -> StoreResult<()> {
        let Some(upload_id) = &self.upload_id else {
            let body = std::mem::take(&mut self.filling).freeze();
            return self.store.put_small(&self.bucket, &self.key, &self.content_type, body).await;
        };
        self.sent.sort_by_key(|part| part.number);
        match self.store.complete_multipart(&self.bucket, &self.key, upload_id, &self.sent).await {
            // The answer to an earlier try was lost: the upload is gone since it became the object.
            Err(error) if error.is_not_found() => match self.store.head(&self.bucket, &self.key).await? {
                Some(object) if u64::try_from(object.size) == Ok(self.size) => Ok(()),
                _ => Err(error),
            },
            completed => completed,
        }
    }

    /// Throws away what the store has. What a store that is down keeps, a sweep removes later.
    async fn abort(mut self) {
        self.sending.shutdown().await;
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
                Err(error) => tracing::debug!(%error, key = self.key, "an upload could not be thrown away yet"),
            }
        }
        tracing::warn!(key = self.key, "an upload could not be thrown away; a sweep will do so");
    }
}

fn unexpected(operation: &'static str, error: tokio::task::JoinError) -> StoreError {
    StoreError::Other { operation, cause: error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_for_every_part() {
        for number in [1, 2, 1000, 1001, MOST_PARTS] {
            let most = part_size(number) * in_flight(number) + part_size(number + 1);
            assert!(most <= 28 * MIB, "part {number}: {most}");
        }
    }
}
