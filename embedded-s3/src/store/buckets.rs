//! Creating and deleting buckets, and their CORS settings. A bucket is created and deleted as a whole folder.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use super::error::{CommitError, StoreError};
use super::files::{create_shards, create_synced, private_dir_builder, sync_dir};
use super::record::{self, BucketRecord};
use super::state::{Bucket, Shared, Store, Upload};
use super::uploads::{abort_uploads_of_deleted, uploads_of_bucket};

/// Name of the file in a bucket's folder that describes the bucket.
pub(super) const RECORD: &str = "bucket.json";

/// Creates a bucket. The caller must have validated the name, because it becomes the name of a folder.
pub(crate) async fn create_bucket(store: &Store, name: String) -> Result<(), StoreError> {
    store.run_blocking(move |shared| create(shared, name)).await
}

/// Deletes an empty bucket and aborts its open uploads.
pub(crate) async fn delete_bucket(store: &Store, bucket: Arc<Bucket>) -> Result<(), StoreError> {
    store
        .run_blocking(move |shared| {
            let uploads = delete(shared, &bucket)?;
            abort_uploads_of_deleted(shared, &uploads);
            Ok(())
        })
        .await
}

/// Returns the stored CORS configuration.
pub(crate) fn bucket_cors(bucket: &Bucket) -> Option<serde_json::Value> {
    bucket.record.lock().cors.clone()
}

/// Stores a CORS configuration, or removes it if `cors` is `None`.
pub(crate) async fn set_bucket_cors(
    store: &Store,
    bucket: Arc<Bucket>,
    cors: Option<serde_json::Value>,
) -> Result<(), StoreError> {
    store
        .run_blocking(move |shared| {
            let deleted = bucket.deleted.read();
            if *deleted {
                return Err(StoreError::NoSuchBucket);
            }
            let mut record = bucket.record.lock();
            let changed = BucketRecord { cors, ..record.clone() };
            let content = serde_json::to_vec(&changed)?;
            shared.disk.commit_file(&shared.disk.bucket_dir(&bucket.name), RECORD, &content)?;
            *record = changed;
            Ok(())
        })
        .await
}

fn create(shared: &Shared, name: String) -> Result<(), StoreError> {
    // The lock is held during the file operations, so that no other bucket with this name is created. Buckets are
    // rarely created, so this does not slow down other requests noticeably.
    let mut buckets = shared.buckets.write();
    if buckets.contains_key(&name) {
        return Err(StoreError::BucketExists);
    }
    let record = BucketRecord { created_ms: record::now_ms(), cors: None };
    let temporary = shared.disk.temporary_path()?;
    private_dir_builder().create(&temporary)?;
    create_shards(&temporary)?;
    create_synced(&temporary.join(RECORD), &serde_json::to_vec(&record)?)?;
    sync_dir(&temporary)?;
    fs::rename(&temporary, shared.disk.bucket_dir(&name))?;
    buckets.insert(name.clone(), Bucket::new(name, record, BTreeMap::new()));
    sync_dir(&shared.disk.buckets_dir())?;
    Ok(())
}

/// Deletes an empty bucket. Returns its open uploads.
fn delete(shared: &Shared, bucket: &Bucket) -> Result<Vec<Arc<Upload>>, StoreError> {
    let mut deleted = bucket.deleted.write();
    if *deleted {
        return Err(StoreError::NoSuchBucket);
    }
    if !bucket.objects.read().is_empty() {
        return Err(StoreError::BucketNotEmpty);
    }
    let removed = shared.disk.remove_dir(&shared.disk.buckets_dir(), &bucket.name);
    if let Err(CommitError::NotCommitted(error)) = removed {
        return Err(error.into());
    }
    *deleted = true;
    // The uploads are looked up by the bucket's name. This happens before a new bucket with this name can have uploads.
    // The uploads can't be aborted here: a completion locks its upload and then waits for `deleted`.
    let uploads = uploads_of_bucket(shared, &bucket.name);
    shared.buckets.write().remove(&bucket.name);
    removed?;
    Ok(uploads)
}

#[cfg(test)]
mod tests {
    use super::super::record::Attributes;
    use super::super::uploads::{create_upload, find_upload};
    use super::*;

    #[tokio::test]
    async fn deleting_a_bucket_does_not_abort_uploads_of_a_new_one_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let upload = async || {
            let bucket = store.bucket("files").unwrap();
            create_upload(&store, bucket, "film".to_owned(), Attributes::default(), None).await.unwrap()
        };
        create_bucket(&store, "files".to_owned()).await.unwrap();
        let old = upload().await;
        let deleted = delete(&store.shared, &store.bucket("files").unwrap()).unwrap();
        create_bucket(&store, "files".to_owned()).await.unwrap();
        let new = upload().await;
        abort_uploads_of_deleted(&store.shared, &deleted);
        assert!(find_upload(&store, "files", "film", &old).is_err());
        assert!(find_upload(&store, "files", "film", &new).is_ok());
    }
}
