//! Objects appear, change and disappear here, and nowhere else.

use std::collections::{BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::sync::Arc;

use parking_lot::MutexGuard;

use super::blob::Blob;
use super::disk::{self, CommitError};
use super::record::{self, Attributes, Etag, Object, ObjectRecord};
use super::{Bucket, Shared, Store, StoreError};

/// An object whose blobs are on disk but which nobody can see yet.
#[derive(Debug)]
pub(crate) struct Draft {
    pub etag: Etag,
    pub blobs: Box<[Arc<Blob>]>,
    pub attributes: Attributes,
}

/// What the key must look like for a write to go ahead. Checked and committed in one step.
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
            Some(object) if self.etag.as_ref().is_some_and(|wanted| *wanted != object.etag.to_string()) => {
                Err(StoreError::PreconditionFailed)
            }
            None if self.must_exist || self.etag.is_some() => Err(StoreError::NoSuchKey),
            _ => Ok(()),
        }
    }
}

impl Store {
    /// Makes a draft the object of this key. On success it is on disk; on failure the key is as it was.
    pub(crate) async fn put_object(
        &self,
        bucket: Arc<Bucket>,
        key: String,
        draft: Draft,
        conditions: WriteConditions,
    ) -> Result<Arc<Object>, StoreError> {
        self.blocking(move |shared| shared.commit_object(&bucket, &key, draft, &conditions)).await
    }

    /// Makes a new object of the bytes of an existing one.
    pub(crate) async fn copy_object(
        &self,
        source: Arc<Object>,
        bucket: Arc<Bucket>,
        key: String,
        attributes: Attributes,
    ) -> Result<Arc<Object>, StoreError> {
        self.blocking(move |shared| {
            let blobs = source.blobs.iter().map(|blob| blob.duplicate()).collect::<io::Result<_>>()?;
            let draft = Draft { etag: source.etag, blobs, attributes };
            shared.commit_object(&bucket, &key, draft, &WriteConditions::default())
        })
        .await
    }

    /// Deletes one object; deleting nothing is success unless the conditions want something there.
    pub(crate) async fn delete_object(
        &self,
        bucket: Arc<Bucket>,
        key: String,
        conditions: WriteConditions,
    ) -> Result<(), StoreError> {
        self.blocking(move |shared| {
            let mut deletion = Deletion::default();
            deletion.remove(shared, &bucket, &key, &conditions)?;
            deletion.finish()
        })
        .await
    }

    /// Deletes many objects with few flushes. One result per key, in order.
    pub(crate) async fn delete_objects(
        &self,
        bucket: Arc<Bucket>,
        keys: Vec<String>,
    ) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        self.blocking(move |shared| {
            let mut deletion = Deletion::default();
            let results =
                keys.iter().map(|key| deletion.remove(shared, &bucket, key, &WriteConditions::default())).collect();
            deletion.finish()?;
            Ok(results)
        })
        .await
    }
}

impl Shared {
    fn lock_key(&self, bucket: &Bucket, key: &str) -> Option<MutexGuard<'_, ()>> {
        let mut hasher = DefaultHasher::new();
        (&bucket.name, key).hash(&mut hasher);
        let slot = usize::try_from(hasher.finish() % self.key_locks.len() as u64).ok()?;
        self.key_locks.get(slot).map(|lock| lock.lock())
    }

    /// Blocking. See [`Store::put_object`].
    pub(super) fn commit_object(
        &self,
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
            attributes: self.attributes.share(draft.attributes),
        });
        let content = serde_json::to_vec(&ObjectRecord::new(key, &object))?;
        let (shard, name) = record::record_location(key);
        let dir = self.disk.bucket_dir(&bucket.name).join(shard);

        let _key = self.lock_key(bucket, key);
        let deleted = bucket.deleted.read();
        if *deleted {
            return Err(StoreError::NoSuchBucket);
        }
        conditions.check(bucket.object(key).as_deref())?;
        let committed = self.disk.commit_file(&dir, &name, &content);
        if let Err(CommitError::NotDone(error)) = committed {
            return Err(error.into());
        }
        object.blobs.iter().for_each(|blob| blob.keep());
        let previous = bucket.objects.write().insert(key.to_owned(), Arc::clone(&object));
        // After an unsure commit a power cut may bring the old metadata back: it must find its blobs.
        committed?;
        if let Some(previous) = previous {
            condemn_except(&previous, &object);
        }
        Ok(object)
    }
}

/// Condemns the blobs of `previous` that `current` does not use.
fn condemn_except(previous: &Object, current: &Object) {
    let used: HashSet<_> = current.blobs.iter().map(|blob| blob.id).collect();
    previous.blobs.iter().filter(|blob| !used.contains(&blob.id)).for_each(|blob| blob.condemn());
}

/// Objects that are leaving: out of the index, their blobs waiting for the removal to last.
#[derive(Default)]
struct Deletion {
    removed: Vec<Arc<Object>>,
    dirs: BTreeSet<std::path::PathBuf>,
}

impl Deletion {
    fn remove(
        &mut self,
        shared: &Shared,
        bucket: &Bucket,
        key: &str,
        conditions: &WriteConditions,
    ) -> Result<(), StoreError> {
        let (shard, name) = record::record_location(key);
        let dir = shared.disk.bucket_dir(&bucket.name).join(shard);

        let _key = shared.lock_key(bucket, key);
        let deleted = bucket.deleted.read();
        if *deleted {
            return Err(StoreError::NoSuchBucket);
        }
        let Some(object) = bucket.object(key) else {
            return conditions.check(None);
        };
        conditions.check(Some(&object))?;
        disk::remove_file_if_exists(&dir.join(name))?;
        bucket.objects.write().remove(key);
        self.removed.push(object);
        self.dirs.insert(dir);
        Ok(())
    }

    fn finish(self) -> Result<(), StoreError> {
        for dir in &self.dirs {
            match disk::sync_dir(dir) {
                // The bucket was deleted meanwhile, and that made its own removal last.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                result => result?,
            }
        }
        for object in &self.removed {
            object.blobs.iter().for_each(|blob| blob.condemn());
        }
        Ok(())
    }
}
