use std::{sync::Arc, time::Duration};

use api_types::DeletedObjects;
use async_trait::async_trait;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::params::{DeleteParams, JOB, PLUGIN};
use crate::{
    egress::EgressRequest,
    error::{ApiError, Code},
    jobs::{JobRunner, LineLevel, OwnRuns, RunCall, RunFailure, RunOutput, RunRefusal, RunReport},
    projects::Projects,
    storage::{BulkDeletion, StorageState},
};

/// Default and maximum duration of a run.
pub(super) const MAX_DURATION: Duration = Duration::from_secs(24 * 3600);
/// Runs that one scheduler executes at a time.
const MAX_RUNS: usize = 4;

/// Executes runs that delete objects, and leaves all others to another runner.
pub struct StorageRunner {
    storage: StorageState,
    projects: Projects,
    others: Arc<dyn JobRunner>,
}

impl StorageRunner {
    pub fn new(storage: StorageState, projects: Projects, others: Arc<dyn JobRunner>) -> Self {
        Self { storage, projects, others }
    }

    async fn delete(
        &self,
        call: &RunCall,
        output: &dyn RunOutput,
        cancel: CancellationToken,
    ) -> Result<RunReport, RunFailure> {
        output.started();
        let mut deleted = DeletedObjects::default();
        let work = self.delete_all(call, output, &mut deleted);
        let end = tokio::select! {
            end = work => end,
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

    async fn delete_all(
        &self,
        call: &RunCall,
        output: &dyn RunOutput,
        deleted: &mut DeletedObjects,
    ) -> Result<(), RunFailure> {
        let params =
            parse(&call.params).map_err(|problem| refused(format!("The parameters are not valid: {problem}.")))?;
        let Some(project_id) = &call.project else {
            return Err(refused("Objects belong to a project, and the job has none.".to_owned()));
        };
        let project = self.projects.get(project_id).await.map_err(|error| failure(&error))?;
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
            // Objects that were uploaded meanwhile are deleted too.
            output.progress(done, Some(total.max(done)), &message);
        }
        Ok(())
    }
}

fn objects(count: u64) -> String {
    if count == 1 { "1 object".to_owned() } else { format!("{count} objects") }
}

fn refused(message: String) -> RunFailure {
    RunFailure::Failed { message, details: None, retryable: false }
}

/// An error of a service may pass. Others come from the parameters, or the bucket was deleted.
fn failure(error: &ApiError) -> RunFailure {
    let retryable = matches!(error.code(), Code::Unavailable | Code::Internal);
    RunFailure::Failed { message: error.message().to_owned(), details: None, retryable }
}

fn parse(params: &serde_json::Value) -> Result<DeleteParams, serde_json::Error> {
    serde_json::from_value(params.clone())
}

#[async_trait]
impl JobRunner for StorageRunner {
    async fn check(&self, plugin: &str, job: &str, params: &serde_json::Value) -> Result<String, RunRefusal> {
        if plugin != PLUGIN {
            return self.others.check(plugin, job, params).await;
        }
        if !["", JOB].contains(&job) {
            let known = vec![JOB.to_owned()];
            return Err(RunRefusal::UnknownJob { plugin: PLUGIN.to_owned(), job: job.to_owned(), known });
        }
        let invalid = |problem: String| RunRefusal::Params { problems: vec![(String::new(), problem)] };
        let params = parse(params).map_err(|error| invalid(error.to_string()))?;
        if params.keys.is_some() == params.prefix.is_some() {
            return Err(invalid("give either `keys` or `prefix`".to_owned()));
        }
        Ok(JOB.to_owned())
    }

    async fn check_request(&self, plugin: &str, request: &EgressRequest) -> Result<(), RunRefusal> {
        self.others.check_request(plugin, request).await
    }

    async fn max_duration(&self, plugin: &str) -> Option<Duration> {
        if plugin == PLUGIN { Some(MAX_DURATION) } else { self.others.max_duration(plugin).await }
    }

    fn max_runs(&self, plugin: &str, total: usize) -> usize {
        if plugin == PLUGIN { MAX_RUNS.min(total) } else { self.others.max_runs(plugin, total) }
    }

    fn own_runs(&self) -> OwnRuns {
        self.others.own_runs()
    }

    async fn run(
        &self,
        call: RunCall,
        output: Arc<dyn RunOutput>,
        cancel: CancellationToken,
    ) -> Result<RunReport, RunFailure> {
        if call.plugin == PLUGIN {
            self.delete(&call, &*output, cancel).await
        } else {
            self.others.run(call, output, cancel).await
        }
    }
}
