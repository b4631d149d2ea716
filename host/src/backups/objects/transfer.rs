//! Copies one object of a project, encrypted if recipients are configured.

use std::io;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use super::{
    MAX_SMALL_BYTES, ObjectCopies, ObjectsError,
    names::{CopyName, copy_key},
};
use crate::{
    object_store::{ObjectBytes, ObjectMeta, ObjectStore, PLATFORM_BUCKET, StoredUpload, project_bucket},
    secrets::age_file::{self, ByteStream},
};

const CONTENT_TYPE: &str = "application/octet-stream";
/// Maximum number of attempts to copy an object that changes in the meantime.
const MAX_ATTEMPTS: usize = 5;
/// Maximum size of an object. Its copy fits into one upload, even if it is encrypted.
const MAX_OBJECT_BYTES: i64 = 113 << 30;

/// The copy of an object.
pub(super) struct Copied {
    pub(super) name: CopyName,
    pub(super) sha256: [u8; 32],
    /// The object when it was read. `None` if it was not read.
    pub(super) meta: Option<ObjectMeta>,
    /// Whether the copy did not exist before.
    pub(super) is_new: bool,
}

impl ObjectCopies {
    /// Encrypts a stream, if there are recipients.
    pub(super) fn encrypted<'a>(&self, bytes: ByteStream<'a>) -> Result<ByteStream<'a>, ObjectsError> {
        if self.recipients.is_empty() {
            return Ok(bytes);
        }
        age_file::encrypt(&self.recipients, bytes)
            .map_err(|error| ObjectsError::of_stream("the file to be encrypted", error))
    }

    /// Copies the content of an object, unless it already has a copy. Returns `None` if the object no longer exists.
    ///
    /// `size` is that of the listed object, which may have been replaced since. Large objects wait for `large`, which
    /// limits the memory that their uploads need. They wait before they are read: stores close responses that nobody
    /// reads for some time.
    pub(super) async fn copy_object(
        &self,
        project: &str,
        key: &str,
        mut size: i64,
        large: &Semaphore,
    ) -> Result<Option<Copied>, ObjectsError> {
        let bucket = project_bucket(project);
        let mut permit = None;
        for _ in 0..MAX_ATTEMPTS {
            if size > MAX_SMALL_BYTES && permit.is_none() {
                permit = large.acquire().await.ok();
            }
            let Some((meta, bytes)) = self.store.get(&bucket, key).await? else { return Ok(None) };
            check_size(key, meta.size)?;
            size = meta.size;
            let copied = if size <= MAX_SMALL_BYTES {
                self.copy_small(project, bytes).await.map(Some)
            } else if permit.is_some() {
                self.copy_large(project, key, &meta, bytes).await
            } else {
                // It was small when it was listed. The next attempt waits before it reads.
                Ok(None)
            };
            if let Some((name, sha256, is_new)) = copied? {
                return Ok(Some(Copied { name, sha256, meta: Some(meta), is_new }));
            }
        }
        Err(ObjectsError::Failed(format!("the object `{key}` kept changing while it was copied")))
    }

    /// Returns whether a copy exists. `size` is the number of bytes of the content.
    pub(super) async fn copy_exists(&self, project: &str, name: &CopyName, size: i64) -> Result<bool, ObjectsError> {
        let copy = self.store.head(PLATFORM_BUCKET, &copy_key(project, name)).await?;
        // An encrypted copy is larger than the content, so its size is not compared.
        Ok(copy.is_some_and(|copy| !self.recipients.is_empty() || copy.size == size))
    }

    async fn copy_small(&self, project: &str, bytes: ObjectBytes) -> Result<(CopyName, [u8; 32], bool), ObjectsError> {
        let content = bytes.try_fold(BytesMut::new(), async |mut content, chunk| {
            content.extend_from_slice(&chunk);
            Ok(content)
        });
        let content = content.await?.freeze();
        let sha256: [u8; 32] = Sha256::digest(&content).into();
        let name = self.names.name(project, &sha256);
        let exists = self.copy_exists(project, &name, content.len() as i64).await?;
        if !exists {
            let bytes = self.encrypted(stream::iter([Ok(content)]).boxed())?;
            self.upload_copy(project, &name, bytes).await?.commit().await?;
        }
        Ok((name, sha256, !exists))
    }

    /// Reads the object once for its hash and, if its content has no copy, again to copy it. Returns `None` if the
    /// object was changed or deleted in between.
    async fn copy_large(
        &self,
        project: &str,
        key: &str,
        meta: &ObjectMeta,
        bytes: ObjectBytes,
    ) -> Result<Option<(CopyName, [u8; 32], bool)>, ObjectsError> {
        let sha256 = hash_of(bytes).await?;
        let name = self.names.name(project, &sha256);
        if self.copy_exists(project, &name, meta.size).await? {
            return Ok(Some((name, sha256, false)));
        }
        let Some((_, bytes)) = self.store.get(&project_bucket(project), key).await? else { return Ok(None) };
        let mut digest = Sha256::new();
        let hashed = bytes.map(|chunk| {
            let chunk = chunk.map_err(io::Error::other)?;
            digest.update(&chunk);
            Ok(chunk)
        });
        let upload = self.upload_copy(project, &name, self.encrypted(hashed.boxed())?).await?;
        let copied: [u8; 32] = digest.finalize().into();
        if copied != sha256 {
            return Ok(None);
        }
        upload.commit().await?;
        Ok(Some((name, sha256, true)))
    }

    async fn upload_copy(
        &self,
        project: &str,
        name: &CopyName,
        bytes: ByteStream<'_>,
    ) -> Result<StoredUpload, ObjectsError> {
        upload_stream(&self.store, PLATFORM_BUCKET, &copy_key(project, name), CONTENT_TYPE, "an object", bytes).await
    }
}

/// Checks that a copy of the object can be stored, before the object is read.
fn check_size(key: &str, size: i64) -> Result<(), ObjectsError> {
    if size <= MAX_OBJECT_BYTES {
        return Ok(());
    }
    Err(ObjectsError::Failed(format!(
        "the object `{key}` has {size} bytes, but an object of a backup can have at most {MAX_OBJECT_BYTES} (113 GiB). \
         Divide it, move it elsewhere, or back up without objects"
    )))
}

/// Returns the SHA-256 of an object's bytes.
pub(super) async fn hash_of(mut bytes: ObjectBytes) -> Result<[u8; 32], ObjectsError> {
    let mut digest = Sha256::new();
    while let Some(chunk) = bytes.next().await {
        digest.update(chunk?);
    }
    Ok(digest.finalize().into())
}

/// Uploads a stream. The object becomes visible when the returned upload is committed. `what` names the stream in
/// errors.
pub(super) async fn upload_stream(
    store: &ObjectStore,
    bucket: &str,
    key: &str,
    content_type: &str,
    what: &str,
    mut bytes: ByteStream<'_>,
) -> Result<StoredUpload, ObjectsError> {
    let mut upload = store.begin_upload(bucket, key, content_type);
    while let Some(chunk) = bytes.next().await {
        let chunk: Bytes = chunk.map_err(|error| ObjectsError::of_stream(what, error))?;
        upload.write(chunk).await?;
    }
    Ok(upload.end().await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object_store::MAX_UPLOAD_BYTES;

    #[test]
    fn encrypted_copy_of_the_largest_object_fits_into_an_upload() {
        assert!(check_size("uploads/x", MAX_OBJECT_BYTES).is_ok());
        let error = check_size("uploads/x", MAX_OBJECT_BYTES + 1).unwrap_err().to_string();
        assert!(error.contains("`uploads/x`") && error.contains("113 GiB"), "{error}");
        // The age format adds 16 bytes to every 64 KiB, and a header per recipient.
        let encrypted = MAX_OBJECT_BYTES.unsigned_abs() / 65536 * (65536 + 16) + (1 << 20);
        assert!(encrypted <= MAX_UPLOAD_BYTES, "{encrypted} > {MAX_UPLOAD_BYTES}");
    }
}
