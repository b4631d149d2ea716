//! Jobs that the server executes itself, without a plugin.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize as _, de::DeserializeOwned};
use tokio_util::sync::CancellationToken;

use super::{JobRunner, OwnRuns, RunCall, RunFailure, RunOutput, RunRefusal, RunReport};
use crate::egress::EgressRequest;

/// A job that the server executes itself, without a plugin. Scheduled jobs can use it like a plugin's job.
#[async_trait]
pub trait BuiltInJob: Send + Sync + 'static {
    /// Plugin name of the job's runs. No plugin may have this name.
    const PLUGIN: &'static str;
    /// The name of the job.
    const JOB: &'static str;
    /// Default and maximum duration of a run.
    const MAX_DURATION: Duration;
    /// Maximum number of runs that one scheduler executes at a time.
    const MAX_RUNS: usize;
    /// Whether the job works in a project, so that a job without a project can't run.
    const NEEDS_PROJECT: bool;

    /// The parameters of a run.
    type Params: DeserializeOwned + Send + Sync;

    /// Checks the parameters for [`JobRunner::check`].
    ///
    /// # Errors
    /// Returns a description of the problem.
    async fn check(&self, params: Self::Params) -> Result<(), String>;

    /// Executes a run, as described in [`JobRunner::run`].
    async fn run(
        &self,
        params: Self::Params,
        call: RunCall,
        output: Arc<dyn RunOutput>,
        cancel: CancellationToken,
    ) -> Result<RunReport, RunFailure>;
}

/// Executes the runs of a [`BuiltInJob`], and passes all others to another runner.
pub struct WithBuiltIn<J> {
    job: J,
    others: Arc<dyn JobRunner>,
}

impl<J: BuiltInJob> WithBuiltIn<J> {
    pub fn new(job: J, others: Arc<dyn JobRunner>) -> Self {
        Self { job, others }
    }

    fn parse(params: &serde_json::Value) -> Result<J::Params, String> {
        J::Params::deserialize(params).map_err(|error| format!("the parameters are not valid: {error}"))
    }
}

#[async_trait]
impl<J: BuiltInJob> JobRunner for WithBuiltIn<J> {
    async fn check(&self, plugin: &str, job: &str, params: &serde_json::Value) -> Result<String, RunRefusal> {
        if plugin != J::PLUGIN {
            return self.others.check(plugin, job, params).await;
        }
        if !["", J::JOB, J::PLUGIN].contains(&job) {
            let known = vec![J::JOB.to_owned()];
            return Err(RunRefusal::UnknownJob { plugin: J::PLUGIN.to_owned(), job: job.to_owned(), known });
        }
        let invalid = |problem: String| RunRefusal::Params { problems: vec![(String::new(), problem)] };
        let params = Self::parse(params).map_err(invalid)?;
        self.job.check(params).await.map_err(invalid)?;
        Ok(J::JOB.to_owned())
    }

    async fn check_request(&self, plugin: &str, request: &EgressRequest) -> Result<(), RunRefusal> {
        self.others.check_request(plugin, request).await
    }

    async fn max_duration(&self, plugin: &str) -> Option<Duration> {
        if plugin == J::PLUGIN { Some(J::MAX_DURATION) } else { self.others.max_duration(plugin).await }
    }

    fn needs_project(&self, plugin: &str) -> bool {
        if plugin == J::PLUGIN { J::NEEDS_PROJECT } else { self.others.needs_project(plugin) }
    }

    fn max_runs(&self, plugin: &str, total: usize) -> usize {
        if plugin == J::PLUGIN { J::MAX_RUNS.min(total) } else { self.others.max_runs(plugin, total) }
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
        if call.plugin != J::PLUGIN {
            return self.others.run(call, output, cancel).await;
        }
        let params = Self::parse(&call.params)
            .map_err(|problem| RunFailure::refused(format!("The run could not start: {problem}.")))?;
        self.job.run(params, call, output, cancel).await
    }
}
