//! Opens a storage folder: reads the index from the metadata files, and removes leftovers of unfinished requests.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use serde::de::DeserializeOwned;

use super::blob::Blob;
use super::buckets;
use super::disk::{BlobId, Disk};
use super::error::OpenError;
use super::files::{create_shards, random_name, remove_file_if_exists};
use super::record::{
    self, AttributePool, BlobRecord, BucketRecord, Etag, Object, ObjectRecord, PartRecord, UploadRecord,
};
use super::state::{Bucket, Part, Shared, Store, Upload};
use super::uploads;

impl Store {
    /// Opens the folder `root`, creating it if it is missing, and reads its index.
    ///
    /// Locks the folder, removes leftovers of unfinished requests, and moves metadata that cannot be used to
    /// `quarantine/`. As long as `quarantine/` is not empty, unreferenced blobs are kept, because they may belong to a
    /// file there.
    ///
    /// # Errors
    /// Fails if another server uses the folder, if a newer version wrote it, or if it cannot be read or written.
    pub async fn open(root: &Path) -> Result<Self, OpenError> {
        let root = root.to_owned();
        let path = root.clone();
        tokio::task::spawn_blocking(move || open(&root))
            .await
            .unwrap_or_else(|error| Err(OpenError::Io { path, source: io::Error::other(error) }))
            .map(|shared| Self { shared: Arc::new(shared) })
    }
}

/// See [`Store::open`]. Blocks for about as long as it takes to read every metadata file once.
fn open(root: &Path) -> Result<Shared, OpenError> {
    let disk = Arc::new(Disk::open(root)?);
    let recovery = Recovery {
        existing: list_blobs(&disk)?,
        attributes: AttributePool::default(),
        referenced: Mutex::default(),
        disk,
    };
    recovery.empty_tmp()?;
    let buckets = recovery.read_buckets()?;
    let uploads = recovery.read_uploads(&buckets)?;
    recovery.remove_unreferenced_blobs()?;
    let Recovery { disk, attributes, .. } = recovery;
    Ok(Shared {
        disk,
        buckets: RwLock::new(buckets),
        uploads: Mutex::new(uploads),
        attributes,
        key_locks: std::array::from_fn(|_| Mutex::new(())),
    })
}

struct Recovery {
    disk: Arc<Disk>,
    attributes: AttributePool,
    /// IDs of all blob files.
    existing: HashSet<BlobId>,
    /// IDs of the blobs to which metadata refers.
    referenced: Mutex<HashSet<BlobId>>,
}

/// Reason why a metadata file cannot be used.
enum Unusable {
    Io(io::Error),
    Content(String),
}

impl Recovery {
    fn empty_tmp(&self) -> Result<(), OpenError> {
        for path in list(&self.disk.tmp_dir())? {
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(io_error_at(&path))?;
        }
        Ok(())
    }

    fn read_buckets(&self) -> Result<BTreeMap<String, Arc<Bucket>>, OpenError> {
        let mut buckets = BTreeMap::new();
        for path in list(&self.disk.buckets_dir())? {
            let Some(name) = file_name(&path).filter(|name| path.is_dir() && s3s::path::check_bucket_name(name)) else {
                tracing::warn!(path = %path.display(), "ignored an entry that is not a bucket");
                continue;
            };
            let record_path = path.join(buckets::RECORD);
            // A bucket stays usable without its record; only its creation date and CORS configuration are lost.
            let record: BucketRecord = match read_json(&record_path) {
                Ok(record) => record,
                Err(Unusable::Io(error)) if error.kind() == io::ErrorKind::NotFound => BucketRecord::default(),
                Err(Unusable::Io(error)) => return Err(io_error_at(&record_path)(error)),
                Err(Unusable::Content(reason)) => {
                    self.quarantine(&record_path, &reason)?;
                    BucketRecord::default()
                }
            };
            create_shards(&path).map_err(io_error_at(&path))?;
            let objects = self.read_objects(&path)?;
            buckets.insert(name.clone(), Bucket::new(name, record, objects));
        }
        Ok(buckets)
    }

    /// Reads the objects of a bucket on four threads, because most of the time is spent waiting for the disk.
    fn read_objects(&self, bucket_dir: &Path) -> Result<BTreeMap<String, Arc<Object>>, OpenError> {
        let shards: Vec<u8> = (0..=u8::MAX).collect();
        std::thread::scope(|scope| {
            let threads: Vec<_> = shards
                .chunks(64)
                .map(|shards| {
                    scope.spawn(move || {
                        let mut objects = Vec::new();
                        for shard in shards {
                            self.read_shard(&bucket_dir.join(hex::encode([*shard])), &mut objects)?;
                        }
                        Ok(objects)
                    })
                })
                .collect();
            let mut objects = BTreeMap::new();
            for thread in threads {
                let read =
                    thread.join().map_err(|_| io_error_at(bucket_dir)(io::Error::other("a reader thread panicked")))?;
                objects.extend(read?);
            }
            Ok(objects)
        })
    }

    fn read_shard(&self, dir: &Path, objects: &mut Vec<(String, Arc<Object>)>) -> Result<(), OpenError> {
        for path in list(dir)? {
            match self.read_object(&path) {
                Ok(entry) => objects.push(entry),
                Err(Unusable::Io(error)) => return Err(io_error_at(&path)(error)),
                Err(Unusable::Content(reason)) => self.quarantine(&path, &reason)?,
            }
        }
        Ok(())
    }

    fn read_object(&self, path: &Path) -> Result<(String, Arc<Object>), Unusable> {
        let record: ObjectRecord = read_json(path)?;
        if file_name(path) != Some(record::record_location(&record.key).1) {
            return Err(Unusable::Content("the file name does not match the key".to_owned()));
        }
        let etag: Etag =
            record.etag.parse().map_err(|_| Unusable::Content(format!("{:?} is not an ETag", record.etag)))?;
        if let Some(missing) = record.blobs.iter().find(|blob| !self.existing.contains(&blob.id)) {
            return Err(Unusable::Content(format!("blob {} is missing", missing.id)));
        }
        let object = Object {
            etag,
            modified_ms: record.modified_ms,
            size: record.blobs.iter().map(|blob| blob.size).sum(),
            blobs: record.blobs.iter().map(|blob| self.reference_blob(blob)).collect(),
            attributes: self.attributes.share(record.attributes),
            checksum: record.checksum,
            upload_id: record.upload_id,
        };
        Ok((record.key, Arc::new(object)))
    }

    fn reference_blob(&self, blob: &BlobRecord) -> Arc<Blob> {
        self.referenced.lock().insert(blob.id);
        Blob::committed(Arc::clone(&self.disk), blob.id, blob.size)
    }

    /// Reads the open uploads. Must run after the objects were read: an upload whose parts belong to an object was
    /// completed, so its folder is removed. So is that of an upload whose bucket is gone.
    fn read_uploads(&self, buckets: &BTreeMap<String, Arc<Bucket>>) -> Result<HashMap<String, Arc<Upload>>, OpenError> {
        let mut uploads = HashMap::new();
        let used_by_objects = self.referenced.lock().clone();
        for path in list(&self.disk.uploads_dir())? {
            let Some(id) = file_name(&path).filter(|_| path.is_dir()) else {
                tracing::warn!(path = %path.display(), "ignored an entry that is not an upload");
                continue;
            };
            let record_path = path.join(uploads::RECORD);
            let record: UploadRecord = match read_json(&record_path) {
                Ok(record) => record,
                Err(Unusable::Io(error)) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(io_error_at(&record_path)(error));
                }
                Err(Unusable::Io(_)) => {
                    self.quarantine(&path, "the record of the upload is missing")?;
                    continue;
                }
                Err(Unusable::Content(reason)) => {
                    self.quarantine(&path, &reason)?;
                    continue;
                }
            };
            let parts = self.read_parts(&path)?;
            let is_completed = parts.iter().any(|part| used_by_objects.contains(&part.blob.id));
            if is_completed || !buckets.contains_key(&record.bucket) {
                fs::remove_dir_all(&path).map_err(io_error_at(&path))?;
                continue;
            }
            let parts = parts.into_iter().map(|part| {
                let PartRecord { number, md5, modified_ms, blob, checksum } = part;
                (number, Part { md5, modified_ms, blob: self.reference_blob(&blob), checksum })
            });
            uploads.insert(id.clone(), Upload::new(id, record, parts.collect()));
        }
        Ok(uploads)
    }

    fn read_parts(&self, dir: &Path) -> Result<Vec<PartRecord>, OpenError> {
        let mut parts = Vec::new();
        for path in list(dir)? {
            if file_name(&path).is_some_and(|name| name == uploads::RECORD) {
                continue;
            }
            match read_json::<PartRecord>(&path) {
                Ok(part) if file_name(&path) == Some(uploads::part_file_name(part.number)) => {
                    if self.existing.contains(&part.blob.id) {
                        parts.push(part);
                    } else {
                        self.quarantine(&path, &format!("blob {} is missing", part.blob.id))?;
                    }
                }
                Ok(_) => self.quarantine(&path, "the file name does not match the part number")?,
                Err(Unusable::Io(error)) => return Err(io_error_at(&path)(error)),
                Err(Unusable::Content(reason)) => self.quarantine(&path, &reason)?,
            }
        }
        Ok(parts)
    }

    fn quarantine(&self, path: &Path, reason: &str) -> Result<(), OpenError> {
        let name = random_name().map_err(io_error_at(path))?;
        let original = file_name(path).unwrap_or_default();
        let target = self.disk.quarantine_dir().join(format!("{name}-{original}"));
        let (from, to) = (path.display(), target.display());
        tracing::error!(%from, %to, reason, "moved unusable metadata to quarantine");
        fs::rename(path, &target).map_err(io_error_at(path))
    }

    fn remove_unreferenced_blobs(&self) -> Result<(), OpenError> {
        let referenced = self.referenced.lock();
        let unreferenced: Vec<_> = self.existing.difference(&referenced).copied().collect();
        if unreferenced.is_empty() {
            return Ok(());
        }
        if !list(&self.disk.quarantine_dir())?.is_empty() {
            tracing::warn!(
                blobs = unreferenced.len(),
                "kept unreferenced blobs because they may belong to files in quarantine; empty that folder to free them"
            );
            return Ok(());
        }
        for id in unreferenced {
            let path = self.disk.blob_path(id);
            remove_file_if_exists(&path).map_err(io_error_at(&path))?;
        }
        Ok(())
    }
}

fn list_blobs(disk: &Disk) -> Result<HashSet<BlobId>, OpenError> {
    let mut blobs = HashSet::new();
    for shard in list(&disk.blobs_dir())? {
        if !shard.is_dir() {
            tracing::warn!(path = %shard.display(), "ignored a file that is not a folder of blobs");
            continue;
        }
        for path in list(&shard)? {
            match file_name(&path).as_deref().and_then(BlobId::parse) {
                Some(id) => {
                    blobs.insert(id);
                }
                None => tracing::warn!(path = %path.display(), "ignored a file that is not a blob"),
            }
        }
    }
    Ok(blobs)
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, Unusable> {
    let content = fs::read(path).map_err(Unusable::Io)?;
    serde_json::from_slice(&content).map_err(|error| Unusable::Content(error.to_string()))
}

fn list(dir: &Path) -> Result<Vec<PathBuf>, OpenError> {
    let entries = fs::read_dir(dir).map_err(io_error_at(dir))?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(io_error_at(dir))).collect()
}

fn file_name(path: &Path) -> Option<String> {
    path.file_name()?.to_str().map(str::to_owned)
}

fn io_error_at(path: &Path) -> impl Fn(io::Error) -> OpenError {
    move |source| OpenError::Io { path: path.to_owned(), source }
}
