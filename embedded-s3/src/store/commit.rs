//! Creating, overwriting, copying and deleting objects. No other module changes an object.

use std::collections::{BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::MutexGuard;

use super::blob::Blob;
use super::checksum::StoredChecksum;
use super::error::{CommitError, StoreError};
use super::files::{remove_file_if_exists, sync_dir};
use super::record::{self, Attributes, Etag, Object, ObjectRecord};
use super::state::{Bucket, Shared, Store};

/// An object whose blobs are on disk but which is not committed yet.
#[derive(Debug)]
pub(crate) struct Draft {
    pub etag: Etag,
    pub blobs: Box<[Arc<Blob>]>,
    pub attributes: Attributes,
    pub checksum: Option<Box<StoredChecksum>>,
    /// ID of the multipart upload that becomes the object.
    pub upload_id: Option<Box<str>>,
}

/// Conditions on the current object of a key. One lock is held from their check to the commit of the change.
#[derive(Clone, Debug, Default)]
pub(crate) struct WriteConditions {
    /// `If-None-Match: *`.
    pub must_not_exist: bool,
    /// `If-Match: *`.
    pub must_exist: bool,
    /// `If-Match: "…"`, without the quotes.
    pub etag: Option<String>,
}

impl WriteConditions {
    fn check(&self, current: Option<&Object>) -> Result<(), StoreError> {
        match current {
            Some(_) if self.must_not_exist => Err(StoreError::PreconditionFailed),
            Some(object) if self.etag.as_ref().is_some_and(|expected| *expected != object.etag.to_string()) => {
                Err(StoreError::PreconditionFailed)
            }
            None if self.must_exist || self.etag.is_some() => Err(StoreError::NoSuchKey),
            _ => Ok(()),
        }
    }
}

/// Commits a draft as the object of `key`. On success, the object is durable. On failure, the key is unchanged, unless
/// only the final flush failed: then the new object is visible, but may not survive a power failure.
pub(crate) async fn put_object(
    store: &Store,
    bucket: Arc<Bucket>,
    key: String,
    draft: Draft,
    conditions: WriteConditions,
) -> Result<Arc<Object>, StoreError> {
    store.run_blocking(move |shared| commit_object(shared, &bucket, &key, draft, &conditions)).await
}

/// Creates a new object with the bytes of an existing one. `conditions` apply to the object that the new one replaces.
pub(crate) async fn copy_object(
    store: &Store,
    source: Arc<Object>,
    bucket: Arc<Bucket>,
    key: String,
    attributes: Attributes,
    conditions: WriteConditions,
) -> Result<Arc<Object>, StoreError> {
    store
        .run_blocking(move |shared| {
            conditions.check(bucket.object(&key).as_deref())?;
            let blobs = source.blobs.iter().map(|blob| blob.duplicate()).collect::<io::Result<_>>()?;
            let checksum = source.checksum.clone();
            let draft = Draft { etag: source.etag, blobs, attributes, checksum, upload_id: None };
            commit_object(shared, &bucket, &key, draft, &conditions)
        })
        .await
}

/// Deletes one object. Deleting a key that does not exist succeeds unless the conditions require an object.
pub(crate) async fn delete_object(
    store: &Store,
    bucket: Arc<Bucket>,
    key: String,
    conditions: WriteConditions,
) -> Result<(), StoreError> {
    store
        .run_blocking(move |shared| {
            let mut deletion = Deletion::default();
            deletion.remove(shared, &bucket, &key, &conditions)?;
            deletion.finish()
        })
        .await
}

/// Deletes many objects with few flushes. Returns one result per key, in the same order.
pub(crate) async fn delete_objects(
    store: &Store,
    bucket: Arc<Bucket>,
    keys: Vec<String>,
) -> Result<Vec<Result<(), StoreError>>, StoreError> {
    store
        .run_blocking(move |shared| {
            let mut deletion = Deletion::default();
            let results =
                keys.iter().map(|key| deletion.remove(shared, &bucket, key, &WriteConditions::default())).collect();
            deletion.finish()?;
            Ok(results)
        })
        .await
}

/// Commits a draft, as documented for [`put_object`]. Blocks.
pub(super) fn commit_object(
    shared: &Shared,
    bucket: &Bucket,
    key: &str,
    draft: Draft,
    conditions: &WriteConditions,
) -> Result<Arc<Object>, StoreError> {
    let object = Arc::new(Object {
        etag: draft.etag,
        modified_ms: record::now_ms(),
        size: draft.blobs.iter().map(|blob| blob.size).sum(),
        blobs: draft.blobs,
        attributes: shared.attributes.share(draft.attributes),
        checksum: draft.checksum,
        upload_id: draft.upload_id,
    });
    let content = serde_json::to_vec(&ObjectRecord::new(key, &object))?;
    let (shard, name) = record::record_location(key);
    let dir = shared.disk.bucket_dir(&bucket.name).join(shard);

    let _key_guard = lock_key(shared, bucket, key);
    let deleted = bucket.deleted.read();
    if *deleted {
        return Err(StoreError::NoSuchBucket);
    }
    conditions.check(bucket.object(key).as_deref())?;
    let committed = shared.disk.commit_file(&dir, &name, &content);
    if let Err(CommitError::NotCommitted(error)) = committed {
        return Err(error.into());
    }
    object.blobs.iter().for_each(|blob| blob.mark_committed());
    let previous = bucket.objects.write().insert(key.to_owned(), Arc::clone(&object));
    // If the commit is not durable, a power failure can bring the old metadata back, which needs the old blobs. They
    // are kept in that case.
    committed?;
    if let Some(previous) = previous {
        discard_replaced_blobs(&previous, &object);
    }
    Ok(object)
}

fn lock_key<'shared>(shared: &'shared Shared, bucket: &Bucket, key: &str) -> Option<MutexGuard<'shared, ()>> {
    let mut hasher = DefaultHasher::new();
    (&bucket.name, key).hash(&mut hasher);
    let index = usize::try_from(hasher.finish() % shared.key_locks.len() as u64).ok()?;
    shared.key_locks.get(index).map(|lock| lock.lock())
}

/// Marks the blobs of `previous` that `current` does not use as unreferenced.
fn discard_replaced_blobs(previous: &Object, current: &Object) {
    let used: HashSet<_> = current.blobs.iter().map(|blob| blob.id).collect();
    previous.blobs.iter().filter(|blob| !used.contains(&blob.id)).for_each(|blob| blob.mark_unreferenced());
}

/// Objects that are removed from the index, but whose removal from disk is not durable yet.
#[derive(Default)]
struct Deletion {
    removed: Vec<Arc<Object>>,
    dirs: BTreeSet<PathBuf>,
}

impl Deletion {
    /// Removes one object from the disk and the index.
    fn remove(
        &mut self,
        shared: &Shared,
        bucket: &Bucket,
        key: &str,
        conditions: &WriteConditions,
    ) -> Result<(), StoreError> {
        let (shard, name) = record::record_location(key);
        let dir = shared.disk.bucket_dir(&bucket.name).join(shard);

        let _key_guard = lock_key(shared, bucket, key);
        let deleted = bucket.deleted.read();
        if *deleted {
            return Err(StoreError::NoSuchBucket);
        }
        let Some(object) = bucket.object(key) else {
            return conditions.check(None);
        };
        conditions.check(Some(&object))?;
        remove_file_if_exists(&dir.join(name))?;
        bucket.objects.write().remove(key);
        self.removed.push(object);
        self.dirs.insert(dir);
        Ok(())
    }

    /// Makes the removals durable, then discards the blobs.
    fn finish(self) -> Result<(), StoreError> {
        for dir in &self.dirs {
            match sync_dir(dir) {
                // The bucket was deleted in the meantime, and that deletion was made durable.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                result => result?,
            }
        }
        for object in &self.removed {
            object.blobs.iter().for_each(|blob| blob.mark_unreferenced());
        }
        Ok(())
    }
}
