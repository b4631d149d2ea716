//! Buckets come and go as whole folders.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use super::disk::{self, CommitError};
use super::record::{self, BucketRecord};
use super::{Bucket, Shared, Store, StoreError};

/// File in a bucket's folder that describes it.
pub(super) const RECORD: &str = "bucket.json";

impl Store {
    /// Creates a bucket. The name must be valid; it becomes a folder.
    pub(crate) async fn create_bucket(&self, name: String) -> Result<(), StoreError> {
        self.blocking(move |shared| shared.create_bucket(name)).await
    }

    /// Deletes an empty bucket, and the uploads that were begun in it.
    pub(crate) async fn delete_bucket(&self, bucket: Arc<Bucket>) -> Result<(), StoreError> {
        self.blocking(move |shared| {
            shared.delete_bucket(&bucket)?;
            shared.abort_uploads_of(&bucket.name);
            Ok(())
        })
        .await
    }

    /// The CORS configuration that was put.
    pub(crate) fn bucket_cors(&self, bucket: &Bucket) -> Option<serde_json::Value> {
        bucket.record.lock().cors.clone()
    }

    /// Keeps or forgets a CORS configuration.
    pub(crate) async fn set_bucket_cors(
        &self,
        bucket: Arc<Bucket>,
        cors: Option<serde_json::Value>,
    ) -> Result<(), StoreError> {
        self.blocking(move |shared| {
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
}

impl Shared {
    fn create_bucket(&self, name: String) -> Result<(), StoreError> {
        // Creations are rare, so one at a time is fine, and the map can't change under this.
        let mut buckets = self.buckets.write();
        if buckets.contains_key(&name) {
            return Err(StoreError::BucketExists);
        }
        let record = BucketRecord { created_ms: record::now_ms(), cors: None };
        let temporary = self.disk.temporary_path()?;
        disk::private_dir_builder().create(&temporary)?;
        disk::create_shards(&temporary)?;
        disk::write_synced(&temporary.join(RECORD), &serde_json::to_vec(&record)?)?;
        disk::sync_dir(&temporary)?;
        fs::rename(&temporary, self.disk.bucket_dir(&name))?;
        buckets.insert(name.clone(), Bucket::new(name, record, BTreeMap::new()));
        disk::sync_dir(&self.disk.buckets_dir())?;
        Ok(())
    }

    fn delete_bucket(&self, bucket: &Bucket) -> Result<(), StoreError> {
        let mut deleted = bucket.deleted.write();
        if *deleted {
            return Err(StoreError::NoSuchBucket);
        }
        if !bucket.objects.read().is_empty() {
            return Err(StoreError::BucketNotEmpty);
        }
        let removed = self.disk.remove_dir(&self.disk.buckets_dir(), &bucket.name);
        if let Err(CommitError::NotDone(error)) = removed {
            return Err(error.into());
        }
        *deleted = true;
        self.buckets.write().remove(&bucket.name);
        Ok(removed?)
    }
}
