//! The catalogue: the table `backups`, synchronized with the bucket.

use std::collections::HashSet;

use api_types::BackupState;
use sqlx::PgPool;

use super::{
    Identities,
    manifest::backup_id,
    objects::{ManifestObjects, ObjectCopies},
    queries::{self, BackupRow},
    stored,
};
use crate::{
    db::restore::Restorer,
    object_store::{ObjectStore, StoreError},
    plugins::CatalogueError,
};

/// The catalogue of backups: the table `backups`. Cheap to clone.
#[derive(Clone)]
pub struct Catalogue {
    pub(super) platform: PgPool,
    pub(super) store: ObjectStore,
    pub(super) restorer: Restorer,
    pub(super) identities: Identities,
    pub(super) objects: ObjectCopies,
}

impl Catalogue {
    pub fn new(objects: ObjectCopies, restorer: Restorer, identities: Identities) -> Self {
        Self { platform: objects.platform.clone(), store: objects.store.clone(), restorer, identities, objects }
    }

    /// Synchronizes the table with the bucket. Marks entries as `missing` if their dump is gone, and as present if the
    /// dump is back. Adds an entry for each valid manifest that has a dump but no entry, and completes the entries of
    /// older versions. Safe to call at any time, and on several nodes at once.
    ///
    /// # Errors
    /// Returns `Unavailable` if the platform database or the object store is unavailable.
    pub async fn sync_with_storage(&self) -> Result<(), CatalogueError> {
        // The table is read before the bucket, because an entry is inserted after its dump was stored. In the opposite
        // order, a backup that is completed in between would be marked as missing.
        let rows = queries::catalogue_keys(&self.platform).await.map_err(database_error)?;
        let objects = stored::list_objects(&self.store).await.map_err(storage_error)?;
        let (mut lost, mut recovered) = (Vec::new(), Vec::new());
        for row in &rows {
            match (objects.contains_key(&row.object_key), row.state) {
                (false, BackupState::Ready | BackupState::Verified) => lost.push(row.id),
                (true, BackupState::Missing) => recovered.push(row.id),
                _ => {}
            }
        }
        if !lost.is_empty() {
            let count = queries::mark_missing(&self.platform, &lost).await.map_err(database_error)?;
            tracing::warn!(count, "dumps of backups are missing in the object store");
        }
        if !recovered.is_empty() {
            queries::mark_found(&self.platform, &recovered).await.map_err(database_error)?;
        }
        // Entries of older versions lack the number of rows, so their manifests are read again.
        let complete = rows.iter().filter(|row| row.has_row_count);
        let known: HashSet<&str> = complete.map(|row| row.manifest_key.as_str()).collect();
        let listed: HashSet<&str> = rows.iter().map(|row| row.manifest_key.as_str()).collect();
        let unknown = stored::complete_manifests(&objects);
        let unknown = unknown.into_iter().filter(|key| !known.contains(key.as_str())).collect();
        for backup in stored::read_manifests(&self.store, unknown).await.map_err(storage_error)? {
            let manifest = backup.manifest;
            let row_count = Some(manifest.row_count());
            let objects = manifest.objects.as_ref().map(ManifestObjects::to_wire);
            let row = BackupRow {
                id: backup_id(&backup.object_key),
                target: manifest.target,
                title: manifest.title,
                created_at: manifest.created_at,
                // `read_manifests` checked the range.
                size_bytes: i64::try_from(manifest.size_bytes).unwrap_or(i64::MAX),
                sha256: manifest.sha256,
                state: BackupState::Ready,
                object_key: backup.object_key,
                manifest_key: backup.manifest_key,
                run_id: manifest.run_id.and_then(|id| id.parse().ok()),
                verified_at: None,
                failed_at: None,
                failure: None,
                row_count,
                encrypted: manifest.encrypted,
                object_count: objects.as_ref().map(|objects| objects.count),
                object_bytes: objects.as_ref().map(|objects| objects.size_bytes),
            };
            queries::insert(&self.platform, &row).await.map_err(database_error)?;
            if !listed.contains(row.manifest_key.as_str()) {
                tracing::info!(key = row.object_key, "added a backup to the catalogue from its manifest");
            }
        }
        Ok(())
    }
}

pub(super) fn database_error(error: sqlx::Error) -> CatalogueError {
    CatalogueError::Unavailable { what: "the platform database", cause: error.into() }
}

pub(super) fn storage_error(error: StoreError) -> CatalogueError {
    CatalogueError::Unavailable { what: "the object store", cause: error.into() }
}
