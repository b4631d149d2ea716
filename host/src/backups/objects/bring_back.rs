//! Restores the objects of a backup into a project's bucket.

use std::{collections::HashSet, io};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::Semaphore;

use super::{
    MAX_PARALLEL, MAX_SMALL_BYTES, ObjectCopies, ObjectsError, cache,
    keys::extra_keys,
    list::{ListEntry, ListReader, ManifestObjects},
    names::{copy_key, parse_name},
    transfer::{hash_of, upload_stream},
};
use crate::{
    backups::StoredBackup,
    config::AgeIdentity,
    db::DatabaseName,
    object_store::{ListedObject, ObjectMeta, ObjectStore, PLATFORM_BUCKET, project_bucket},
    secrets::{
        AgeError,
        age_file::{self, ByteStream},
    },
    storage::ObjectPath,
};

const DEFAULT_TYPE: &str = "application/octet-stream";
/// Maximum number of entries of the list in one batch. Their objects are written before the next batch is read.
const BATCH: usize = 200;

/// The number of objects that a restore wrote, and the number of those that were already there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RestoredObjects {
    /// Objects that were written, because they were missing or differed.
    pub written: u64,
    pub written_bytes: u64,
    /// Objects that were already as in the backup.
    pub unchanged: u64,
}

/// The project that receives the objects, and the state for writing them.
struct Target<'a> {
    copies: &'a ObjectCopies,
    /// Id of the project whose objects were backed up.
    source: &'a str,
    /// Id of the project that receives the objects.
    project: &'a str,
    identity: Option<&'a AgeIdentity>,
    /// Lets one large object be written at a time.
    large: Semaphore,
}

impl ObjectCopies {
    /// Restores the objects of a backup into a project: writes those that are missing or differ, and creates missing
    /// buckets without exposure. Other objects stay. The call can be repeated. `on_object` receives the number of
    /// objects done so far, after each batch of objects.
    ///
    /// # Errors
    /// Fails if the list or a copy is missing, was changed or can't be decrypted, or if the store or the platform
    /// database is unavailable. Objects that were already written stay.
    pub async fn bring_back(
        &self,
        backup: &StoredBackup,
        project: &str,
        identity: Option<&AgeIdentity>,
        on_object: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<RestoredObjects, ObjectsError> {
        let mut restored = RestoredObjects::default();
        let Some(objects) = &backup.manifest.objects else { return Ok(restored) };
        let source = source_of(backup)?;
        let list_key = checked_list(&self.store, &backup.manifest_key, objects).await?;
        let (_, bytes) = self.store.get(PLATFORM_BUCKET, &list_key).await?.ok_or_else(missing_list)?;
        let bytes = bytes.map(|chunk| chunk.map_err(io::Error::other));
        let (mut list, header) = ListReader::open(age_file::open(bytes, identity).await?.content).await?;
        for bucket in &header.buckets {
            self.storage.ensure_bucket(project, &bucket.name, bucket.max_object_bytes).await?;
        }
        let buckets: HashSet<&str> = header.buckets.iter().map(|bucket| bucket.name.as_str()).collect();
        let target = Target { copies: self, source: &source, project, identity, large: Semaphore::new(1) };
        loop {
            let entries = list.next(BATCH).await?;
            if entries.is_empty() {
                break;
            }
            let mut writing = Vec::with_capacity(entries.len());
            for entry in entries {
                let path = ObjectPath::from_key(None, &entry.key).ok();
                let path = path.filter(|path| buckets.contains(path.bucket())).ok_or_else(|| {
                    ObjectsError::Failed("the list of the backup's objects has an invalid key".to_owned())
                })?;
                writing.push(target.write(entry, path));
            }
            let written: Vec<Option<u64>> = stream::iter(writing).buffered(MAX_PARALLEL).try_collect().await?;
            for bytes in written {
                match bytes {
                    Some(bytes) => {
                        restored.written += 1;
                        restored.written_bytes += bytes;
                    }
                    None => restored.unchanged += 1,
                }
            }
            on_object(restored.written + restored.unchanged);
        }
        if restored.written + restored.unchanged != objects.count {
            return Err(ObjectsError::Failed("the numbers of objects in the list and the manifest differ".to_owned()));
        }
        Ok(restored)
    }
}

impl Target<'_> {
    /// Writes an object if it is missing or differs. Returns its size if it was written.
    async fn write(&self, entry: ListEntry, path: ObjectPath) -> Result<Option<u64>, ObjectsError> {
        let (copies, bucket) = (self.copies, project_bucket(self.project));
        let content_type = entry.content_type.as_deref().unwrap_or(DEFAULT_TYPE);
        if let Some(present) = copies.store.head(&bucket, path.key()).await?
            && present.size == entry.size_bytes
            && present.content_type.as_deref() == Some(content_type)
            && self.hash_of_present(&path, &present).await?.as_deref() == Some(&entry.sha256)
        {
            copies.storage.finish_restored_object(self.project, &path, &present, None).await?;
            return Ok(None);
        }
        let _permit = if entry.size_bytes > MAX_SMALL_BYTES { self.large.acquire().await.ok() } else { None };
        let what = format!("the copy of the object `{}`", entry.key);
        let damaged = || ObjectsError::Failed(format!("{what} was changed"));
        let name = parse_name(&entry.copy).ok_or_else(damaged)?;
        let copy = copies.store.get(PLATFORM_BUCKET, &copy_key(self.source, &name)).await?;
        let missing = || ObjectsError::Failed(format!("{what} is missing in the object store"));
        let (_, bytes) = copy.ok_or_else(missing)?;
        let bytes = bytes.map(|chunk| chunk.map_err(io::Error::other));
        let content: ByteStream<'_> = match age_file::open(bytes, self.identity).await {
            Err(AgeError::Damaged) => return Err(damaged()),
            Err(AgeError::Read(error)) => return Err(ObjectsError::of_stream(&what, error)),
            file => file?.content,
        };
        let upload = upload_stream(&copies.store, &bucket, path.key(), content_type, &what, content).await?;
        if upload.sha256_hex() != entry.sha256 {
            return Err(damaged());
        }
        let size = upload.size;
        copies.storage.begin_restored_object(self.project, &path, entry.size_bytes).await?;
        upload.commit().await?;
        if let Some(stored) = copies.store.head(&bucket, path.key()).await? {
            let uploaded_by = entry.uploaded_by.as_deref();
            copies.storage.finish_restored_object(self.project, &path, &stored, uploaded_by).await?;
        }
        Ok(Some(size))
    }

    /// Returns the SHA-256 of the project's present object, in hexadecimal. Returns `None` if the object is gone.
    async fn hash_of_present(&self, path: &ObjectPath, present: &ObjectMeta) -> Result<Option<String>, ObjectsError> {
        let listed = ListedObject {
            key: path.key().to_owned(),
            size: present.size,
            etag: present.etag.clone(),
            last_modified: present.last_modified,
        };
        let cached = cache::find(&self.copies.platform, self.project, std::slice::from_ref(&listed.key)).await?;
        if let Some(content) = cached.get(&listed.key).and_then(|cached| cached.content_of(&listed)) {
            return Ok(Some(hex::encode(content.sha256)));
        }
        match self.copies.store.get(&project_bucket(self.project), path.key()).await? {
            Some((_, bytes)) => Ok(Some(hex::encode(hash_of(bytes).await?))),
            None => Ok(None),
        }
    }
}

/// Returns the id of the project whose objects were backed up.
pub(super) fn source_of(backup: &StoredBackup) -> Result<String, ObjectsError> {
    match backup.manifest.target.parse() {
        Ok(DatabaseName::Project(project)) => Ok(project),
        _ => Err(ObjectsError::Failed("only backups of projects have objects".to_owned())),
    }
}

/// Returns the key of the list of a backup's objects, after comparing the list's hash with the manifest.
pub(super) async fn checked_list(
    store: &ObjectStore,
    manifest_key: &str,
    objects: &ManifestObjects,
) -> Result<String, ObjectsError> {
    let keys = extra_keys(manifest_key).ok_or_else(missing_list)?;
    let (_, bytes) = store.get(PLATFORM_BUCKET, &keys.list).await?.ok_or_else(missing_list)?;
    if hex::encode(hash_of(bytes).await?) != objects.sha256 {
        return Err(ObjectsError::Failed(
            "the list of the backup's objects was changed: its SHA-256 is not that of the manifest".to_owned(),
        ));
    }
    Ok(keys.list)
}

fn missing_list() -> ObjectsError {
    ObjectsError::Failed("the list of the backup's objects is missing in the object store".to_owned())
}
