use std::collections::BTreeMap;

use futures_util::{StreamExt as _, stream};

use super::manifest::{BackupManifest, PREFIX, object_key_of};
use crate::object_store::{ObjectStore, PLATFORM_BUCKET, StoreResult};

/// Objects asked for at once.
const PAGE: i32 = 1000;
/// A manifest names every table of a database.
const LARGEST_MANIFEST: usize = 16 << 20;
/// Manifests read at once.
const PARALLEL: usize = 8;

/// A backup as storage alone tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBackup {
    pub object_key: String,
    pub manifest_key: String,
    pub manifest: BackupManifest,
}

/// Every backup whose dump and manifest are in storage, newest first. Needs no database.
pub async fn stored_backups(store: &ObjectStore) -> StoreResult<Vec<StoredBackup>> {
    let objects = objects(store).await?;
    let mut backups = read_manifests(store, complete(&objects)).await?;
    backups.sort_by(|a, b| b.manifest.created_at.cmp(&a.manifest.created_at).then(b.object_key.cmp(&a.object_key)));
    Ok(backups)
}

/// Keys of all objects of backups, with their sizes; empty where there is no bucket yet.
pub(super) async fn objects(store: &ObjectStore) -> StoreResult<BTreeMap<String, i64>> {
    let mut objects = BTreeMap::new();
    let mut token: Option<String> = None;
    loop {
        let page = match store.list_page(PLATFORM_BUCKET, PREFIX, PAGE, token.as_deref()).await {
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

/// Keys of the manifests whose dump is there.
pub(super) fn complete(objects: &BTreeMap<String, i64>) -> Vec<String> {
    objects
        .keys()
        .filter(|key| object_key_of(key).is_some_and(|object_key| objects.contains_key(&object_key)))
        .cloned()
        .collect()
}

/// Reads manifests; what can't be understood is logged and left out, and so is what is removed meanwhile.
pub(super) async fn read_manifests(store: &ObjectStore, keys: Vec<String>) -> StoreResult<Vec<StoredBackup>> {
    let read: Vec<StoreResult<Option<StoredBackup>>> =
        stream::iter(keys).map(|key| read_manifest(store, key)).buffer_unordered(PARALLEL).collect().await;
    let read: StoreResult<Vec<Option<StoredBackup>>> = read.into_iter().collect();
    Ok(read?.into_iter().flatten().collect())
}

/// None where it is gone or can't be understood.
pub(super) async fn read_manifest(store: &ObjectStore, manifest_key: String) -> StoreResult<Option<StoredBackup>> {
    let Some(object_key) = object_key_of(&manifest_key) else { return Ok(None) };
    let text = match store.get_small(PLATFORM_BUCKET, &manifest_key, LARGEST_MANIFEST).await {
        Err(error) if error.is_not_found() => return Ok(None),
        text => text?,
    };
    let manifest = serde_json::from_slice::<BackupManifest>(&text).map_err(|error| error.to_string());
    match manifest.and_then(|manifest| manifest.check().map(|_| manifest)) {
        Ok(manifest) => Ok(Some(StoredBackup { object_key, manifest_key, manifest })),
        Err(problem) => {
            tracing::warn!(key = manifest_key, problem, "a backup's manifest can't be understood, so it isn't listed");
            Ok(None)
        }
    }
}
