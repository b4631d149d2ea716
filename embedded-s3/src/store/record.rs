//! Contents of the metadata files, and objects in memory.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use s3s::crypto::{Checksum as _, Sha256};
use serde::{Deserialize, Serialize};

use super::blob::Blob;
use super::checksum::{StoredChecksum, UploadChecksum};
use super::disk::BlobId;

/// Headers that are stored with an object and returned unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Attributes {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_disposition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_language: Option<String>,
    /// `Expires`, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// User metadata: the headers `x-amz-meta-*`, by name without that prefix.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub user: BTreeMap<String, String>,
}

/// ETag: the MD5 of the bytes, or, for a multipart object, the MD5 of the parts' MD5s and the number of parts. A part
/// may have a CRC-64 and its length instead of an MD5 (see `Expectations::allows_crc_etag`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Etag {
    pub md5: [u8; 16],
    /// Number of parts; 0 for an object that was not uploaded in parts.
    pub parts: u32,
}

impl fmt::Display for Etag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let md5 = hex::encode(self.md5);
        if self.parts == 0 { formatter.write_str(&md5) } else { write!(formatter, "{md5}-{}", self.parts) }
    }
}

impl FromStr for Etag {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (hex, parts) = match text.split_once('-') {
            Some((hex, parts)) => (hex, parts.parse().map_err(|_| hex::FromHexError::InvalidStringLength)?),
            None => (text, 0),
        };
        let mut md5 = [0; 16];
        hex::decode_to_slice(hex, &mut md5)?;
        Ok(Self { md5, parts })
    }
}

/// A committed object. Immutable: an overwrite creates a new object.
#[derive(Debug)]
pub(crate) struct Object {
    pub etag: Etag,
    pub modified_ms: u64,
    pub size: u64,
    /// The blobs in order: one per part if the object was uploaded in parts.
    pub blobs: Box<[Arc<Blob>]>,
    pub attributes: Arc<Attributes>,
    pub checksum: Option<Box<StoredChecksum>>,
    /// ID of the multipart upload that became the object.
    pub upload_id: Option<Box<str>>,
}

impl Object {
    /// Returns the checksum of one part, counted from 0. An object that was not uploaded in parts counts as one part.
    pub(crate) fn part_checksum(&self, index: usize) -> Option<StoredChecksum> {
        let checksum = self.checksum.as_deref()?;
        if self.etag.parts == 0 { Some(checksum.clone()) } else { checksum.of_part(index) }
    }
}

/// Metadata file of an object.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ObjectRecord {
    pub key: String,
    pub etag: String,
    pub modified_ms: u64,
    pub blobs: Vec<BlobRecord>,
    #[serde(default)]
    pub attributes: Attributes,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<Box<StoredChecksum>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_id: Option<Box<str>>,
}

/// Reference to a blob.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct BlobRecord {
    pub id: BlobId,
    pub size: u64,
}

impl From<&Arc<Blob>> for BlobRecord {
    fn from(blob: &Arc<Blob>) -> Self {
        Self { id: blob.id, size: blob.size }
    }
}

impl ObjectRecord {
    pub(super) fn new(key: &str, object: &Object) -> Self {
        Self {
            key: key.to_owned(),
            etag: object.etag.to_string(),
            modified_ms: object.modified_ms,
            blobs: object.blobs.iter().map(BlobRecord::from).collect(),
            attributes: Attributes::clone(&object.attributes),
            checksum: object.checksum.clone(),
            upload_id: object.upload_id.clone(),
        }
    }
}

/// Metadata file of a bucket.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct BucketRecord {
    pub created_ms: u64,
    /// The CORS configuration that a client stored. It is returned on request and has no effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<serde_json::Value>,
}

/// Metadata file of an open multipart upload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UploadRecord {
    pub bucket: String,
    pub key: String,
    pub initiated_ms: u64,
    #[serde(default)]
    pub attributes: Attributes,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<UploadChecksum>,
}

/// Metadata file of an uploaded part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PartRecord {
    pub number: u16,
    #[serde(with = "hex::serde")]
    pub md5: [u8; 16],
    pub modified_ms: u64,
    pub blob: BlobRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<StoredChecksum>,
}

/// Returns the folder and the file name of a key's metadata within its bucket. Both names are derived from a hash,
/// because keys must not become part of a path.
pub(crate) fn record_location(key: &str) -> (String, String) {
    let digest = hex::encode(Sha256::checksum(key.as_bytes()));
    (digest.get(..2).unwrap_or_default().to_owned(), format!("{digest}.json"))
}

/// Shares equal attributes in memory. There are many objects, and most have the same few attributes.
#[derive(Debug, Default)]
pub(crate) struct AttributePool {
    entries: Mutex<PoolEntries>,
}

#[derive(Debug, Default)]
struct PoolEntries {
    shared: HashSet<Arc<Attributes>>,
    /// Number of entries at which unused entries are removed.
    sweep_at: usize,
}

impl AttributePool {
    pub(super) fn share(&self, attributes: Attributes) -> Arc<Attributes> {
        let mut pool = self.entries.lock();
        if let Some(existing) = pool.shared.get(&attributes) {
            return Arc::clone(existing);
        }
        if pool.shared.len() >= pool.sweep_at {
            pool.shared.retain(|entry| Arc::strong_count(entry) > 1);
            pool.sweep_at = pool.shared.len().saturating_mul(2).max(64);
        }
        let attributes = Arc::new(attributes);
        pool.shared.insert(Arc::clone(&attributes));
        attributes
    }
}

/// Returns the current time in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn system_time(milliseconds: u64) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds)).unwrap_or(UNIX_EPOCH)
}
