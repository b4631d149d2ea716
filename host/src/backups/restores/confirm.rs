//! Starts the runs of restores and rollbacks that the owner has confirmed, and drops the databases that restores keep.

use std::time::Duration;

use api_types::{ConfirmRestore, RestoreState};
use uuid::Uuid;

use super::{
    Restores,
    job::{Action, RestoreJob, RestoreParams},
    plan::undecrypted,
    queries::{self, RestoreRow},
};
use crate::{
    backups::BackupsState,
    error::{ApiError, ApiResult, Code},
    jobs::{BuiltInJob as _, NewRun},
    projects::ProjectRef,
    secrets::AgeError,
};

/// Time limit of a run. This is enough for large databases.
const RUN_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

impl BackupsState {
    pub(super) async fn restore(&self, id: Uuid) -> ApiResult<RestoreRow> {
        queries::restore(&self.platform, id).await?.ok_or_else(|| ApiError::not_found("restore"))
    }

    /// Starts the run of a restore or of its rollback. Returns the run's id.
    ///
    /// # Errors
    /// Returns `confirmation_required` if `confirm` is not the project's name, 404 if the restore does not exist, 409
    /// if its state does not allow the action or another restore of the project is active, 422 if the archive is
    /// encrypted and there is no identity, `invalid_request` if the identity is invalid or a rollback should leave
    /// database objects out, and the errors of `Jobs::start_run_with_id`.
    pub(super) async fn start_restore_run(
        &self,
        id: Uuid,
        action: Action,
        project: &ProjectRef,
        request: &ConfirmRestore,
    ) -> ApiResult<Uuid> {
        if request.confirm != project.name {
            let message = "This replaces the project's database. `confirm` must be the project's name.";
            let example = serde_json::json!({ "confirm": project.name });
            return Err(ApiError::new(Code::ConfirmationRequired, message).with_hint(format!("Send {example}.")));
        }
        if action == Action::Rollback && request.skip_failed_objects {
            return Err(ApiError::invalid("`skipFailedObjects` is not allowed for a rollback, which loads nothing."));
        }
        // The run may start before this transaction is committed. It then waits for the lock of the restore's row.
        let mut transaction = self.platform.begin().await?;
        if !queries::lock(&mut transaction, id).await? {
            return Err(ApiError::not_found("restore"));
        }
        queries::end_abandoned(&mut transaction, &project.id).await?;
        let row = queries::restore(&mut *transaction, id).await?.ok_or_else(|| ApiError::not_found("restore"))?;
        action.check(&row)?;
        if queries::has_active(&mut transaction, &project.id).await? {
            return Err(other_is_active());
        }
        // Without this check, the run would fail and the plan would be spent.
        let needs_identity = action == Action::Restore && row.plan.encrypted;
        if needs_identity && self.restores.identities.of_request(request.identity.as_deref())?.is_none() {
            // The plan's hint says that the identity is not stored, which is not true here.
            let hint =
                "Send the content of the identity file as `identity`. It is stored encrypted until the run starts.";
            return Err(undecrypted(AgeError::IdentityRequired).with_hint(hint));
        }
        let params = RestoreParams { restore: id, action, skip_failed_objects: request.skip_failed_objects };
        let run = NewRun {
            plugin: RestoreJob::PLUGIN.to_owned(),
            plugin_job: RestoreJob::JOB.to_owned(),
            params: serde_json::to_value(params).map_err(ApiError::internal)?,
            project_id: Some(project.id.clone()),
            timeout: RUN_TIMEOUT,
        };
        let run_id = Uuid::now_v7();
        self.restores.identities.give(&mut *transaction, run_id, request.identity.as_deref()).await?;
        self.jobs.start_run_with_id(run_id, &run).await?;
        queries::begin(&mut transaction, id, run_id, action.first_state()).await.map_err(|error| {
            let constraint = error.as_database_error().and_then(|error| error.constraint());
            if constraint == Some("restores_active_idx") { other_is_active() } else { error.into() }
        })?;
        transaction.commit().await?;
        Ok(run_id)
    }
}

impl Restores {
    /// Drops the database that a restore keeps, and removes its uploaded archive unless another restore is reading it.
    /// Cancels a restore that is only planned. Changes nothing unless the restore is in the state `expected`, if that
    /// is given: the restore may have run or been rolled back since the caller read it, and the call would then drop
    /// another database. Returns the restore as it was before.
    ///
    /// # Errors
    /// Returns 404 if the restore does not exist, and 409 while a run works on it or if it is not in the expected
    /// state.
    pub(super) async fn remove(&self, id: Uuid, expected: Option<RestoreState>) -> ApiResult<RestoreRow> {
        let mut transaction = self.platform.begin().await?;
        if !queries::lock(&mut transaction, id).await? {
            return Err(ApiError::not_found("restore"));
        }
        let row = queries::restore(&mut *transaction, id).await?.ok_or_else(|| ApiError::not_found("restore"))?;
        if expected.is_some_and(|expected| expected != row.state) {
            return Err(ApiError::new(
                Code::Conflict,
                format!("The restore {}. Nothing was removed.", in_words(row.state)),
            )
            .with_hint("Read the restore again, and decide with its current state."));
        }
        match row.state {
            RestoreState::Loading | RestoreState::Checking | RestoreState::Swapping => {
                return Err(ApiError::new(Code::Conflict, "A run works on the restore.")
                    .with_hint("Wait for its end, or cancel the run."));
            }
            RestoreState::Planned => queries::cancel_plan(&mut transaction, id).await?,
            RestoreState::Done | RestoreState::Failed | RestoreState::Cancelled | RestoreState::RolledBack => {
                if let Some(database) = &row.previous_database {
                    self.replacements.drop(database).await?;
                    queries::forget_previous_database(&mut transaction, id).await?;
                }
            }
        }
        // An archive that another restore is reading is removed at the end of that restore, or by a sweep.
        let unused = match row.upload_id {
            Some(upload) if queries::is_upload_read(&mut transaction, upload).await? => None,
            upload => upload,
        };
        transaction.commit().await?;
        if let Some(upload) = unused
            && let Err(error) = self.remove_upload(upload, &row.object_key).await
        {
            tracing::warn!(%error, "an uploaded archive could not be removed; the next sweep tries again");
        }
        Ok(row)
    }
}

impl Action {
    /// Returns the state of a restore when a run with this action begins.
    pub(super) fn first_state(self) -> RestoreState {
        match self {
            Self::Restore => RestoreState::Loading,
            Self::Rollback => RestoreState::Swapping,
        }
    }

    /// Checks that the restore's state allows the action.
    ///
    /// # Errors
    /// Returns 409 if the state does not allow the action.
    pub(super) fn check(self, row: &RestoreRow) -> ApiResult<()> {
        let refused = |message: String, hint: &'static str| Err(ApiError::new(Code::Conflict, message).with_hint(hint));
        match (self, row.state) {
            (Self::Restore, RestoreState::Planned) => Ok(()),
            (Self::Restore, state) => {
                refused(format!("The restore can't be started: it {}.", in_words(state)), "Plan a new restore.")
            }
            (Self::Rollback, RestoreState::Done) if row.previous_database.is_some() => Ok(()),
            (Self::Rollback, RestoreState::Done) => refused(
                "The database that the project had before the restore is no longer kept.".to_owned(),
                "Restore a backup.",
            ),
            (Self::Rollback, state) => refused(
                format!("The restore {}; there is nothing to roll back.", in_words(state)),
                "Only a restore that is done can be rolled back.",
            ),
        }
    }
}

/// Returns words for the state that continue the sentence "The restore …".
fn in_words(state: RestoreState) -> &'static str {
    match state {
        RestoreState::Planned => "is only planned",
        RestoreState::Loading | RestoreState::Checking | RestoreState::Swapping => "is running",
        RestoreState::Done => "is done",
        RestoreState::Failed => "has failed",
        RestoreState::Cancelled => "was cancelled",
        RestoreState::RolledBack => "was rolled back",
    }
}

fn other_is_active() -> ApiError {
    ApiError::new(Code::Conflict, "Another restore of this project is running.")
        .with_hint("Wait for its end, or cancel its run.")
}
