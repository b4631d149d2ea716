//! The catalogue's operations for plugins: records, lists, finds, verifies and removes backups, and copies the objects
//! of projects for them.

use api_types::BackupState;
use async_trait::async_trait;
use sqlx::PgPool;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::{
    Catalogue,
    catalogue::{database_error, storage_error},
    manifest::{backup_id, belong_together, is_sha256},
    objects::{self, ManifestObjects, ObjectsError},
    queries::{self, BackupRow},
    stored::{self, MAX_MANIFEST_BYTES},
    verify::verify_for_run,
};
use crate::{
    db::DatabaseName,
    jobs::Runs,
    object_store::{ObjectStore, PLATFORM_BUCKET},
    plugins::{
        BackupCatalogue, BackupVerification, CatalogueEntry, CatalogueError, CopiedObjects, NewBackup, OnObject,
        RunLease,
    },
};

#[async_trait]
impl BackupCatalogue for Catalogue {
    async fn record(&self, backup: NewBackup, run: RunLease) -> Result<Uuid, CatalogueError> {
        check(&self.store, &backup).await?;
        let stored = stored::read_manifest(&self.store, backup.manifest_key.clone()).await.map_err(storage_error)?;
        let objects = stored.as_ref().and_then(|stored| stored.manifest.objects.as_ref());
        let objects = objects.map(ManifestObjects::to_wire);
        let row = BackupRow {
            id: backup_id(&backup.object_key),
            title: title(&self.platform, &backup.target).await?,
            target: backup.target.to_string(),
            created_at: backup.created_at,
            size_bytes: i64::try_from(backup.size_bytes)
                .map_err(|_| CatalogueError::Invalid("`size-bytes` is out of range".to_owned()))?,
            sha256: backup.sha256,
            state: BackupState::Ready,
            object_key: backup.object_key,
            manifest_key: backup.manifest_key,
            run_id: Some(run.run_id),
            verified_at: None,
            failed_at: None,
            failure: None,
            row_count: stored.as_ref().map(|stored| stored.manifest.row_count()),
            encrypted: stored.as_ref().is_some_and(|stored| stored.manifest.encrypted),
            object_count: objects.as_ref().map(|objects| objects.count),
            object_bytes: objects.as_ref().map(|objects| objects.size_bytes),
        };
        let mut transaction = self.platform.begin().await.map_err(database_error)?;
        if !Runs::lock_lease(&mut transaction, run.run_id, run.lease).await.map_err(database_error)? {
            return Err(CatalogueError::LeaseLost);
        }
        queries::insert(&mut *transaction, &row).await.map_err(database_error)?;
        transaction.commit().await.map_err(database_error)?;
        tracing::info!(target = row.target, bytes = row.size_bytes, key = row.object_key, "recorded a backup");
        Ok(row.id)
    }

    async fn copy_objects(
        &self,
        project: &str,
        manifest_key: &str,
        on_object: OnObject,
    ) -> Result<CopiedObjects, CatalogueError> {
        let (copies, project, key) = (self.objects.clone(), project.to_owned(), manifest_key.to_owned());
        // The work has its own task, so that hashing doesn't count as the plugin's CPU time. The task is aborted when
        // the call is dropped.
        let copying = tokio::spawn(async move { copies.copy_all(&project, &key, &*on_object).await });
        Ok(AbortOnDropHandle::new(copying).await.map_err(ObjectsError::from)??)
    }

    async fn list(&self, target: Option<&DatabaseName>) -> Result<Vec<CatalogueEntry>, CatalogueError> {
        // Retention must not count backups whose dump is gone.
        self.sync_with_storage().await?;
        let target = target.map(ToString::to_string);
        let rows = queries::present_backups(&self.platform, target.as_deref()).await.map_err(database_error)?;
        Ok(rows.into_iter().filter_map(entry).collect())
    }

    async fn find(&self, id: Uuid) -> Result<CatalogueEntry, CatalogueError> {
        let row = queries::backup(&self.platform, id).await.map_err(database_error)?;
        row.and_then(entry).ok_or(CatalogueError::NotFound)
    }

    async fn verify(&self, id: Uuid, run: RunLease) -> Result<BackupVerification, CatalogueError> {
        verify_for_run(self, id, run).await
    }

    async fn remove(&self, id: Uuid) -> Result<(), CatalogueError> {
        let row = queries::backup(&self.platform, id).await.map_err(database_error)?.ok_or(CatalogueError::NotFound)?;
        // The entry is deleted last, so that a failed removal can be repeated.
        for key in [&row.object_key, &row.manifest_key] {
            match self.store.delete(PLATFORM_BUCKET, key).await {
                Err(error) if !error.is_not_found() => return Err(storage_error(error)),
                _ => {}
            }
        }
        // The next sweep removes the copies of the backup's objects, unless another backup refers to them.
        if let Some(keys) = objects::extra_keys(&row.manifest_key).filter(|_| row.object_count.is_some()) {
            self.objects.remove_files(&keys).await.map_err(storage_error)?;
        }
        queries::delete(&self.platform, id).await.map_err(database_error)?;
        tracing::info!(target = row.target, key = row.object_key, "removed a backup");
        Ok(())
    }
}

/// Checks the keys and the form of the hash, that the dump and the manifest are in the bucket, that the dump has the
/// given size, and that the manifest is not too large to be read again.
async fn check(store: &ObjectStore, backup: &NewBackup) -> Result<(), CatalogueError> {
    let invalid = |problem: String| Err(CatalogueError::Invalid(problem));
    if !belong_together(&backup.object_key, &backup.manifest_key) {
        return invalid(
            "a backup's keys must be `backups/NAME.dump` and `backups/NAME.json` with the same NAME".to_owned(),
        );
    }
    if !is_sha256(&backup.sha256) {
        return invalid("`sha256` must be 64 lowercase hexadecimal digits".to_owned());
    }
    let (dump, manifest) = tokio::join!(
        store.head(PLATFORM_BUCKET, &backup.object_key),
        store.head(PLATFORM_BUCKET, &backup.manifest_key)
    );
    match (dump.map_err(storage_error)?, manifest.map_err(storage_error)?) {
        (Some(_), Some(manifest)) if usize::try_from(manifest.size).is_ok_and(|size| size > MAX_MANIFEST_BYTES) => {
            invalid(format!(
                "the manifest has {} bytes, but at most {MAX_MANIFEST_BYTES} are allowed: the database has too many \
                 tables",
                manifest.size
            ))
        }
        (Some(dump), Some(_)) if u64::try_from(dump.size) == Ok(backup.size_bytes) => Ok(()),
        (Some(dump), Some(_)) => invalid(format!("the stored dump has {} bytes, not {}", dump.size, backup.size_bytes)),
        (None, _) => invalid("the dump is not stored; commit its upload first".to_owned()),
        (_, None) => invalid("the manifest is not stored; store it first".to_owned()),
    }
}

/// Returns the project's name. Returns `None` for the platform, and if the project does not exist.
async fn title(platform: &PgPool, target: &DatabaseName) -> Result<Option<String>, CatalogueError> {
    let DatabaseName::Project(id) = target else { return Ok(None) };
    sqlx::query_scalar("SELECT name FROM projects WHERE id = $1")
        .bind(id)
        .fetch_optional(platform)
        .await
        .map_err(database_error)
}

/// Converts a row to an entry. Returns `None` if the target is invalid, which a constraint of the table prevents.
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
