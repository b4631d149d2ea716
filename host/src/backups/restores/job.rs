//! The built-in job that executes restores and rollbacks.

use std::{sync::Arc, time::Duration};

use api_types::RestoreState;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Restores,
    failure::RestoreFailure,
    load::Loading,
    queries::{self, RestoreRow},
};
use crate::{
    backups::{ObjectsError, RestoredObjects, manifest::manifest_key_of, stored},
    config::AgeIdentity,
    db::restore::FailedObjects,
    error::describe_cause,
    jobs::{BuiltInJob, LineLevel, RunCall, RunFailure, RunOutput, RunReport},
    plugins::RunLease,
    projects::{Replacements, Swap},
};

/// The built-in job that restores a project's database and rolls restores back.
pub struct RestoreJob(pub Restores);

/// The parameters of a run of [`RestoreJob`].
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RestoreParams {
    pub(super) restore: Uuid,
    pub(super) action: Action,
    /// Whether to leave out database objects that can't be created after the rows were loaded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) skip_failed_objects: bool,
}

impl RestoreParams {
    fn failed_objects(self) -> FailedObjects {
        if self.skip_failed_objects { FailedObjects::LeaveOut } else { FailedObjects::Fail }
    }
}

/// The action of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Action {
    Restore,
    Rollback,
}

#[async_trait]
impl BuiltInJob for RestoreJob {
    const PLUGIN: &'static str = "restore";
    const JOB: &'static str = "restore";
    const MAX_DURATION: Duration = Duration::from_secs(24 * 3600);
    /// The number is low, because a restore puts as much load on the server as a dump.
    const MAX_RUNS: usize = 2;
    /// The row of the restore names the project.
    const NEEDS_PROJECT: bool = false;

    type Params = RestoreParams;

    async fn check(&self, params: RestoreParams) -> Result<(), String> {
        let row = queries::restore(&self.0.platform, params.restore).await.map_err(|error| {
            tracing::warn!(cause = describe_cause(&error), "a restore could not be read");
            "the platform database can't be reached or returned an error; see the server's log".to_owned()
        })?;
        let row = row.ok_or_else(|| "the restore does not exist".to_owned())?;
        params.action.check(&row).map_err(|error| error.message().to_owned())
    }

    async fn run(
        &self,
        params: RestoreParams,
        call: RunCall,
        output: Arc<dyn RunOutput>,
        cancel: CancellationToken,
    ) -> Result<RunReport, RunFailure> {
        output.started();
        let Some(row) = self.0.confirmed(params, call.run_id).await.map_err(RestoreFailure::from)? else {
            return Err(RunFailure::refused(
                "The restore was not confirmed for this run. Confirm it again, or plan a new one.",
            ));
        };
        let lease = RunLease { run_id: call.run_id, lease: call.lease };
        let work = async {
            match params.action {
                Action::Restore => self.0.load_and_swap(&row, params.failed_objects(), lease, &*output).await,
                Action::Rollback => self.0.roll_back(&row, lease, &*output).await,
            }
        };
        let end = tokio::select! {
            end = work => match end {
                Ok(result) => Ok(result),
                Err(failure) => Err(self.0.with_reason(failure, &row.project_id).await.into()),
            },
            () = cancel.cancelled() => Err(RunFailure::Cancelled),
            () = tokio::time::sleep(call.timeout) => Err(RunFailure::TimedOut),
        };
        if let Err(failure) = &end {
            let (state, error) = match failure {
                RunFailure::Cancelled => (RestoreState::Cancelled, None),
                RunFailure::TimedOut => (RestoreState::Failed, Some("It exceeded its time limit.")),
                RunFailure::Failed { message, .. } => (RestoreState::Failed, Some(message.as_str())),
            };
            if let Err(error) = queries::fail(&self.0.platform, row.id, call.run_id, state, error).await {
                tracing::warn!(%error, "the end of a restore could not be recorded; see its run");
            }
        }
        end.map(|result| RunReport { result })
    }
}

impl Restores {
    /// Returns `ProjectDeleted` if the project was deleted, because that can cause any failure. Otherwise returns the
    /// failure.
    async fn with_reason(&self, failure: RestoreFailure, project: &str) -> RestoreFailure {
        match queries::is_deleted(&self.platform, project).await {
            Ok(true) => RestoreFailure::ProjectDeleted,
            Ok(false) | Err(_) => failure,
        }
    }

    /// Returns the restore if it was confirmed for this run. Waits until the confirmation is committed.
    async fn confirmed(&self, params: RestoreParams, run: Uuid) -> Result<Option<RestoreRow>, sqlx::Error> {
        let mut transaction = self.platform.begin().await?;
        queries::lock(&mut transaction, params.restore).await?;
        transaction.commit().await?;
        queries::of_run(&self.platform, params.restore, run, params.action.first_state()).await
    }

    async fn load_and_swap(
        &self,
        row: &RestoreRow,
        failed_objects: FailedObjects,
        lease: RunLease,
        output: &dyn RunOutput,
    ) -> Result<Value, RestoreFailure> {
        let name = Replacements::name_for_run(&row.project_id, lease.run_id);
        let mut loading = Loading::begin(self, row, lease, name.clone()).await?;
        let identity = self.identities.take(lease.run_id).await?;
        let loaded = loading.load(identity.as_ref(), failed_objects, output).await?;
        self.advance(row.id, lease, RestoreState::Checking, &name).await?;
        output.progress(1, None, "Checking the restored database");
        loading.check(&loaded)?;
        let objects = self.bring_objects_back(row, identity.as_ref(), output).await?;
        self.replacements.finish(&row.project_id, &name).await?;
        self.advance(row.id, lease, RestoreState::Swapping, &name).await?;
        output.progress(1, None, "Replacing the project's database");
        let kept = Replacements::name_of_kept(&row.project_id);
        self.swap(
            row,
            lease,
            RestoreState::Done,
            &Swap { project: row.project_id.clone(), incoming: name, kept: kept.clone() },
            Some(&loaded.left_out),
        )
        .await?;
        loading.keep();
        let rows: u64 = loaded.tables.iter().map(|table| table.rows).sum();
        for left_out in &loaded.left_out {
            output.log(LineLevel::Warn, &format!("Not restored: {left_out}"), Value::Null);
        }
        let fields = json!({ "tables": loaded.tables.len(), "rows": rows, "previousDatabase": kept });
        output.log(LineLevel::Info, "The project uses the restored database.", fields);
        if let Some(upload) = row.upload_id
            && let Err(error) = self.remove_upload(upload, &row.object_key).await
        {
            tracing::warn!(%error, "an uploaded archive could not be removed; the next sweep tries again");
        }
        Ok(json!({ "restore": row.id, "tables": loaded.tables.len(), "rows": rows, "previousDatabase": kept,
            "leftOut": loaded.left_out, "objects": objects }))
    }

    /// Restores the objects of the backup if the plan includes them. Called before the swap, so that the objects to
    /// which restored rows refer exist. Returns their numbers for the run's result.
    async fn bring_objects_back(
        &self,
        row: &RestoreRow,
        identity: Option<&AgeIdentity>,
        output: &dyn RunOutput,
    ) -> Result<Option<Value>, RestoreFailure> {
        let Some(planned) = row.plan.objects else { return Ok(None) };
        let missing = || RestoreFailure::Objects(ObjectsError::Failed("the backup's manifest is missing".to_owned()));
        let key = manifest_key_of(&row.object_key).ok_or_else(missing)?;
        let backup = stored::read_manifest(&self.store, key).await?.ok_or_else(missing)?;
        if row.sha256.as_ref() != Some(&backup.manifest.sha256) {
            return Err(RestoreFailure::Changed);
        }
        let total = u64::try_from(planned.count).ok();
        let on_object = |done| output.progress(done, total, "Restoring objects");
        on_object(0);
        let restored = self.objects.bring_back(&backup, &row.project_id, identity, &on_object).await;
        let RestoredObjects { written, written_bytes, unchanged } = restored.map_err(RestoreFailure::Objects)?;
        let fields = json!({ "written": written, "writtenBytes": written_bytes, "unchanged": unchanged });
        output.log(LineLevel::Info, "The project's bucket contains the objects of the backup.", fields.clone());
        Ok(Some(fields))
    }

    async fn roll_back(
        &self,
        row: &RestoreRow,
        lease: RunLease,
        output: &dyn RunOutput,
    ) -> Result<Value, RestoreFailure> {
        let Some(previous) = row.previous_database.clone() else { return Err(RestoreFailure::PreviousGone) };
        output.progress(0, Some(1), "Replacing the project's database");
        let kept = Replacements::name_of_kept(&row.project_id);
        let swap = Swap { project: row.project_id.clone(), incoming: previous, kept: kept.clone() };
        self.swap(row, lease, RestoreState::RolledBack, &swap, None).await?;
        output.progress(1, Some(1), "");
        let message = "The project uses the database from before the restore again.";
        output.log(LineLevel::Info, message, json!({ "restoredDatabase": kept }));
        Ok(json!({ "restore": row.id, "previousDatabase": kept }))
    }
}
