//! Table and storage brought together.

use std::collections::HashSet;

use async_trait::async_trait;
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    manifest::{are_beside, backup_id, is_sha256},
    queries::{self, BackupRow},
    stored,
};
use crate::{
    db::{DatabaseName, restore::Restorer},
    jobs::Runs,
    object_store::{ObjectStore, PLATFORM_BUCKET, StoreError},
    plugins::{BackupCatalogue, BackupVerification, CatalogueEntry, CatalogueError, NewBackup, RunLease},
};

/// The catalogue of backups. Cheap to clone.
#[derive(Clone)]
pub struct Catalogue {
    pub(super) platform: PgPool,
    pub(super) store: ObjectStore,
    pub(super) restorer: Restorer,
}

impl Catalogue {
    pub fn new(platform: PgPool, store: ObjectStore, restorer: Restorer) -> Self {
        Self { platform, store, restorer }
    }

    /// Brings the table in line with storage: a dump that is gone makes its entry `missing`, a manifest that the table
    /// doesn't know becomes an entry. Safe at any time and on several nodes at once.
    pub async fn compare_with_storage(&self) -> Result<(), CatalogueError> {
        // The table first: what is recorded after this was in storage before that.
        let rows = queries::keys(&self.platform).await.map_err(database)?;
        let objects = stored::objects(&self.store).await.map_err(storage)?;
        let (there, gone): (Vec<_>, Vec<_>) =
            rows.iter().partition(|(_, object_key, ..)| objects.contains_key(object_key));
        let ids = |rows: Vec<&(Uuid, String, String, String)>, missing: bool| -> Vec<Uuid> {
            rows.into_iter().filter(|row| (row.3 == "missing") == missing).map(|row| row.0).collect()
        };
        let (found, lost) = (ids(there, true), ids(gone, false));
        if !lost.is_empty() {
            let count = queries::mark_missing(&self.platform, &lost).await.map_err(database)?;
            tracing::warn!(count, "dumps of backups are gone from storage");
        }
        if !found.is_empty() {
            queries::mark_found(&self.platform, &found).await.map_err(database)?;
        }
        let known: HashSet<&str> = rows.iter().map(|(_, _, manifest_key, _)| manifest_key.as_str()).collect();
        let unknown = stored::complete(&objects).into_iter().filter(|key| !known.contains(key.as_str())).collect();
        for backup in stored::read_manifests(&self.store, unknown).await.map_err(storage)? {
            let manifest = backup.manifest;
            let row = BackupRow {
                id: backup_id(&backup.object_key),
                target: manifest.target,
                title: manifest.title,
                created_at: manifest.created_at,
                // Checked when it was read.
                size_bytes: i64::try_from(manifest.size_bytes).unwrap_or(i64::MAX),
                sha256: manifest.sha256,
                state: "ready".to_owned(),
                object_key: backup.object_key,
                manifest_key: backup.manifest_key,
                run_id: manifest.run_id.and_then(|id| id.parse().ok()),
                verified_at: None,
            };
            queries::insert(&self.platform, &row).await.map_err(database)?;
            tracing::info!(key = row.object_key, "a backup was put into the catalogue from its manifest");
        }
        Ok(())
    }

    /// Dump and manifest must be there, as they are said to be.
    async fn check(&self, backup: &NewBackup) -> Result<(), CatalogueError> {
        let invalid = |problem: String| Err(CatalogueError::Invalid(problem));
        if !are_beside(&backup.object_key, &backup.manifest_key) {
            return invalid(
                "a backup's keys are `backups/….dump` and `backups/….json`, the same but for the ending".to_owned(),
            );
        }
        if !is_sha256(&backup.sha256) {
            return invalid("`sha256` is not 64 hexadecimal digits in lower case".to_owned());
        }
        let (dump, manifest) = tokio::join!(
            self.store.head(PLATFORM_BUCKET, &backup.object_key),
            self.store.head(PLATFORM_BUCKET, &backup.manifest_key)
        );
        match (dump.map_err(storage)?, manifest.map_err(storage)?) {
            (Some(dump), Some(_)) if u64::try_from(dump.size) == Ok(backup.size_bytes) => Ok(()),
            (Some(dump), Some(_)) => {
                invalid(format!("the dump in storage has {} bytes, not {}", dump.size, backup.size_bytes))
            }
            (None, _) => invalid("the dump is not in storage; commit it first".to_owned()),
            (_, None) => invalid("the manifest is not in storage; put it first".to_owned()),
        }
    }

    /// The project's name, where there is the project.
    async fn title(&self, target: &DatabaseName) -> Result<Option<String>, CatalogueError> {
        let DatabaseName::Project(id) = target else { return Ok(None) };
        sqlx::query_scalar("SELECT name FROM projects WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.platform)
            .await
            .map_err(database)
    }
}

#[async_trait]
impl BackupCatalogue for Catalogue {
    async fn record(&self, backup: NewBackup, run: RunLease) -> Result<Uuid, CatalogueError> {
        self.check(&backup).await?;
        let row = BackupRow {
            id: backup_id(&backup.object_key),
            title: self.title(&backup.target).await?,
            target: backup.target.to_string(),
            created_at: backup.created_at,
            size_bytes: i64::try_from(backup.size_bytes)
                .map_err(|_| CatalogueError::Invalid("`size-bytes` is out of range".to_owned()))?,
            sha256: backup.sha256,
            state: "ready".to_owned(),
            object_key: backup.object_key,
            manifest_key: backup.manifest_key,
            run_id: Some(run.run_id),
            verified_at: None,
        };
        let mut transaction = self.platform.begin().await.map_err(database)?;
        if !Runs::lock_lease(&mut transaction, run.run_id, run.lease).await.map_err(database)? {
            return Err(CatalogueError::LeaseLost);
        }
        queries::insert(&mut *transaction, &row).await.map_err(database)?;
        transaction.commit().await.map_err(database)?;
        tracing::info!(target = row.target, bytes = row.size_bytes, key = row.object_key, "backed up");
        Ok(row.id)
    }

    async fn list(&self, target: Option<&DatabaseName>) -> Result<Vec<CatalogueEntry>, CatalogueError> {
        // What is gone must not count when somebody decides what to keep.
        self.compare_with_storage().await?;
        let target = target.map(ToString::to_string);
        let rows = queries::present_backups(&self.platform, target.as_deref()).await.map_err(database)?;
        Ok(rows.into_iter().filter_map(entry).collect())
    }

    async fn find(&self, id: Uuid) -> Result<CatalogueEntry, CatalogueError> {
        let row = queries::backup(&self.platform, id).await.map_err(database)?;
        row.and_then(entry).ok_or(CatalogueError::NotFound)
    }

    async fn verify(&self, id: Uuid, run: RunLease) -> Result<BackupVerification, CatalogueError> {
        self.verify_for_run(id, run).await
    }

    async fn remove(&self, id: Uuid) -> Result<(), CatalogueError> {
        let row = queries::backup(&self.platform, id).await.map_err(database)?.ok_or(CatalogueError::NotFound)?;
        // The entry last: a failure on the way leaves something to remove again.
        for key in [&row.object_key, &row.manifest_key] {
            match self.store.delete(PLATFORM_BUCKET, key).await {
                Err(error) if !error.is_not_found() => return Err(storage(error)),
                _ => {}
            }
        }
        queries::delete(&self.platform, id).await.map_err(database)?;
        tracing::info!(target = row.target, key = row.object_key, "removed a backup");
        Ok(())
    }
}

/// None for a row that the table's own check would not admit.
fn entry(row: BackupRow) -> Option<CatalogueEntry> {
    Some(CatalogueEntry {
        id: row.id,
        target: row.target.parse().ok()?,
        object_key: row.object_key,
        manifest_key: row.manifest_key,
        size_bytes: row.size_bytes.unsigned_abs(),
        sha256: row.sha256,
        created_at: row.created_at,
    })
}

fn database(error: sqlx::Error) -> CatalogueError {
    CatalogueError::Unavailable { what: "the platform database", cause: error.into() }
}

fn storage(error: StoreError) -> CatalogueError {
    CatalogueError::Unavailable { what: "the object store", cause: error.into() }
}
