//! Multipart uploads. Each part is a blob. Completing an upload commits an object that refers to the blobs, so no bytes
//! are copied.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;

use s3s::crypto::{Checksum as _, Md5};
use s3s::dto;

use super::checksum::{self, StoredChecksum, UploadChecksum};
use super::commit::{Draft, WriteConditions, commit_object};
use super::error::{CommitError, StoreError};
use super::files::{create_synced, private_dir_builder, random_name, sync_dir};
use super::ingest::Ingested;
use super::record::{self, Attributes, BlobRecord, Etag, Object, PartRecord, UploadRecord};
use super::state::{Bucket, Part, Shared, Store, Upload};

/// Name of the file in an upload's folder that describes the upload.
pub(super) const RECORD: &str = "upload.json";
/// Minimum size of every part except the last one, as in S3.
const MIN_PART_BYTES: u64 = 5 * 1024 * 1024;

/// Properties of an uploaded part.
#[derive(Clone, Debug)]
pub(crate) struct PartInfo {
    pub number: u16,
    pub etag: Etag,
    pub size: u64,
    pub modified_ms: u64,
    pub checksum: Option<StoredChecksum>,
}

/// A part that the client names when it completes an upload.
#[derive(Clone, Debug)]
pub(crate) struct CompletedPart {
    pub number: i32,
    /// Expected ETag without quotes. `None` accepts any.
    pub etag: Option<String>,
    /// Expected checksums.
    pub checksum: dto::Checksum,
}

/// Returns the open upload with this ID if it belongs to this bucket and key.
pub(crate) fn find_upload(store: &Store, bucket: &str, key: &str, id: &str) -> Result<Arc<Upload>, StoreError> {
    let upload = store.shared.uploads.lock().get(id).cloned();
    upload.filter(|upload| upload.record.bucket == bucket && upload.record.key == key).ok_or(StoreError::NoSuchUpload)
}

/// Returns all open uploads of a bucket. The map's keys are the object's key and the upload's ID, joined by NUL.
pub(crate) fn list_uploads(store: &Store, bucket: &str) -> BTreeMap<String, Arc<Upload>> {
    let uploads = store.shared.uploads.lock();
    uploads
        .values()
        .filter(|upload| upload.record.bucket == bucket)
        .map(|upload| (format!("{}\0{}", upload.record.key, upload.id), Arc::clone(upload)))
        .collect()
}

/// Returns the parts uploaded so far, in order of their numbers.
pub(crate) fn list_parts(upload: &Upload) -> Vec<PartInfo> {
    let state = upload.state.lock();
    let info = |(number, part): (&u16, &Part)| PartInfo {
        number: *number,
        etag: Etag { md5: part.md5, parts: 0 },
        size: part.blob.size,
        modified_ms: part.modified_ms,
        checksum: part.checksum.clone(),
    };
    state.parts.iter().map(info).collect()
}

/// Creates an upload and returns its ID.
pub(crate) async fn create_upload(
    store: &Store,
    bucket: Arc<Bucket>,
    key: String,
    attributes: Attributes,
    checksum: Option<UploadChecksum>,
) -> Result<String, StoreError> {
    store.run_blocking(move |shared| create(shared, &bucket, key, attributes, checksum)).await
}

/// Stores an ingested body as a part, which replaces an earlier part with the same number.
pub(crate) async fn put_part(
    store: &Store,
    upload: Arc<Upload>,
    number: u16,
    ingested: Ingested,
) -> Result<PartInfo, StoreError> {
    store.run_blocking(move |shared| commit_part(shared, &upload, number, ingested)).await
}

/// Properties that the client declares for the completed object.
#[derive(Debug, Default)]
pub(crate) struct DeclaredObject {
    pub size: Option<u64>,
    pub checksum: dto::Checksum,
}

/// Commits an object made of the named parts, and discards the other parts.
pub(crate) async fn complete_upload(
    store: &Store,
    bucket: Arc<Bucket>,
    upload: Arc<Upload>,
    parts: Vec<CompletedPart>,
    declared: DeclaredObject,
    conditions: WriteConditions,
) -> Result<Arc<Object>, StoreError> {
    store.run_blocking(move |shared| complete(shared, &bucket, &upload, &parts, &declared, &conditions)).await
}

/// Returns the object that an upload became, if it is still the object of its key and was made of these parts. With
/// this, a client can repeat a completion whose response was lost.
pub(crate) fn completed_object(bucket: &Bucket, key: &str, id: &str, parts: &[CompletedPart]) -> Option<Arc<Object>> {
    let object = bucket.object(key).filter(|object| object.upload_id.as_deref() == Some(id))?;
    let mut md5 = Md5::new();
    for part in parts {
        let etag: Etag = part.etag.as_ref()?.parse().ok()?;
        md5.update(&etag.md5);
    }
    let is_same = md5.finalize() == object.etag.md5 && u32::try_from(parts.len()) == Ok(object.etag.parts);
    is_same.then_some(object)
}

/// Aborts an upload and removes its parts.
pub(crate) async fn abort_upload(store: &Store, upload: Arc<Upload>) -> Result<(), StoreError> {
    store.run_blocking(move |shared| abort(shared, &upload)).await
}

/// Returns all open uploads of a bucket.
pub(super) fn uploads_of_bucket(shared: &Shared, bucket: &str) -> Vec<Arc<Upload>> {
    shared.uploads.lock().values().filter(|upload| upload.record.bucket == bucket).cloned().collect()
}

/// Aborts the open uploads of a deleted bucket. Blocks.
pub(super) fn abort_uploads_of_deleted(shared: &Shared, uploads: &[Arc<Upload>]) {
    for upload in uploads {
        match abort(shared, upload) {
            // It was aborted in the meantime.
            Ok(()) | Err(StoreError::NoSuchUpload) => {}
            Err(error) => {
                let upload = &upload.id;
                tracing::warn!(%error, upload, "could not remove an upload of a deleted bucket");
            }
        }
    }
}

fn create(
    shared: &Shared,
    bucket: &Bucket,
    key: String,
    attributes: Attributes,
    checksum: Option<UploadChecksum>,
) -> Result<String, StoreError> {
    let id = random_name()?;
    let initiated_ms = record::now_ms();
    let record = UploadRecord { bucket: bucket.name.clone(), key, initiated_ms, attributes, checksum };
    let deleted = bucket.deleted.read();
    if *deleted {
        return Err(StoreError::NoSuchBucket);
    }
    let temporary = shared.disk.temporary_path()?;
    private_dir_builder().create(&temporary)?;
    create_synced(&temporary.join(RECORD), &serde_json::to_vec(&record)?)?;
    sync_dir(&temporary)?;
    fs::rename(&temporary, shared.disk.upload_dir(&id))?;
    sync_dir(&shared.disk.uploads_dir())?;
    shared.uploads.lock().insert(id.clone(), Upload::new(id.clone(), record, BTreeMap::new()));
    Ok(id)
}

fn commit_part(shared: &Shared, upload: &Upload, number: u16, ingested: Ingested) -> Result<PartInfo, StoreError> {
    let modified_ms = record::now_ms();
    let Ingested { blob, md5, checksum } = ingested;
    let checksum = StoredChecksum::from_dto(&checksum);
    let record = PartRecord { number, md5, modified_ms, blob: BlobRecord::from(&blob), checksum: checksum.clone() };
    let content = serde_json::to_vec(&record)?;
    let etag = Etag { md5, parts: 0 };
    let info = PartInfo { number, etag, size: blob.size, modified_ms, checksum: checksum.clone() };

    let mut state = upload.state.lock();
    if state.is_closed {
        return Err(StoreError::NoSuchUpload);
    }
    let committed = shared.disk.commit_file(&shared.disk.upload_dir(&upload.id), &part_file_name(number), &content);
    if let Err(CommitError::NotCommitted(error)) = committed {
        return Err(error.into());
    }
    blob.mark_committed();
    let previous = state.parts.insert(number, Part { md5, modified_ms, blob, checksum });
    committed?;
    if let Some(previous) = previous {
        previous.blob.mark_unreferenced();
    }
    Ok(info)
}

fn complete(
    shared: &Shared,
    bucket: &Bucket,
    upload: &Upload,
    parts: &[CompletedPart],
    declared: &DeclaredObject,
    conditions: &WriteConditions,
) -> Result<Arc<Object>, StoreError> {
    let mut state = upload.state.lock();
    if state.is_closed {
        return Err(StoreError::NoSuchUpload);
    }
    let selected = select_parts(&state.parts, parts)?;
    let actual = selected.iter().map(|(_, part)| part.blob.size).sum();
    if let Some(declared) = declared.size.filter(|declared| *declared != actual) {
        return Err(StoreError::SizeMismatch { declared, actual });
    }
    let checksum = upload.record.checksum.and_then(|checksum| {
        checksum::of_parts(checksum, selected.iter().map(|(_, part)| (part.checksum.as_ref(), part.blob.size)))
    });
    if checksum.as_ref().is_some_and(|checksum| !checksum.matches(&declared.checksum)) {
        return Err(StoreError::ChecksumMismatch);
    }
    let draft = Draft {
        etag: multipart_etag(&selected)?,
        blobs: selected.iter().map(|(_, part)| Arc::clone(&part.blob)).collect(),
        attributes: upload.record.attributes.clone(),
        checksum: checksum.map(Box::new),
        upload_id: Some(upload.id.as_str().into()),
    };
    let committed = commit_object(shared, bucket, &upload.record.key, draft, conditions);
    if committed.is_err() && is_object_of_parts(bucket, &upload.record.key, &selected) {
        // The object is visible but may not be durable. The upload is closed, so that an abort can't remove its parts.
        state.is_closed = true;
        shared.uploads.lock().remove(&upload.id);
    }
    let object = committed?;
    // From here on the request succeeds. If the upload's folder can't be removed, the next start recognizes the upload
    // as completed, because its parts belong to an object.
    let used: BTreeSet<u16> = selected.iter().map(|(number, _)| *number).collect();
    state.is_closed = true;
    let unused = std::mem::take(&mut state.parts).into_iter().filter(|(number, _)| !used.contains(number));
    shared.uploads.lock().remove(&upload.id);
    match shared.disk.remove_dir(&shared.disk.uploads_dir(), &upload.id) {
        Ok(()) => unused.for_each(|(_, part)| part.blob.mark_unreferenced()),
        Err(error) => {
            let upload = &upload.id;
            tracing::warn!(?error, upload, "could not remove a completed upload; it is removed at the next start");
        }
    }
    Ok(object)
}

fn abort(shared: &Shared, upload: &Upload) -> Result<(), StoreError> {
    let mut state = upload.state.lock();
    if state.is_closed {
        return Err(StoreError::NoSuchUpload);
    }
    let removed = shared.disk.remove_dir(&shared.disk.uploads_dir(), &upload.id);
    if let Err(CommitError::NotCommitted(error)) = removed {
        return Err(error.into());
    }
    state.is_closed = true;
    shared.uploads.lock().remove(&upload.id);
    let parts = std::mem::take(&mut state.parts);
    removed?;
    parts.values().for_each(|part| part.blob.mark_unreferenced());
    Ok(())
}

/// Returns whether the current object of `key` consists of these parts. Compares only the first blob, because a blob
/// belongs to one object at most.
fn is_object_of_parts(bucket: &Bucket, key: &str, parts: &[(u16, Part)]) -> bool {
    let first = parts.first().map(|(_, part)| part.blob.id);
    bucket.object(key).is_some_and(|object| object.blobs.first().map(|blob| blob.id) == first)
}

pub(super) fn part_file_name(number: u16) -> String {
    format!("part-{number:05}.json")
}

/// Looks up the parts that the client names, and checks their order, sizes, ETags and checksums.
fn select_parts(uploaded: &BTreeMap<u16, Part>, named: &[CompletedPart]) -> Result<Vec<(u16, Part)>, StoreError> {
    if !named.is_sorted_by(|first, second| first.number < second.number) {
        return Err(StoreError::InvalidPartOrder);
    }
    let mut selected: Vec<(u16, Part)> = Vec::with_capacity(named.len());
    for named in named {
        let invalid = || StoreError::InvalidPart(named.number);
        let number = u16::try_from(named.number).map_err(|_| invalid())?;
        if let Some((previous, part)) = selected.last()
            && part.blob.size < MIN_PART_BYTES
        {
            return Err(StoreError::PartTooSmall(*previous));
        }
        let part = uploaded.get(&number).ok_or_else(invalid)?;
        if named.etag.as_ref().is_some_and(|expected| *expected != hex::encode(part.md5)) {
            return Err(invalid());
        }
        if part.checksum.as_ref().is_some_and(|checksum| !checksum.matches(&named.checksum)) {
            return Err(invalid());
        }
        selected.push((number, part.clone()));
    }
    Ok(selected)
}

fn multipart_etag(parts: &[(u16, Part)]) -> Result<Etag, StoreError> {
    let mut md5 = Md5::new();
    for (_, part) in parts {
        md5.update(&part.md5);
    }
    let parts = u32::try_from(parts.len()).map_err(std::io::Error::other)?;
    Ok(Etag { md5: md5.finalize(), parts })
}
