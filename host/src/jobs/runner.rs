use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config::Secret;

/// Runs the work of jobs. One call is one attempt.
#[async_trait]
pub trait JobRunner: Send + Sync + 'static {
    /// Whether the plugin may run and the parameters fit the job's schema, for when a job is saved or begun by hand.
    /// An empty `job` means the plugin's only one, or the one called like the plugin; answers the job's name.
    ///
    /// # Errors
    /// What the owner has to change.
    async fn check(&self, plugin: &str, job: &str, params: &serde_json::Value) -> Result<String, RunRefusal>;

    /// How long a plugin's runs may take at the most, where it may run: what jobs get that name no time of their own.
    async fn longest_run(&self, _plugin: &str) -> Option<Duration> {
        None
    }

    /// Runs to the end, to `timeout` after [`RunOutput::begun`], or until `cancel`; returns within 100 ms of the last two. Dropping the future
    /// ends the run as well; either way what it had begun and not committed is undone.
    async fn run(
        &self,
        call: RunCall,
        output: Arc<dyn RunOutput>,
        cancel: CancellationToken,
    ) -> Result<RunReport, RunFailure>;
}

/// Why work can't be begun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunRefusal {
    #[error("there is no plugin `{name}` that can run{}", hint.as_deref().map(|hint| format!(": {hint}")).unwrap_or_default())]
    UnknownPlugin { name: String, hint: Option<String> },
    #[error("plugin `{plugin}` has {}; choose one of: {}", if job.is_empty() { "several jobs".to_owned() } else { format!("no job `{job}`") }, known.join(", "))]
    UnknownJob { plugin: String, job: String, known: Vec<String> },
    /// `problems` are a JSON pointer and what is wrong there, each.
    #[error("the parameters don't fit the job's schema: {}", problems.iter().map(|(at, what)| format!("{at}: {what}")).collect::<Vec<_>>().join("; "))]
    Params { problems: Vec<(String, String)> },
}

/// One attempt.
#[derive(Debug, Clone)]
pub struct RunCall {
    pub run_id: Uuid,
    pub job_id: Option<Uuid>,
    /// Proves that this attempt still holds its lease; what it writes to the platform is written only while it does.
    pub lease: Uuid,
    pub project: Option<String>,
    pub plugin: String,
    pub job: String,
    pub params: serde_json::Value,
    /// The run's own secrets by name (`header.<lowercase name>`, `body`); no plugin sees a value.
    pub secrets: BTreeMap<String, Secret>,
    /// From 1.
    pub attempt: u32,
    pub scheduled_for: Option<DateTime<Utc>>,
    pub timeout: Duration,
}

/// Where a run's log and progress go. Never blocks, never fails; beyond its limits it drops and counts.
pub trait RunOutput: Send + Sync + 'static {
    /// The run's time begins: it waits for no place any more. A runner says it once for each run that gets so far.
    fn begun(&self) {}

    /// `fields` is a JSON object, or null.
    fn log(&self, level: LineLevel, message: &str, fields: serde_json::Value);

    fn progress(&self, done: u64, total: Option<u64>, message: &str);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineLevel {
    Debug,
    Info,
    Warn,
    Error,
}

/// A run that succeeded.
#[derive(Debug, Clone, PartialEq)]
pub struct RunReport {
    /// JSON, at most 64 KiB. A number `httpStatus` in it is shown beside the run.
    pub result: serde_json::Value,
}

/// A run that did not.
#[derive(Debug, Clone, PartialEq)]
pub enum RunFailure {
    /// `details` as in [`RunReport::result`]. A run that is not `retryable` (refused, invalid) is not tried again.
    Failed {
        message: String,
        details: Option<serde_json::Value>,
        retryable: bool,
    },
    TimedOut,
    Cancelled,
}
