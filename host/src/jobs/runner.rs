//! The interface to the code that executes runs: plugins, and the jobs that the server executes itself.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    config::Secret,
    egress::{EgressError, EgressRequest},
};

/// Executes runs. One call of [`run`](Self::run) executes one run. Each retry is a run of its own.
#[async_trait]
pub trait JobRunner: Send + Sync + 'static {
    /// Checks that the plugin can run and that the parameters match the job's schema. Called when a job is checked,
    /// saved or started manually, and when a run without a job is started.
    ///
    /// An empty `job` selects the plugin's only job, or the job with the plugin's name. Returns the job's name.
    ///
    /// # Errors
    /// Returns the reason for which the run would be refused.
    async fn check(&self, plugin: &str, job: &str, params: &serde_json::Value) -> Result<String, RunRefusal>;

    /// Checks that the plugin may send this request. Called when a job of type `http` is checked, saved or started
    /// manually.
    ///
    /// # Errors
    /// Returns the refusal with which the run would fail.
    async fn check_request(&self, _plugin: &str, _request: &EgressRequest) -> Result<(), RunRefusal> {
        Ok(())
    }

    /// Returns the maximum duration of the plugin's runs, if the plugin can run. It is the default time limit of jobs
    /// of type `platform`.
    async fn max_duration(&self, _plugin: &str) -> Option<Duration> {
        None
    }

    /// Returns whether all jobs of the plugin work in a project. If so, a job without a project can't run.
    fn needs_project(&self, _plugin: &str) -> bool {
        false
    }

    /// Returns the maximum number of the plugin's runs that one scheduler executes at a time, if it executes up to
    /// `total` runs.
    fn max_runs(&self, _plugin: &str, total: usize) -> usize {
        total
    }

    /// Returns the plugins that have reserved permits.
    fn own_runs(&self) -> OwnRuns {
        OwnRuns::default()
    }

    /// Executes a run until its work ends, until `timeout` after [`RunOutput::started`], or until `cancel` is
    /// cancelled. Returns within 100 ms of a timeout or a cancellation. Dropping the future stops the run as well.
    /// Changes that a stopped run has not committed are undone.
    async fn run(
        &self,
        call: RunCall,
        output: Arc<dyn RunOutput>,
        cancel: CancellationToken,
    ) -> Result<RunReport, RunFailure>;
}

/// Plugins whose runs start even if the runs of all other plugins take every permit of a scheduler.
#[derive(Debug, Clone, Copy, Default)]
pub struct OwnRuns {
    pub plugins: &'static [&'static str],
    /// Maximum number of runs of all these plugins together that a scheduler executes at a time.
    pub max: usize,
}

/// The reason why a run can't be started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunRefusal {
    #[error("no plugin `{name}` can run{}", hint.as_deref().map(|hint| format!(": {hint}")).unwrap_or_default())]
    UnknownPlugin { name: String, hint: Option<String> },
    #[error(
        "plugin `{plugin}` has {}; choose one of: {}",
        if job.is_empty() { "several jobs".to_owned() } else { format!("no job `{job}`") },
        known.join(", ")
    )]
    UnknownJob { plugin: String, job: String, known: Vec<String> },
    /// Each problem is a JSON pointer and a description. The pointer is empty if the schema is not the reason, for
    /// example if the job's work is not possible at present.
    #[error("{}", problems_text(problems))]
    Params { problems: Vec<(String, String)> },
    #[error("plugin `{plugin}` may not send requests; approve it with the capability `http`")]
    NoRequests { plugin: String },
    #[error("{0}")]
    Request(EgressError),
}

/// Describes problems as a part of a sentence.
fn problems_text(problems: &[(String, String)]) -> String {
    let text = problems.iter().map(problem_text).collect::<Vec<_>>().join("; ");
    match problems.iter().all(|(pointer, _)| pointer.is_empty()) {
        true => text,
        false => format!("the parameters don't match the job's schema: {text}"),
    }
}

/// Describes a problem for a list in a sentence.
fn problem_text((pointer, problem): &(String, String)) -> String {
    let problem = problem.trim_end_matches('.');
    if pointer.is_empty() { problem.to_owned() } else { format!("{pointer}: {problem}") }
}

/// One run, as the runner receives it. Each retry is a run of its own, with the next `attempt`.
#[derive(Debug, Clone)]
pub struct RunCall {
    pub run_id: Uuid,
    pub job_id: Option<Uuid>,
    /// Token of the lease. The platform accepts writes of the run only while the run holds the lease.
    pub lease: Uuid,
    pub project: Option<String>,
    pub plugin: String,
    pub job: String,
    pub params: serde_json::Value,
    /// The job's secrets by name (`header.<lowercase name>`, `body`). Plugins never see the values.
    pub secrets: BTreeMap<String, Secret>,
    /// Counted from 1.
    pub attempt: u32,
    pub scheduled_for: Option<DateTime<Utc>>,
    pub timeout: Duration,
}

/// Receives a run's log and progress. Never blocks and never fails; lines beyond the log's limit are dropped and
/// counted.
pub trait RunOutput: Send + Sync + 'static {
    /// Starts the run's time limit. A runner calls it once per run, as soon as the run no longer waits for a permit.
    fn started(&self) {}

    /// Adds a line to the log. `fields` is a JSON object, or null.
    fn log(&self, level: LineLevel, message: &str, fields: serde_json::Value);

    /// Records at the end of the log that the runner dropped `count` further lines. `reason` completes the sentence "…,
    /// because".
    fn lines_dropped(&self, count: u64, reason: &str);

    /// Replaces the progress.
    fn progress(&self, done: u64, total: Option<u64>, message: &str);

    /// Appends a note, such as the number of bytes so far, to the message of the progress. It replaces an earlier note,
    /// and stays until the next call of [`Self::progress`].
    fn progress_note(&self, note: &str);
}

/// Level of a line of a run's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineLevel {
    Debug,
    Info,
    Warn,
    Error,
}

/// Result of a successful run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunReport {
    /// JSON, at most 64 KiB. A number `httpStatus` in it becomes the HTTP status of the run.
    pub result: serde_json::Value,
}

/// The reason why a run did not succeed.
#[derive(Debug, Clone, PartialEq)]
pub enum RunFailure {
    /// `details` has the format of [`RunReport::result`]. A run that is not `retryable` (refused, invalid) is not
    /// retried.
    Failed {
        message: String,
        details: Option<serde_json::Value>,
        retryable: bool,
    },
    TimedOut,
    Cancelled,
}

impl RunFailure {
    /// Creates a failure that would happen again, such as that of invalid parameters. The run is not retried.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), details: None, retryable: false }
    }

    /// Creates a failure that may pass. The run is retried, if its job has retries.
    pub fn temporary(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), details: None, retryable: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schema_is_named_only_if_parameters_do_not_match_it() {
        let text = |problems: &[(&str, &str)]| {
            let problems = problems.iter().map(|(pointer, problem)| ((*pointer).to_owned(), (*problem).to_owned()));
            RunRefusal::Params { problems: problems.collect() }.to_string()
        };
        assert_eq!(
            text(&[("", "The restore can't be started: it is done.")]),
            "The restore can't be started: it is done"
        );
        let expected = "the parameters don't match the job's schema: /a: it is missing; /b: it is too long";
        assert_eq!(text(&[("/a", "it is missing"), ("/b", "it is too long.")]), expected);
    }
}
