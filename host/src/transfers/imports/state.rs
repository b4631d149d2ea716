//! The state of an import, which follows from its row, its file, its run and its transaction.

use api_types::{Import, ImportState, RunStatus};
use uuid::Uuid;

use super::queries::{self, ImportRow, StoredState};
use crate::{
    error::{ApiError, ApiResult},
    object_store::PLATFORM_BUCKET,
    transfers::TransfersState,
};

const INTERRUPTED: &str = "The import was interrupted before its end. Nothing was imported.";

impl TransfersState {
    /// Returns an import with its current state.
    pub(super) async fn import(&self, id: Uuid) -> ApiResult<ImportRow> {
        let find = async || queries::import(&self.platform, id).await?.ok_or_else(|| ApiError::not_found("import"));
        let import = find().await?;
        match import.state {
            StoredState::AwaitingUpload => {
                let object = self.store.head(PLATFORM_BUCKET, &import.object_key).await?;
                if object.is_none_or(|object| object.size != import.size_bytes) {
                    return Ok(import);
                }
                queries::set_uploaded(&self.platform, id).await?;
            }
            StoredState::Committing => {
                settle(self, &import).await?;
            }
            _ => return Ok(import),
        }
        find().await
    }
}

/// Finds out whether the transaction of an import was committed, and stores the result.
async fn settle(state: &TransfersState, import: &ImportRow) -> ApiResult<()> {
    let Some(transaction) = &import.transaction_id else { return Ok(()) };
    match queries::transaction_status(&state.platform, transaction).await?.as_deref() {
        Some("committed") => {
            queries::set_committed(&state.platform, import.id, transaction).await?;
            // The rows are in the table, so the file is no longer needed.
            if let Err(error) = state.store.delete(PLATFORM_BUCKET, &import.object_key).await {
                tracing::warn!(%error, key = import.object_key, "could not remove the file of an import");
            }
        }
        Some("aborted") => queries::set_aborted(&state.platform, import.id, transaction).await?,
        _ => {}
    }
    Ok(())
}

/// Settles all imports whose commit has no recorded outcome.
pub(in crate::transfers) async fn settle_commits(state: &TransfersState) -> ApiResult<()> {
    for import in queries::committing(&state.platform).await? {
        settle(state, &import).await?;
    }
    Ok(())
}

impl ImportRow {
    pub(super) fn state(&self) -> ImportState {
        match (self.state, self.run_status) {
            (StoredState::AwaitingUpload, _) => ImportState::AwaitingUpload,
            (StoredState::Uploaded, _) => ImportState::Uploaded,
            (StoredState::Done, _) => ImportState::Done,
            (StoredState::Failed, _) => ImportState::Failed,
            (StoredState::Committing, _) => ImportState::Running,
            (StoredState::Running, Some(RunStatus::Queued | RunStatus::Running)) => ImportState::Running,
            (StoredState::Running, Some(RunStatus::Cancelled)) => ImportState::Cancelled,
            // The request that starts the run may not have inserted it yet.
            (StoredState::Running, None) if self.is_new => ImportState::Running,
            (StoredState::Running, _) => ImportState::Failed,
        }
    }

    pub(super) fn to_wire(&self) -> Import {
        let state = self.state();
        let error_text = match (state, &self.error_text, &self.run_error) {
            (ImportState::Failed, Some(text), _) | (ImportState::Failed, None, Some(text)) => Some(text.clone()),
            (ImportState::Failed, None, None) if self.run_status == Some(RunStatus::Timeout) => {
                Some("The run exceeded its time limit. Nothing was imported.".to_owned())
            }
            (ImportState::Failed, None, None) => Some(INTERRUPTED.to_owned()),
            _ => None,
        };
        Import {
            id: self.id.to_string(),
            project_id: self.project_id.clone(),
            table: self.table_name.clone(),
            format: self.format,
            file_name: self.file_name.clone(),
            size_bytes: self.size_bytes,
            state,
            run_id: self.run_id.map(|id| id.to_string()),
            dry_run: self.dry_run,
            rows_read: self.rows_read,
            rows_inserted: self.rows_inserted,
            rows_updated: self.rows_updated,
            rows_skipped: self.rows_skipped,
            errors: self.errors.0.clone(),
            error_count: self.error_count,
            error_text,
            created_at: self.created_at,
            expires_at: self.expires_at,
            finished_at: self.finished_at.or(self.run_finished_at.filter(|_| state != ImportState::Running)),
        }
    }
}
