//! The store in memory: buckets with the index of their objects, and open uploads.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::blob::Blob;
use super::checksum::StoredChecksum;
use super::disk::Disk;
use super::error::StoreError;
use super::record::{AttributePool, BucketRecord, Object, UploadRecord};

/// An open store. Clones share the store. The folder is unlocked when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) shared: Arc<Shared>,
}

/// State shared by all clones of a [`Store`].
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) disk: Arc<Disk>,
    pub(super) buckets: RwLock<BTreeMap<String, Arc<Bucket>>>,
    /// Open uploads by ID.
    pub(super) uploads: Mutex<HashMap<String, Arc<Upload>>>,
    pub(super) attributes: AttributePool,
    /// Locks of keys, chosen by hash. Held while a key changes, so that the index and the disk change in the same
    /// order.
    pub(super) key_locks: [Mutex<()>; 64],
}

/// A bucket and the index of its objects.
#[derive(Debug)]
pub(crate) struct Bucket {
    pub name: String,
    pub(super) record: Mutex<BucketRecord>,
    /// Whether the bucket was deleted. Read-locked while the contents or settings of the bucket change, write-locked
    /// while the bucket is deleted.
    pub(super) deleted: RwLock<bool>,
    pub(super) objects: RwLock<BTreeMap<String, Arc<Object>>>,
}

/// An open multipart upload.
#[derive(Debug)]
pub(crate) struct Upload {
    pub id: String,
    pub record: UploadRecord,
    pub(super) state: Mutex<UploadState>,
}

#[derive(Debug)]
pub(super) struct UploadState {
    pub(super) parts: BTreeMap<u16, Part>,
    /// Whether the upload was completed or aborted. A closed upload accepts no more parts.
    pub(super) is_closed: bool,
}

/// An uploaded part.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) md5: [u8; 16],
    pub(super) modified_ms: u64,
    pub(super) blob: Arc<Blob>,
    pub(super) checksum: Option<StoredChecksum>,
}

impl Bucket {
    pub(super) fn new(name: String, record: BucketRecord, objects: BTreeMap<String, Arc<Object>>) -> Arc<Self> {
        Arc::new(Self { name, record: Mutex::new(record), deleted: RwLock::new(false), objects: RwLock::new(objects) })
    }

    /// Returns the time when the bucket was created, in milliseconds since 1970.
    pub(crate) fn created_ms(&self) -> u64 {
        self.record.lock().created_ms
    }

    pub(crate) fn object(&self, key: &str) -> Option<Arc<Object>> {
        self.objects.read().get(key).cloned()
    }

    /// Calls `read` with the index. `read` must be fast, because writers are blocked during the call.
    pub(crate) fn with_objects<T>(&self, read: impl FnOnce(&BTreeMap<String, Arc<Object>>) -> T) -> T {
        read(&self.objects.read())
    }
}

impl Upload {
    pub(super) fn new(id: String, record: UploadRecord, parts: BTreeMap<u16, Part>) -> Arc<Self> {
        Arc::new(Self { id, record, state: Mutex::new(UploadState { parts, is_closed: false }) })
    }
}

impl Store {
    pub(crate) fn root(&self) -> &Path {
        self.shared.disk.root()
    }

    pub(crate) fn bucket(&self, name: &str) -> Result<Arc<Bucket>, StoreError> {
        self.shared.buckets.read().get(name).cloned().ok_or(StoreError::NoSuchBucket)
    }

    /// Returns all buckets in order of their names.
    pub(crate) fn buckets(&self) -> Vec<Arc<Bucket>> {
        self.shared.buckets.read().values().cloned().collect()
    }

    /// Runs file operations on a blocking thread. The operations complete even if the caller is cancelled.
    pub(super) async fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || work(&shared)).await.map_err(|_| StoreError::Interrupted)?
    }
}
