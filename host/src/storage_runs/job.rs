//! The built-in job that deletes many objects.

use std::{sync::Arc, time::Duration};

use api_types::DeletedObjects;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    error::{ApiError, Code},
    jobs::{BuiltInJob, LineLevel, RunCall, RunFailure, RunOutput, RunReport},
    projects::Projects,
    storage::{BulkDeletion, StorageState},
};

/// The built-in job that deletes objects.
pub struct DeletionJob {
    pub storage: StorageState,
    pub projects: Projects,
}

/// The parameters of a run. Exactly one of `keys` and `prefix` is given.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeletionParams {
    pub(super) bucket: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) keys: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) prefix: Option<String>,
}

#[async_trait]
impl BuiltInJob for DeletionJob {
    const PLUGIN: &'static str = "storage";
    const JOB: &'static str = "delete";
    const MAX_DURATION: Duration = Duration::from_secs(24 * 3600);
    const MAX_RUNS: usize = 4;
    const NEEDS_PROJECT: bool = true;

    type Params = DeletionParams;

    async fn check(&self, params: DeletionParams) -> Result<(), String> {
        match params.keys.is_some() == params.prefix.is_some() {
            true => Err("give either `keys` or `prefix`".to_owned()),
            false => Ok(()),
        }
    }

    async fn run(
        &self,
        params: DeletionParams,
        call: RunCall,
        output: Arc<dyn RunOutput>,
        cancel: CancellationToken,
    ) -> Result<RunReport, RunFailure> {
        output.started();
        let mut deleted = DeletedObjects::default();
        let end = tokio::select! {
            end = self.delete(&params, call.project.as_deref(), &*output, &mut deleted) => end,
            () = cancel.cancelled() => Err(RunFailure::Cancelled),
            () = tokio::time::sleep(call.timeout) => Err(RunFailure::TimedOut),
        };
        let result = serde_json::to_value(deleted).unwrap_or_default();
        let fields = json!({ "deleted": deleted.deleted, "deletedBytes": deleted.deleted_bytes });
        match end {
            Ok(()) => {
                output.log(LineLevel::Info, &format!("Deleted {}.", objects(deleted.deleted)), fields);
                Ok(RunReport { result })
            }
            Err(failure) => {
                output.log(LineLevel::Warn, &format!("Stopped after {}.", objects(deleted.deleted)), fields);
                Err(match failure {
                    RunFailure::Failed { message, retryable, .. } => {
                        RunFailure::Failed { message, details: Some(result), retryable }
                    }
                    other => other,
                })
            }
        }
    }
}

impl DeletionJob {
    /// Deletes the objects. Counts those of completed steps in `deleted`, which the caller can read even if it drops
    /// the future.
    async fn delete(
        &self,
        params: &DeletionParams,
        project: Option<&str>,
        output: &dyn RunOutput,
        deleted: &mut DeletedObjects,
    ) -> Result<(), RunFailure> {
        let Some(project) = project else {
            return Err(RunFailure::refused("Objects belong to a project, and the job has none."));
        };
        let project = self.projects.get(project).await.map_err(|error| failure(&error))?;
        let (keys, prefix) = (params.keys.as_deref(), params.prefix.as_deref());
        let deletion = BulkDeletion::parse(&self.storage, project, &params.bucket, keys, prefix).await;
        let mut deletion = deletion.map_err(|error| failure(&error))?;
        let total = deletion.prepare().await.map_err(|error| failure(&error))?;
        let message = match prefix {
            Some(prefix) => format!("Deleting `{}/{prefix}`", params.bucket),
            None => format!("Deleting objects of `{}`", params.bucket),
        };
        output.progress(0, Some(total), &message);
        while let Some(step) = deletion.step().await.map_err(|error| failure(&error))? {
            deleted.deleted += step.deleted;
            deleted.deleted_bytes += step.deleted_bytes;
            deleted.missing += step.missing;
            let done = deleted.deleted + deleted.missing;
            // Objects that were uploaded in the meantime are deleted too.
            output.progress(done, Some(total.max(done)), &message);
        }
        Ok(())
    }
}

fn objects(count: u64) -> String {
    if count == 1 { "1 object".to_owned() } else { format!("{count} objects") }
}

/// Converts an error. Errors of Postgres or the object store may be temporary. All other errors would happen again, for
/// example because the bucket was deleted.
fn failure(error: &ApiError) -> RunFailure {
    match error.code() {
        Code::Unavailable | Code::Internal | Code::Overloaded | Code::Timeout | Code::DiskFull => {
            RunFailure::temporary(error.message())
        }
        _ => RunFailure::refused(error.message()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::DbError;

    #[test]
    fn only_errors_that_may_pass_are_retried() {
        for (error, expected) in [
            (DbError::Overloaded.into(), true),
            (DbError::Timeout.into(), true),
            (ApiError::unreachable("The object store"), true),
            (ApiError::disk_full(), true),
            (ApiError::not_found("bucket"), false),
        ] {
            let RunFailure::Failed { message, retryable, .. } = failure(&error) else { panic!("failed: {error}") };
            assert_eq!(retryable, expected, "{message}");
        }
    }
}
