//! The operations on exports and imports for plugins.

use std::any::Any;

use async_trait::async_trait;
use uuid::Uuid;

use super::{
    Transfers,
    exports::{self, queries},
};
use crate::{
    db::DatabaseName,
    error::describe_cause,
    jobs::Runs,
    object_store::PLATFORM_BUCKET,
    plugins::{
        ImportFile, LoadMethod, LoadedImport, OpenExport, RunLease, StoredExport, TransferError, TransferProgress,
        TransferService, guest::streams::ByteStream,
    },
};

const EXPORT: TransferError = TransferError::NotFound("export");

#[async_trait]
impl TransferService for Transfers {
    async fn export_database(&self, id: Uuid) -> Result<DatabaseName, TransferError> {
        let export = queries::export(&self.platform, id).await.map_err(platform_error)?;
        Ok(export.ok_or(EXPORT)?.database())
    }

    async fn open_export(
        &self,
        id: Uuid,
        run: RunLease,
        permit: Box<dyn Any + Send>,
    ) -> Result<OpenExport, TransferError> {
        let export = queries::export(&self.platform, id).await.map_err(platform_error)?.ok_or(EXPORT)?;
        let mut transaction = self.platform.begin().await.map_err(platform_error)?;
        if !Runs::lock_lease(&mut transaction, run.run_id, run.lease).await.map_err(platform_error)? {
            return Err(TransferError::LeaseLost);
        }
        if !queries::claim(&mut *transaction, id, run.run_id).await.map_err(platform_error)? {
            return Err(TransferError::Conflict("the export is already ready; start another one".to_owned()));
        }
        transaction.commit().await.map_err(platform_error)?;
        let progress = self.running.begin(run.run_id);
        let (content, outcome) = exports::open(&self.databases, &self.data, &export, progress, permit).await?;
        let content_type = exports::content_type(export.format, export.gzip);
        Ok(OpenExport { object_key: export.object_key, content_type, content, outcome })
    }

    async fn record_export(&self, id: Uuid, stored: StoredExport, run: RunLease) -> Result<(), TransferError> {
        let export = queries::export(&self.platform, id).await.map_err(platform_error)?.ok_or(EXPORT)?;
        let object = self.store.head(PLATFORM_BUCKET, &export.object_key).await;
        let object = object.map_err(|error| unavailable("the object store", error.into()))?;
        if object.and_then(|object| u64::try_from(object.size).ok()) != Some(stored.size_bytes) {
            let message = "the file is not in the store, or does not have the given size";
            return Err(TransferError::Refused(message.to_owned()));
        }
        let mut transaction = self.platform.begin().await.map_err(platform_error)?;
        if !Runs::lock_lease(&mut transaction, run.run_id, run.lease).await.map_err(platform_error)? {
            return Err(TransferError::LeaseLost);
        }
        if !queries::set_ready(&mut *transaction, id, run.run_id, &stored).await.map_err(platform_error)? {
            return Err(EXPORT);
        }
        transaction.commit().await.map_err(platform_error)
    }

    async fn import_database(&self, id: Uuid) -> Result<DatabaseName, TransferError> {
        Ok(DatabaseName::Project(self.find_import(id).await?.project_id))
    }

    async fn open_import(&self, id: Uuid, run: RunLease) -> Result<ImportFile, TransferError> {
        self.claim_import(id, run).await
    }

    async fn load_import(
        &self,
        id: Uuid,
        body: ByteStream,
        method: LoadMethod,
        run: RunLease,
    ) -> Result<Option<LoadedImport>, TransferError> {
        self.carry_out_import(id, body, method, run).await
    }

    fn progress(&self, run: Uuid) -> TransferProgress {
        self.running.of_run(run)
    }
}

fn unavailable(what: &'static str, cause: anyhow::Error) -> TransferError {
    TransferError::Unavailable { what, cause }
}

pub(super) fn platform_error(error: sqlx::Error) -> TransferError {
    let code = error.as_database_error().and_then(|database| database.code());
    // SQLSTATE classes 22 (data), 23 (constraints) and 42 (the statement): the statement would fail again.
    if code.is_some_and(|code| ["22", "23", "42"].iter().any(|class| code.starts_with(class))) {
        tracing::error!(cause = describe_cause(&error), "the platform database refused a statement of a transfer");
        return TransferError::Refused("An internal error occurred; the server's log has its cause".to_owned());
    }
    unavailable("the platform database", error.into())
}
