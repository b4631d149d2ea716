//! Checks that the copies of a backup exist.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{
    ObjectsError,
    bring_back::{checked_list, source_of},
    keys::extra_keys,
    names::{CopyName, NAME_BYTES, copy_key},
};
use crate::{
    backups::StoredBackup,
    object_store::{ObjectBytes, ObjectStore, PLATFORM_BUCKET},
};

/// Maximum number of copies that are looked up at the same time.
const MAX_PARALLEL_LOOKUPS: usize = 8;

/// Checks the list of a backup's objects, and that each of their copies exists. Does not read the copies: a restore
/// compares them with their hashes.
///
/// # Errors
/// Returns `Failed` if the list, the file with the names of the copies or a copy is missing, if the list was changed,
/// or if the number of names is wrong. Returns `Store` if the store is unavailable.
pub(in super::super) async fn check_copies(store: &ObjectStore, backup: &StoredBackup) -> Result<(), ObjectsError> {
    let Some(objects) = &backup.manifest.objects else { return Ok(()) };
    let source = source_of(backup)?;
    checked_list(store, &backup.manifest_key, objects).await?;
    let no_names = || ObjectsError::Failed("the names of the copies of its objects are missing".to_owned());
    let keys = extra_keys(&backup.manifest_key).ok_or_else(no_names)?;
    let (meta, bytes) = store.get(PLATFORM_BUCKET, &keys.names).await?.ok_or_else(no_names)?;
    if meta.size.unsigned_abs() != objects.count.saturating_mul(NAME_BYTES as u64) {
        return Err(ObjectsError::Failed("the number of copies differs from the manifest".to_owned()));
    }
    let (mut names, mut missing) = (NameReader::new(bytes), 0_u64);
    loop {
        let batch = names.next().await?;
        if batch.is_empty() {
            break;
        }
        let mut lookups = Vec::with_capacity(batch.len());
        for name in &batch {
            let key = copy_key(&source, name);
            lookups.push(async move { store.head(PLATFORM_BUCKET, &key).await });
        }
        let found: Vec<_> = stream::iter(lookups).buffered(MAX_PARALLEL_LOOKUPS).try_collect().await?;
        missing += found.iter().filter(|copy| copy.is_none()).count() as u64;
    }
    match missing {
        0 => Ok(()),
        missing => Err(ObjectsError::Failed(format!(
            "copies of its objects that are missing in the object store: {missing} of {}",
            objects.count
        ))),
    }
}

/// Reads a file with the names of copies.
pub(super) struct NameReader {
    bytes: ObjectBytes,
    rest: Vec<u8>,
}

impl NameReader {
    pub(super) fn new(bytes: ObjectBytes) -> Self {
        Self { bytes, rest: Vec::new() }
    }

    /// Returns the next names. Returns an empty vector at the end.
    pub(super) async fn next(&mut self) -> Result<Vec<CopyName>, ObjectsError> {
        while let Some(chunk) = self.bytes.next().await {
            self.rest.extend_from_slice(&chunk?);
            if self.rest.len() >= NAME_BYTES {
                let (names, rest) = self.rest.as_chunks::<NAME_BYTES>();
                let (names, rest) = (names.to_vec(), rest.to_vec());
                self.rest = rest;
                return Ok(names);
            }
        }
        if self.rest.is_empty() {
            return Ok(Vec::new());
        }
        Err(ObjectsError::Failed("a file with names of copies was cut short".to_owned()))
    }
}
