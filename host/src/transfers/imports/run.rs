//! Carries out an import for the plugin.

use uuid::Uuid;

use super::{
    load::{Load, Loaded, load},
    plan::Plan,
    queries::{self, ImportRow, Outcome, StoredState},
};
use crate::{
    db::{DatabaseName, DbRole, ExclusiveClient},
    jobs::Runs,
    plugins::{ImportFile, LoadMethod, LoadedImport, RunLease, TransferError, guest::streams::ByteStream},
    transfers::{Transfers, platform_error, postgres::refused},
};

const IMPORT: TransferError = TransferError::NotFound("import");

impl Transfers {
    pub(in crate::transfers) async fn find_import(&self, id: Uuid) -> Result<ImportRow, TransferError> {
        queries::import(&self.platform, id).await.map_err(platform_error)?.ok_or(IMPORT)
    }

    /// Assigns a started import to a run. Returns its file.
    pub(in crate::transfers) async fn claim_import(
        &self,
        id: Uuid,
        run: RunLease,
    ) -> Result<ImportFile, TransferError> {
        let import = self.find_import(id).await?;
        let plan = plan(&import)?;
        let mut transaction = self.platform.begin().await.map_err(platform_error)?;
        if !Runs::lock_lease(&mut transaction, run.run_id, run.lease).await.map_err(platform_error)? {
            return Err(TransferError::LeaseLost);
        }
        if !queries::claim(&mut *transaction, id, run.run_id).await.map_err(platform_error)? {
            return Err(TransferError::Conflict("the file has already been imported; upload it again".to_owned()));
        }
        transaction.commit().await.map_err(platform_error)?;
        Ok(ImportFile {
            object_key: import.object_key,
            size_bytes: import.size_bytes.unsigned_abs(),
            direct: plan.is_direct(),
        })
    }

    /// Loads the file and commits, except in a dry run or after a failure. Returns `None`, without a change, if the
    /// direct method can't be used or Postgres refused its rows.
    pub(in crate::transfers) async fn carry_out_import(
        &self,
        id: Uuid,
        body: ByteStream,
        method: LoadMethod,
        run: RunLease,
    ) -> Result<Option<LoadedImport>, TransferError> {
        let import = self.find_import(id).await?;
        let plan = plan(&import)?;
        if method == LoadMethod::Direct && !plan.is_direct() {
            return Ok(None);
        }
        let progress = self.running.begin(run.run_id);
        let database = DatabaseName::Project(import.project_id.clone());
        let mut client = self.databases.connect_as(&database, DbRole::Owner).await?;
        // If an error or a cancelled run drops the client, Postgres rolls the transaction back.
        client.mark_busy();
        let work = Load {
            table: &import.table_name,
            format: import.format,
            plan: &plan,
            size_bytes: import.size_bytes.unsigned_abs(),
            method,
        };
        let Some(loaded) = load(&client, &work, body, &progress).await? else { return Ok(None) };
        if plan.dry_run || loaded.failure.is_some() {
            client.batch_execute("ROLLBACK").await.map_err(refused)?;
            client.mark_idle();
            let state = if loaded.failure.is_some() { StoredState::Failed } else { StoredState::Done };
            self.record(id, run, &loaded, state, None).await?;
        } else {
            self.commit(id, run, &mut client, &loaded).await?;
        }
        match loaded.failure {
            Some(failure) => Err(TransferError::Refused(failure)),
            None => Ok(Some(LoadedImport {
                dry_run: plan.dry_run,
                rows_read: loaded.read,
                rows_inserted: loaded.inserted,
                rows_updated: loaded.updated,
                rows_skipped: loaded.skipped,
                error_count: loaded.error_count,
            })),
        }
    }

    /// Records the transaction, then commits it.
    async fn commit(
        &self,
        id: Uuid,
        run: RunLease,
        client: &mut ExclusiveClient,
        loaded: &Loaded,
    ) -> Result<(), TransferError> {
        let transaction: String =
            client.query_one("SELECT pg_catalog.pg_current_xact_id()::text", &[]).await.map_err(refused)?.get(0);
        self.record(id, run, loaded, StoredState::Committing, Some(&transaction)).await?;
        client.batch_execute("COMMIT").await.map_err(refused)?;
        client.mark_idle();
        // If this fails, the next reader of the import determines that the transaction was committed.
        queries::set_committed(&self.platform, id, &transaction).await.map_err(platform_error)
    }

    async fn record(
        &self,
        id: Uuid,
        run: RunLease,
        loaded: &Loaded,
        state: StoredState,
        transaction_id: Option<&str>,
    ) -> Result<(), TransferError> {
        let outcome = Outcome {
            state,
            rows_read: loaded.read,
            rows_inserted: loaded.inserted,
            rows_updated: loaded.updated,
            rows_skipped: loaded.skipped,
            errors: &loaded.errors,
            error_count: loaded.error_count,
            error_text: loaded.failure.as_deref(),
            transaction_id,
        };
        let mut transaction = self.platform.begin().await.map_err(platform_error)?;
        if !Runs::lock_lease(&mut transaction, run.run_id, run.lease).await.map_err(platform_error)?
            || !queries::record(&mut *transaction, id, run.run_id, &outcome).await.map_err(platform_error)?
        {
            return Err(TransferError::LeaseLost);
        }
        transaction.commit().await.map_err(platform_error)
    }
}

fn plan(import: &ImportRow) -> Result<Plan, TransferError> {
    let not_started = || TransferError::Conflict("the import was not started".to_owned());
    serde_json::from_value(import.plan.clone().ok_or_else(not_started)?).map_err(|_| not_started())
}
