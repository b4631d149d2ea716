//! Objects as files, with an index in memory. Knows nothing of HTTP.
//!
//! Modules in reading order: [`disk`] (layout, the only writes), [`blob`] (bytes), [`record`]
//! (metadata), [`recover`] (open), [`ingest`] and [`read`] (streams), [`commit`] (objects),
//! [`buckets`], [`uploads`] (multi-part), [`listing`].
//!
//! Invariants:
//! - The rename of a metadata file is the commit. Blobs are on disk before it and are removed only
//!   after the metadata that named them is durably gone.
//! - Everything from the rename to the change of the index runs in one blocking task, so that a
//!   cancelled request can't separate them.
//! - Lock order: upload state, key lock, bucket gate, index. None is held over an await.

mod blob;
mod buckets;
mod commit;
mod disk;
mod error;
mod ingest;
mod listing;
mod read;
mod record;
mod recover;
mod uploads;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use self::disk::Disk;
use self::record::{AttributePool, BucketRecord};

pub(crate) use self::commit::{Draft, WriteConditions};
pub use self::error::OpenError;
pub(crate) use self::error::StoreError;
pub(crate) use self::ingest::{Expectations, IngestError, Ingested};
pub(crate) use self::listing::{Page, Position, group_of, page};
pub(crate) use self::read::read;
pub(crate) use self::record::{Attributes, Etag, Object, system_time};
pub(crate) use self::uploads::{PartChoice, Upload};

/// An opened store. Clones share it; the folder is released when the last one goes.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    disk: Arc<Disk>,
    buckets: RwLock<BTreeMap<String, Arc<Bucket>>>,
    uploads: Mutex<HashMap<String, Arc<Upload>>>,
    attributes: AttributePool,
    /// One of these is held while a key changes, so that index and disk change in the same order.
    key_locks: [Mutex<()>; 64],
}

/// A bucket and the index of its objects.
#[derive(Debug)]
pub(crate) struct Bucket {
    pub name: String,
    record: Mutex<BucketRecord>,
    /// True once deleted. Shared while an object is committed, exclusive while the bucket goes.
    deleted: RwLock<bool>,
    objects: RwLock<BTreeMap<String, Arc<Object>>>,
}

impl Bucket {
    fn new(name: String, record: BucketRecord, objects: BTreeMap<String, Arc<Object>>) -> Arc<Self> {
        Arc::new(Self { name, record: Mutex::new(record), deleted: RwLock::new(false), objects: RwLock::new(objects) })
    }

    /// Milliseconds since 1970.
    pub(crate) fn created_ms(&self) -> u64 {
        self.record.lock().created_ms
    }

    pub(crate) fn object(&self, key: &str) -> Option<Arc<Object>> {
        self.objects.read().get(key).cloned()
    }

    /// Runs `look` on the index. Writers wait meanwhile, so keep it short.
    pub(crate) fn with_objects<T>(&self, look: impl FnOnce(&BTreeMap<String, Arc<Object>>) -> T) -> T {
        look(&self.objects.read())
    }
}

impl Store {
    /// Opens the folder `root`, which is created where there is none, and reads its index.
    ///
    /// Takes an exclusive lock on the folder, removes what unfinished requests left behind, and
    /// moves metadata that it can't read to `quarantine/` (while something lies there, no
    /// unreferenced bytes are removed, since they may belong to it).
    ///
    /// # Errors
    /// When another server has the folder, a newer version wrote it, or it can't be read or written.
    pub async fn open(root: &Path) -> Result<Self, OpenError> {
        let root = root.to_owned();
        let path = root.clone();
        tokio::task::spawn_blocking(move || recover::open(&root))
            .await
            .unwrap_or_else(|error| Err(OpenError::Io { path, source: std::io::Error::other(error) }))
            .map(|shared| Self { shared: Arc::new(shared) })
    }

    pub(crate) fn root(&self) -> &Path {
        self.shared.disk.root()
    }

    pub(crate) fn bucket(&self, name: &str) -> Result<Arc<Bucket>, StoreError> {
        self.shared.buckets.read().get(name).cloned().ok_or(StoreError::NoSuchBucket)
    }

    /// By name.
    pub(crate) fn buckets(&self) -> Vec<Arc<Bucket>> {
        self.shared.buckets.read().values().cloned().collect()
    }

    /// Runs file work off the runtime's threads, to its end even if the caller goes away.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || work(&shared)).await.map_err(|_| StoreError::Interrupted)?
    }
}
