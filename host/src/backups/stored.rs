//! Lists the backups that are in the object store, from their manifests.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, stream};

use super::manifest::{BackupManifest, PREFIX, object_key_of};
use crate::object_store::{ObjectStore, PLATFORM_BUCKET, StoreError, StoreResult};

const PAGE_SIZE: i32 = 1000;
/// Maximum size of a manifest. A manifest lists every table of a database.
pub(super) const MAX_MANIFEST_BYTES: usize = 16 << 20;
/// Maximum number of manifests that are read at the same time.
const MAX_PARALLEL_READS: usize = 8;

/// A backup as described by the object store alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBackup {
    pub object_key: String,
    pub manifest_key: String,
    pub manifest: BackupManifest,
}

/// Lists every backup whose dump and manifest are in the bucket, newest first. Needs no database.
///
/// # Errors
/// Fails if the store can't be read. Invalid manifests are logged and skipped.
pub async fn list_stored_backups(store: &ObjectStore) -> StoreResult<Vec<StoredBackup>> {
    let objects = list_objects(store).await?;
    let mut backups = read_manifests(store, complete_manifests(&objects)).await?;
    backups.sort_by(|a, b| b.manifest.created_at.cmp(&a.manifest.created_at).then(b.object_key.cmp(&a.object_key)));
    Ok(backups)
}

/// Returns the keys and the sizes in bytes of all files of backups. Returns an empty map if the bucket doesn't exist
/// yet.
pub(super) async fn list_objects(store: &ObjectStore) -> StoreResult<BTreeMap<String, i64>> {
    let mut objects = BTreeMap::new();
    let mut token: Option<String> = None;
    loop {
        let page = match store.list_page(PLATFORM_BUCKET, PREFIX, PAGE_SIZE, token.as_deref()).await {
            Err(error) if error.is_not_found() => return Ok(objects),
            page => page?,
        };
        objects.extend(page.objects.into_iter().map(|object| (object.key, object.size)));
        token = page.next;
        if token.is_none() {
            return Ok(objects);
        }
    }
}

/// Returns the keys of the manifests whose dump exists.
pub(super) fn complete_manifests(objects: &BTreeMap<String, i64>) -> Vec<String> {
    objects
        .keys()
        .filter(|key| object_key_of(key).is_some_and(|object_key| objects.contains_key(&object_key)))
        .cloned()
        .collect()
}

/// Reads manifests. Logs and skips invalid manifests. Skips manifests that were removed in the meantime.
pub(super) async fn read_manifests(store: &ObjectStore, keys: Vec<String>) -> StoreResult<Vec<StoredBackup>> {
    let read: Vec<StoreResult<Option<StoredBackup>>> =
        stream::iter(keys).map(|key| read_manifest(store, key)).buffer_unordered(MAX_PARALLEL_READS).collect().await;
    let read: StoreResult<Vec<Option<StoredBackup>>> = read.into_iter().collect();
    Ok(read?.into_iter().flatten().collect())
}

/// Reads a manifest. Returns `None` if it is missing or invalid.
pub(super) async fn read_manifest(store: &ObjectStore, manifest_key: String) -> StoreResult<Option<StoredBackup>> {
    let Some(object_key) = object_key_of(&manifest_key) else { return Ok(None) };
    let manifest = match store.get_small(PLATFORM_BUCKET, &manifest_key, MAX_MANIFEST_BYTES).await {
        Err(error) if error.is_not_found() => return Ok(None),
        Err(StoreError::TooLarge { max_bytes, .. }) => Err(format!("it has more than {max_bytes} bytes")),
        text => serde_json::from_slice::<BackupManifest>(&text?).map_err(|error| error.to_string()),
    };
    match manifest.and_then(|manifest| manifest.check().map(|_| manifest)) {
        Ok(manifest) => Ok(Some(StoredBackup { object_key, manifest_key, manifest })),
        Err(problem) => {
            tracing::warn!(key = manifest_key, problem, "a backup's manifest is invalid");
            Ok(None)
        }
    }
}
