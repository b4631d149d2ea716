//! Multi-part uploads. Parts are blobs; completing an upload commits an object that refers to
//! them, so no byte is copied.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;

use parking_lot::Mutex;
use s3s::crypto::{Checksum as _, Md5};

use super::blob::Blob;
use super::disk::{self, CommitError};
use super::record::{self, Attributes, BlobRecord, Etag, Object, PartRecord, UploadRecord};
use super::{Bucket, Draft, Ingested, Shared, Store, StoreError, WriteConditions};

/// File in an upload's folder that describes it.
pub(super) const RECORD: &str = "upload.json";
/// Smallest part that is not the last one, as in S3.
const MIN_PART: u64 = 5 * 1024 * 1024;

/// An upload that was begun.
#[derive(Debug)]
pub(crate) struct Upload {
    pub id: String,
    pub record: UploadRecord,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    parts: BTreeMap<u16, Part>,
    /// Completed or aborted: no part may join any more.
    closed: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Part {
    pub md5: [u8; 16],
    pub modified_ms: u64,
    pub blob: Arc<Blob>,
}

/// What a listing says of a part.
#[derive(Clone, Debug)]
pub(crate) struct PartInfo {
    pub number: u16,
    pub etag: Etag,
    pub size: u64,
    pub modified_ms: u64,
}

/// A part that the client wants in the object.
#[derive(Clone, Debug)]
pub(crate) struct PartChoice {
    pub number: i32,
    /// Without quotes. `None` takes the part as it is.
    pub etag: Option<String>,
}

impl Upload {
    pub(super) fn new(id: String, record: UploadRecord, parts: BTreeMap<u16, Part>) -> Arc<Self> {
        Arc::new(Self { id, record, state: Mutex::new(State { parts, closed: false }) })
    }

    pub(crate) fn parts(&self) -> Vec<PartInfo> {
        let state = self.state.lock();
        let info = |(number, part): (&u16, &Part)| PartInfo {
            number: *number,
            etag: Etag { md5: part.md5, parts: 0 },
            size: part.blob.size,
            modified_ms: part.modified_ms,
        };
        state.parts.iter().map(info).collect()
    }
}

impl Store {
    /// The upload of this id, if it is for this key.
    pub(crate) fn upload(&self, bucket: &str, key: &str, id: &str) -> Result<Arc<Upload>, StoreError> {
        let upload = self.shared.uploads.lock().get(id).cloned();
        upload
            .filter(|upload| upload.record.bucket == bucket && upload.record.key == key)
            .ok_or(StoreError::NoSuchUpload)
    }

    /// All uploads of a bucket by key, then id, the two joined by NUL.
    pub(crate) fn uploads(&self, bucket: &str) -> BTreeMap<String, Arc<Upload>> {
        let uploads = self.shared.uploads.lock();
        uploads
            .values()
            .filter(|upload| upload.record.bucket == bucket)
            .map(|upload| (format!("{}\0{}", upload.record.key, upload.id), Arc::clone(upload)))
            .collect()
    }

    /// Begins an upload and returns its id.
    pub(crate) async fn create_upload(
        &self,
        bucket: Arc<Bucket>,
        key: String,
        attributes: Attributes,
    ) -> Result<String, StoreError> {
        self.blocking(move |shared| shared.create_upload(&bucket, key, attributes)).await
    }

    /// Makes an ingested body a part, in place of an earlier one of that number.
    pub(crate) async fn put_part(
        &self,
        upload: Arc<Upload>,
        number: u16,
        ingested: Ingested,
    ) -> Result<PartInfo, StoreError> {
        self.blocking(move |shared| shared.commit_part(&upload, number, ingested)).await
    }

    /// Makes an object of the chosen parts and forgets the others.
    pub(crate) async fn complete_upload(
        &self,
        bucket: Arc<Bucket>,
        upload: Arc<Upload>,
        choices: Vec<PartChoice>,
        size: Option<u64>,
        conditions: WriteConditions,
    ) -> Result<Arc<Object>, StoreError> {
        self.blocking(move |shared| shared.complete_upload(&bucket, &upload, &choices, size, &conditions)).await
    }

    /// Ends an upload and removes its parts.
    pub(crate) async fn abort_upload(&self, upload: Arc<Upload>) -> Result<(), StoreError> {
        self.blocking(move |shared| shared.abort_upload(&upload)).await
    }
}

impl Shared {
    fn create_upload(&self, bucket: &Bucket, key: String, attributes: Attributes) -> Result<String, StoreError> {
        let id = disk::random_name()?;
        let initiated_ms = record::now_ms();
        let record = UploadRecord { bucket: bucket.name.clone(), key, initiated_ms, attributes };
        let deleted = bucket.deleted.read();
        if *deleted {
            return Err(StoreError::NoSuchBucket);
        }
        let temporary = self.disk.temporary_path()?;
        disk::private_dir_builder().create(&temporary)?;
        disk::write_synced(&temporary.join(RECORD), &serde_json::to_vec(&record)?)?;
        disk::sync_dir(&temporary)?;
        fs::rename(&temporary, self.disk.upload_dir(&id))?;
        disk::sync_dir(&self.disk.uploads_dir())?;
        self.uploads.lock().insert(id.clone(), Upload::new(id.clone(), record, BTreeMap::new()));
        Ok(id)
    }

    fn commit_part(&self, upload: &Upload, number: u16, ingested: Ingested) -> Result<PartInfo, StoreError> {
        let modified_ms = record::now_ms();
        let Ingested { blob, md5, .. } = ingested;
        let record = PartRecord { number, md5, modified_ms, blob: BlobRecord::from(&blob) };
        let content = serde_json::to_vec(&record)?;
        let info = PartInfo { number, etag: Etag { md5, parts: 0 }, size: blob.size, modified_ms };

        let mut state = upload.state.lock();
        if state.closed {
            return Err(StoreError::NoSuchUpload);
        }
        let committed = self.disk.commit_file(&self.disk.upload_dir(&upload.id), &part_name(number), &content);
        if let Err(CommitError::NotDone(error)) = committed {
            return Err(error.into());
        }
        blob.keep();
        let previous = state.parts.insert(number, Part { md5, modified_ms, blob });
        committed?;
        if let Some(previous) = previous {
            previous.blob.condemn();
        }
        Ok(info)
    }

    fn complete_upload(
        &self,
        bucket: &Bucket,
        upload: &Upload,
        choices: &[PartChoice],
        size: Option<u64>,
        conditions: &WriteConditions,
    ) -> Result<Arc<Object>, StoreError> {
        let mut state = upload.state.lock();
        if state.closed {
            return Err(StoreError::NoSuchUpload);
        }
        let chosen = choose(&state.parts, choices)?;
        let actual = chosen.iter().map(|(_, part)| part.blob.size).sum();
        if let Some(declared) = size.filter(|declared| *declared != actual) {
            return Err(StoreError::SizeMismatch { declared, actual });
        }
        let draft = Draft {
            etag: etag_of(&chosen)?,
            blobs: chosen.iter().map(|(_, part)| Arc::clone(&part.blob)).collect(),
            attributes: upload.record.attributes.clone(),
        };
        let committed = self.commit_object(bucket, &upload.record.key, draft, conditions);
        if committed.is_err() && is_made_of(bucket, &upload.record.key, &chosen) {
            // Visible, though perhaps not for good: an abort must not take the parts away.
            state.closed = true;
            self.uploads.lock().remove(&upload.id);
        }
        let object = committed?;
        // From here on it is a success. A folder that stays is recognized as completed on the next
        // open, since its parts belong to an object.
        let used: BTreeSet<u16> = chosen.iter().map(|(number, _)| *number).collect();
        state.closed = true;
        let unused = std::mem::take(&mut state.parts).into_iter().filter(|(number, _)| !used.contains(number));
        self.uploads.lock().remove(&upload.id);
        match self.disk.remove_dir(&self.disk.uploads_dir(), &upload.id) {
            Ok(()) => unused.for_each(|(_, part)| part.blob.condemn()),
            Err(error) => {
                tracing::warn!(?error, upload = %upload.id, "completed upload is cleaned up on the next start");
            }
        }
        Ok(object)
    }

    fn abort_upload(&self, upload: &Upload) -> Result<(), StoreError> {
        let mut state = upload.state.lock();
        if state.closed {
            return Err(StoreError::NoSuchUpload);
        }
        let removed = self.disk.remove_dir(&self.disk.uploads_dir(), &upload.id);
        if let Err(CommitError::NotDone(error)) = removed {
            return Err(error.into());
        }
        state.closed = true;
        self.uploads.lock().remove(&upload.id);
        let parts = std::mem::take(&mut state.parts);
        removed?;
        parts.values().for_each(|part| part.blob.condemn());
        Ok(())
    }

    pub(super) fn abort_uploads_of(&self, bucket: &str) {
        let of_bucket: Vec<_> =
            self.uploads.lock().values().filter(|upload| upload.record.bucket == bucket).cloned().collect();
        for upload in of_bucket {
            if let Err(error) = self.abort_upload(&upload) {
                tracing::warn!(%error, upload = %upload.id, "upload of a deleted bucket is cleaned up on the next start");
            }
        }
    }
}

fn is_made_of(bucket: &Bucket, key: &str, chosen: &[(u16, Part)]) -> bool {
    let first = chosen.first().map(|(_, part)| part.blob.id);
    bucket.object(key).is_some_and(|object| object.blobs.first().map(|blob| blob.id) == first)
}

pub(super) fn part_name(number: u16) -> String {
    format!("part-{number:05}.json")
}

fn choose(parts: &BTreeMap<u16, Part>, choices: &[PartChoice]) -> Result<Vec<(u16, Part)>, StoreError> {
    let mut chosen: Vec<(u16, Part)> = Vec::with_capacity(choices.len());
    for choice in choices {
        let invalid = || StoreError::InvalidPart(choice.number);
        let number = u16::try_from(choice.number).map_err(|_| invalid())?;
        if let Some((previous, part)) = chosen.last() {
            if *previous >= number {
                return Err(StoreError::InvalidPartOrder);
            }
            if part.blob.size < MIN_PART {
                return Err(StoreError::PartTooSmall(*previous));
            }
        }
        let part = parts.get(&number).ok_or_else(invalid)?;
        if choice.etag.as_ref().is_some_and(|wanted| *wanted != hex::encode(part.md5)) {
            return Err(invalid());
        }
        chosen.push((number, part.clone()));
    }
    Ok(chosen)
}

fn etag_of(chosen: &[(u16, Part)]) -> Result<Etag, StoreError> {
    let mut md5 = Md5::new();
    for (_, part) in chosen {
        md5.update(&part.md5);
    }
    let parts = u32::try_from(chosen.len()).map_err(std::io::Error::other)?;
    Ok(Etag { md5: md5.finalize(), parts })
}
