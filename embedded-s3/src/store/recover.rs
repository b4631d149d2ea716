//! Opening a folder: the index is read from the metadata files, leftovers are removed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use serde::de::DeserializeOwned;

use super::blob::{Blob, BlobId};
use super::disk::{self, Disk};
use super::record::{
    self, AttributePool, BlobRecord, BucketRecord, Etag, Object, ObjectRecord, PartRecord, UploadRecord,
};
use super::uploads::{self, Part, Upload};
use super::{Bucket, OpenError, Shared, buckets};

/// Blocking; takes about as long as reading every metadata file once.
pub(super) fn open(root: &Path) -> Result<Shared, OpenError> {
    let disk = Arc::new(Disk::open(root)?);
    let recovery =
        Recovery { present: list_blobs(&disk)?, attributes: AttributePool::default(), used: Mutex::default(), disk };
    recovery.empty_tmp()?;
    let buckets = recovery.buckets()?;
    let uploads = recovery.uploads(&buckets)?;
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
    /// Every blob file.
    present: HashSet<BlobId>,
    /// Those that metadata refers to.
    used: Mutex<HashSet<BlobId>>,
}

/// Why a metadata file is not taken.
enum Unusable {
    Io(io::Error),
    Content(String),
}

impl Recovery {
    fn empty_tmp(&self) -> Result<(), OpenError> {
        for path in list(&self.disk.tmp_dir())? {
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(at(&path))?;
        }
        Ok(())
    }

    fn buckets(&self) -> Result<BTreeMap<String, Arc<Bucket>>, OpenError> {
        let mut buckets = BTreeMap::new();
        for path in list(&self.disk.buckets_dir())? {
            let Some(name) = file_name(&path).filter(|name| s3s::path::check_bucket_name(name)) else {
                tracing::warn!(path = %path.display(), "not a bucket: left alone");
                continue;
            };
            let record_path = path.join(buckets::RECORD);
            // The bucket matters more than its description: without it, only the date is lost.
            let record: BucketRecord = match read_json(&record_path) {
                Ok(record) => record,
                Err(Unusable::Io(error)) if error.kind() == io::ErrorKind::NotFound => BucketRecord::default(),
                Err(Unusable::Io(error)) => return Err(at(&record_path)(error)),
                Err(Unusable::Content(reason)) => {
                    self.quarantine(&record_path, &reason)?;
                    BucketRecord::default()
                }
            };
            disk::create_shards(&path).map_err(at(&path))?;
            let objects = self.objects(&path)?;
            buckets.insert(name.clone(), Bucket::new(name, record, objects));
        }
        Ok(buckets)
    }

    /// Reads on a few threads: it is the disk that is waited for.
    fn objects(&self, bucket_dir: &Path) -> Result<BTreeMap<String, Arc<Object>>, OpenError> {
        let shards: Vec<u8> = (0..=u8::MAX).collect();
        std::thread::scope(|scope| {
            let threads: Vec<_> = shards
                .chunks(64)
                .map(|shards| {
                    scope.spawn(move || {
                        let mut found = Vec::new();
                        for shard in shards {
                            self.objects_of_shard(&bucket_dir.join(hex::encode([*shard])), &mut found)?;
                        }
                        Ok(found)
                    })
                })
                .collect();
            let mut objects = BTreeMap::new();
            for thread in threads {
                let found = thread.join().map_err(|_| at(bucket_dir)(io::Error::other("a reading thread panicked")))?;
                objects.extend(found?);
            }
            Ok(objects)
        })
    }

    fn objects_of_shard(&self, dir: &Path, found: &mut Vec<(String, Arc<Object>)>) -> Result<(), OpenError> {
        for path in list(dir)? {
            match self.object(&path) {
                Ok(entry) => found.push(entry),
                Err(Unusable::Io(error)) => return Err(at(&path)(error)),
                Err(Unusable::Content(reason)) => self.quarantine(&path, &reason)?,
            }
        }
        Ok(())
    }

    fn object(&self, path: &Path) -> Result<(String, Arc<Object>), Unusable> {
        let record: ObjectRecord = read_json(path)?;
        if file_name(path) != Some(record::record_location(&record.key).1) {
            return Err(Unusable::Content("its name does not fit its key".to_owned()));
        }
        let etag: Etag = record.etag.parse().map_err(|_| Unusable::Content(format!("{:?} is no ETag", record.etag)))?;
        if let Some(missing) = record.blobs.iter().find(|blob| !self.present.contains(&blob.id)) {
            return Err(Unusable::Content(format!("blob {} is missing", missing.id)));
        }
        let object = Object {
            etag,
            modified_ms: record.modified_ms,
            size: record.blobs.iter().map(|blob| blob.size).sum(),
            blobs: record.blobs.iter().map(|blob| self.use_blob(blob)).collect(),
            attributes: self.attributes.share(record.attributes),
        };
        Ok((record.key, Arc::new(object)))
    }

    fn use_blob(&self, blob: &BlobRecord) -> Arc<Blob> {
        self.used.lock().insert(blob.id);
        Blob::committed(Arc::clone(&self.disk), blob.id, blob.size)
    }

    /// After the objects: an upload whose parts belong to an object was completed.
    fn uploads(&self, buckets: &BTreeMap<String, Arc<Bucket>>) -> Result<HashMap<String, Arc<Upload>>, OpenError> {
        let mut uploads = HashMap::new();
        let of_objects = self.used.lock().clone();
        for path in list(&self.disk.uploads_dir())? {
            let Some(id) = file_name(&path) else { continue };
            let record_path = path.join(uploads::RECORD);
            let record: UploadRecord = match read_json(&record_path) {
                Ok(record) => record,
                Err(Unusable::Io(error)) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(at(&record_path)(error));
                }
                Err(Unusable::Io(_)) => {
                    self.quarantine(&path, "it has no description")?;
                    continue;
                }
                Err(Unusable::Content(reason)) => {
                    self.quarantine(&path, &reason)?;
                    continue;
                }
            };
            let parts = self.parts(&path)?;
            let completed = parts.iter().any(|part| of_objects.contains(&part.blob.id));
            if completed || !buckets.contains_key(&record.bucket) {
                fs::remove_dir_all(&path).map_err(at(&path))?;
                continue;
            }
            let parts = parts.iter().map(|part| {
                let blob = self.use_blob(&part.blob);
                (part.number, Part { md5: part.md5, modified_ms: part.modified_ms, blob })
            });
            uploads.insert(id.clone(), Upload::new(id, record, parts.collect()));
        }
        Ok(uploads)
    }

    fn parts(&self, dir: &Path) -> Result<Vec<PartRecord>, OpenError> {
        let mut parts = Vec::new();
        for path in list(dir)? {
            if file_name(&path).is_some_and(|name| name == uploads::RECORD) {
                continue;
            }
            match read_json::<PartRecord>(&path) {
                Ok(part) if file_name(&path) == Some(uploads::part_name(part.number)) => {
                    if self.present.contains(&part.blob.id) {
                        parts.push(part);
                    } else {
                        self.quarantine(&path, &format!("blob {} is missing", part.blob.id))?;
                    }
                }
                Ok(_) => self.quarantine(&path, "its name does not fit its number")?,
                Err(Unusable::Io(error)) => return Err(at(&path)(error)),
                Err(Unusable::Content(reason)) => self.quarantine(&path, &reason)?,
            }
        }
        Ok(parts)
    }

    fn quarantine(&self, path: &Path, reason: &str) -> Result<(), OpenError> {
        let name = disk::random_name().map_err(at(path))?;
        let original = file_name(path).unwrap_or_default();
        let aside = self.disk.quarantine_dir().join(format!("{name}-{original}"));
        tracing::error!(path = %path.display(), moved_to = %aside.display(), reason, "metadata can't be used: moved aside");
        fs::rename(path, &aside).map_err(at(path))
    }

    fn remove_unreferenced_blobs(&self) -> Result<(), OpenError> {
        let used = self.used.lock();
        let unreferenced: Vec<_> = self.present.difference(&used).copied().collect();
        if unreferenced.is_empty() {
            return Ok(());
        }
        if !list(&self.disk.quarantine_dir())?.is_empty() {
            tracing::warn!(
                blobs = unreferenced.len(),
                "unreferenced blobs are kept: they may belong to what lies in quarantine; empty that folder to free them"
            );
            return Ok(());
        }
        for id in unreferenced {
            let path = self.disk.blob_path(id);
            disk::remove_file_if_exists(&path).map_err(at(&path))?;
        }
        Ok(())
    }
}

fn list_blobs(disk: &Disk) -> Result<HashSet<BlobId>, OpenError> {
    let mut blobs = HashSet::new();
    for shard in list(&disk.blobs_dir())? {
        for path in list(&shard)? {
            match file_name(&path).as_deref().and_then(BlobId::parse) {
                Some(id) => {
                    blobs.insert(id);
                }
                None => tracing::warn!(path = %path.display(), "not a blob: left alone"),
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
    let entries = fs::read_dir(dir).map_err(at(dir))?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(at(dir))).collect()
}

fn file_name(path: &Path) -> Option<String> {
    path.file_name()?.to_str().map(str::to_owned)
}

fn at(path: &Path) -> impl Fn(io::Error) -> OpenError {
    move |source| OpenError::Io { path: path.to_owned(), source }
}
