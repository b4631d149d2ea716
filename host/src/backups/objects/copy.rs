//! Copies the objects of a project for a backup.

use std::collections::HashSet;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::Semaphore;

use super::{
    MAX_PARALLEL, ObjectCopies, ObjectsError,
    cache::{self, CachedHash, KnownContent},
    keys::{ExtraKeys, backups_prefix, extra_keys},
    list::{ListEntry, ListHeader, ListWriter},
    lock::CopiesLock,
    names::CopyName,
    transfer::Copied,
};
use crate::{
    object_store::{ListedObject, PLATFORM_BUCKET, StoreResult, StoredUpload, project_bucket},
    plugins::CopiedObjects,
    storage::{ObjectPath, ObjectRecord, is_staged_key},
};

const PAGE_SIZE: i32 = 1000;
const NAMES_TYPE: &str = "application/octet-stream";

/// Callback that receives the number of objects that are done so far.
type OnObject = dyn Fn(u64) + Send + Sync;

impl ObjectCopies {
    /// Copies the objects of a project. Stores the list of the objects and the names of their copies beside
    /// `manifest_key`. The caller stores the manifest afterwards.
    ///
    /// # Errors
    /// Fails if the key is not below the project's backups, if an object is too large or keeps changing, if a sweep
    /// holds the lock for too long, or if the store or the platform database is unavailable. Completed copies then
    /// stay, and the next backup reuses them.
    pub async fn copy_all(
        &self,
        project: &str,
        manifest_key: &str,
        on_object: &OnObject,
    ) -> Result<CopiedObjects, ObjectsError> {
        let keys = extra_keys(manifest_key).filter(|_| manifest_key.starts_with(&backups_prefix(project)));
        let keys = keys.ok_or_else(|| {
            ObjectsError::Failed(format!("the manifest's key must be `{}NAME.json`", backups_prefix(project)))
        })?;
        let mut lock = CopiesLock::share(&self.platform, project).await?;
        let begun_at: DateTime<Utc> = sqlx::query_scalar("SELECT now()").fetch_one(&self.platform).await?;
        let buckets = self.storage.bucket_limits(project).await?;
        let mut work = Work {
            copies: self,
            project,
            names: buckets.iter().map(|(name, _)| name.clone()).collect(),
            large: Semaphore::new(1),
            copied: CopiedObjects::default(),
        };
        let mut names = self.store.begin_upload(PLATFORM_BUCKET, &keys.names, NAMES_TYPE);
        let mut list = ListWriter::begin(self, keys.list.clone(), &ListHeader::new(&buckets)).await?;
        let mut token: Option<String> = None;
        loop {
            lock.check().await?;
            let bucket = project_bucket(project);
            let page = self.store.list_page(&bucket, "", PAGE_SIZE, token.as_deref()).await?;
            let entries = work.copy_page(page.objects).await?;
            let (lines, page_names): (Vec<ListEntry>, Vec<CopyName>) = entries.into_iter().unzip();
            list.write(&lines).await?;
            if !page_names.is_empty() {
                names.write(Bytes::from(page_names.concat())).await?;
            }
            on_object(work.copied.count);
            token = page.next;
            if token.is_none() {
                break;
            }
        }
        let (list, names) = (list.finish().await?, names.end().await?);
        let mut copied = work.copied;
        copied.list_sha256 = list.sha256_hex();
        lock.check().await?;
        if let Err(error) = commit(names, list, &mut lock).await {
            self.remove_extra(&keys).await;
            return Err(error);
        }
        lock.release().await;
        cache::remove_unseen(&self.platform, project, begun_at).await;
        Ok(copied)
    }

    /// Removes the list of objects and the names of copies of a backup.
    pub(in super::super) async fn remove_files(&self, keys: &ExtraKeys) -> StoreResult<()> {
        // The list is removed first, because a list without names stops the sweep of copies.
        self.store.delete(PLATFORM_BUCKET, &keys.list).await?;
        self.store.delete(PLATFORM_BUCKET, &keys.names).await
    }

    async fn remove_extra(&self, keys: &ExtraKeys) {
        if let Err(error) = self.remove_files(keys).await {
            tracing::warn!(key = keys.list, %error, "files of a failed backup were not removed; a sweep will retry");
        }
    }
}

/// Makes both files visible. The names come first, because a list without names stops the sweep of copies.
async fn commit(names: StoredUpload, list: StoredUpload, lock: &mut CopiesLock) -> Result<(), ObjectsError> {
    names.commit().await?;
    list.commit().await?;
    lock.check().await
}

/// State of copying a project's objects.
struct Work<'a> {
    copies: &'a ObjectCopies,
    project: &'a str,
    /// Names of the project's buckets.
    names: HashSet<String>,
    /// Lets one large object be copied at a time.
    large: Semaphore,
    copied: CopiedObjects,
}

impl Work<'_> {
    /// Copies the objects of a page. Returns their lines in the list and the names of their copies, in the order of the
    /// page.
    async fn copy_page(&mut self, objects: Vec<ListedObject>) -> Result<Vec<(ListEntry, CopyName)>, ObjectsError> {
        let (copies, project) = (self.copies, self.project);
        let mut found = Vec::with_capacity(objects.len());
        let mut paths = Vec::with_capacity(objects.len());
        for object in objects {
            match ObjectPath::from_key(None, &object.key) {
                Ok(path) if self.names.contains(path.bucket()) => {
                    paths.push(path);
                    found.push(object);
                }
                _ => self.copied.skipped += u64::from(!is_staged_key(&object.key)),
            }
        }
        let keys: Vec<String> = found.iter().map(|object| object.key.clone()).collect();
        let mut records = copies.storage.object_records(project, &paths).await?;
        let cached = cache::find(&copies.platform, project, &keys).await?;
        let mut copying = Vec::with_capacity(found.len());
        for object in found {
            let record = records.remove(&object.key);
            if is_oversize(record.as_ref(), object.size, object.etag.as_deref(), object.last_modified) {
                self.copied.skipped += 1;
                continue;
            }
            let content = cached.get(&object.key).and_then(|cached| cached.content_of(&object));
            copying.push(copy_listed(copies, project, object, record, content, &self.large));
        }
        let outcomes: Vec<Outcome> = stream::iter(copying).buffered(MAX_PARALLEL).try_collect().await?;
        let mut hashes = Vec::new();
        let mut entries = Vec::with_capacity(outcomes.len());
        for outcome in outcomes {
            let PageEntry { line, copied, object } = match outcome {
                Outcome::Copied(entry) => *entry,
                Outcome::Gone => {
                    self.copied.gone += 1;
                    continue;
                }
                Outcome::Oversize => {
                    self.copied.skipped += 1;
                    continue;
                }
            };
            self.copied.count += 1;
            self.copied.bytes += line.size_bytes.unsigned_abs();
            if copied.is_new {
                self.copied.copied += 1;
                self.copied.copied_bytes += line.size_bytes.unsigned_abs();
            }
            let content = KnownContent { sha256: copied.sha256, content_type: line.content_type.clone() };
            hashes.extend(CachedHash::new(&object, content));
            entries.push((line, copied.name));
        }
        cache::store(&copies.platform, project, &hashes).await;
        Ok(entries)
    }
}

struct PageEntry {
    line: ListEntry,
    copied: Copied,
    /// The object as it was when it was read.
    object: ListedObject,
}

/// The result of copying a listed object.
enum Outcome {
    Copied(Box<PageEntry>),
    /// The object was deleted after it was listed.
    Gone,
    /// The object was replaced by one that is larger than its upload was signed for.
    Oversize,
}

/// Returns whether an object is larger than its upload was signed for. AtlasHub never serves such an object.
fn is_oversize(
    record: Option<&ObjectRecord>,
    size: i64,
    etag: Option<&str>,
    last_modified: Option<DateTime<Utc>>,
) -> bool {
    record.is_some_and(|record| record.forbids(size, etag, last_modified))
}

/// Copies a listed object, unless `content` is known and already has a copy.
async fn copy_listed(
    copies: &ObjectCopies,
    project: &str,
    mut object: ListedObject,
    mut record: Option<ObjectRecord>,
    content: Option<KnownContent>,
    large: &Semaphore,
) -> Result<Outcome, ObjectsError> {
    let mut content_type = None;
    let mut copied = None;
    if let Some(content) = content {
        let name = copies.names.name(project, &content.sha256);
        if copies.copy_exists(project, &name, object.size).await? {
            content_type = content.content_type;
            copied = Some(Copied { name, sha256: content.sha256, meta: None, is_new: false });
        }
    }
    if copied.is_none() {
        copied = copies.copy_object(project, &object.key, object.size, large).await?;
    }
    let Some(copied) = copied else { return Ok(Outcome::Gone) };
    if let Some(meta) = &copied.meta {
        if is_oversize(record.as_ref(), meta.size, meta.etag.as_deref(), meta.last_modified) {
            // The object was replaced since it was listed. The new upload may have been signed for more.
            let path = ObjectPath::from_key(None, &object.key)?;
            record = copies.storage.object_records(project, &[path]).await?.remove(&object.key);
            if is_oversize(record.as_ref(), meta.size, meta.etag.as_deref(), meta.last_modified) {
                return Ok(Outcome::Oversize);
            }
        }
        object.size = meta.size;
        object.etag.clone_from(&meta.etag);
        object.last_modified = meta.last_modified;
        content_type.clone_from(&meta.content_type);
    }
    let line = ListEntry {
        key: object.key.clone(),
        content_type: content_type.or_else(|| record.as_ref().map(|record| record.content_type.clone())),
        uploaded_by: record.map(|record| record.uploaded_by),
        last_modified: object.last_modified,
        size_bytes: object.size,
        sha256: hex::encode(copied.sha256),
        copy: hex::encode(copied.name),
    };
    Ok(Outcome::Copied(Box::new(PageEntry { line, copied, object })))
}
