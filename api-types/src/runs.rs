//! Runs of jobs and their logs.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{text_enum::text_enum, utc_time};

/// The status of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum RunStatus {
    /// Waiting for a scheduler.
    Queued,
    /// In progress.
    Running,
    /// Finished successfully.
    Success,
    /// Failed.
    Fail,
    /// Stopped because it reached its time limit.
    Timeout,
    /// Cancelled by the owner, or removed from the queue because its job was disabled.
    Cancelled,
    /// Not run, because the previous run had not finished, or because too many runs of the job were queued.
    Skipped,
}

text_enum!(RunStatus {
    Queued => "queued",
    Running => "running",
    Success => "success",
    Fail => "fail",
    Timeout => "timeout",
    Cancelled => "cancelled",
    Skipped => "skipped",
});

/// The reason why a run was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum RunTrigger {
    /// The job was due.
    Schedule,
    /// The owner started the run.
    Manual,
    /// The previous attempt failed.
    Retry,
    /// Fire times were missed.
    CatchUp,
}

text_enum!(RunTrigger {
    Schedule => "schedule",
    Manual => "manual",
    Retry => "retry",
    CatchUp => "catchUp",
});

/// The progress of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunProgress {
    /// Amount of work done, in a unit of the plugin's choice.
    pub done: u64,
    /// Total amount of work. Null if unknown.
    pub total: Option<u64>,
    /// What the run is doing.
    pub message: String,
}

/// One execution of a job. Every retry is a run of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Run {
    /// Id of the run.
    pub id: String,
    /// The job. Null for runs that belong to no job, such as a backup that was started manually.
    pub job_id: Option<String>,
    /// Name of the job. Null for runs that belong to no job.
    pub job_name: Option<String>,
    /// The project that the job belongs to. Null for runs of the platform.
    pub project_id: Option<String>,
    /// Name of the project. Null for runs of the platform, and if the project no longer exists.
    pub project_name: Option<String>,
    /// Name of the plugin.
    pub plugin: String,
    /// Name of the plugin's job.
    pub plugin_job: String,
    /// Status of the run.
    pub status: RunStatus,
    /// Why the run was created.
    pub trigger: RunTrigger,
    /// Number of the attempt, starting at 1.
    pub attempt: i32,
    /// Maximum number of attempts, including the first.
    pub max_attempts: i32,
    /// Id of the previous attempt, which may already have been removed. Null for first attempts.
    pub retry_of: Option<String>,
    /// The scheduled time. Null if the run was started manually.
    #[serde(deserialize_with = "utc_time::deserialize_option")]
    pub scheduled_for: Option<DateTime<Utc>>,
    /// When the run was queued.
    #[serde(deserialize_with = "utc_time::deserialize")]
    pub created_at: DateTime<Utc>,
    /// When the run started. Null if it has not started.
    #[serde(deserialize_with = "utc_time::deserialize_option")]
    pub started_at: Option<DateTime<Utc>>,
    /// When the run finished. Null if it has not finished.
    #[serde(deserialize_with = "utc_time::deserialize_option")]
    pub finished_at: Option<DateTime<Utc>>,
    /// Duration, in milliseconds. Null if the run has not finished.
    pub duration_ms: Option<i64>,
    /// HTTP status that the run received. Null if there was none.
    pub http_status: Option<i32>,
    /// Why the run failed, timed out, was skipped or was cancelled. Null if it succeeded or has not ended, or if the
    /// owner cancelled it while it was running.
    pub error_text: Option<String>,
    /// The newest progress report. Null if there is none.
    pub progress: Option<RunProgress>,
    /// Result of the plugin's job. Null if there is none.
    pub result: Option<serde_json::Value>,
    /// Key of the object with the complete log. Null while the log is small enough to be kept in the database.
    pub log_object_key: Option<String>,
}

/// A run with its other attempts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunDetail {
    /// The run.
    #[serde(flatten)]
    pub run: Run,
    /// The attempts of the same work in order, including this one. Attempts that have been removed are not listed.
    pub attempts: Vec<RunAttempt>,
    /// What a queued run waits for. Null if the run is not queued.
    pub waiting: Option<RunWaiting>,
}

/// One of the runs that attempt the same work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunAttempt {
    /// Id of the run.
    pub id: String,
    /// Number of the attempt, starting at 1.
    pub attempt: i32,
    /// Status of the run.
    pub status: RunStatus,
    /// When the run was queued.
    pub created_at: DateTime<Utc>,
    /// When the run started. Null if it has not started.
    pub started_at: Option<DateTime<Utc>>,
    /// Duration, in milliseconds. Null if the run has not finished.
    pub duration_ms: Option<i64>,
    /// Why the run failed, timed out, was skipped or was cancelled. Null if it succeeded or has not ended, or if the
    /// owner cancelled it while it was running.
    pub error_text: Option<String>,
}

/// The condition for which a queued run waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunWaiting {
    /// The reason.
    pub reason: WaitReason,
    /// When the run may start. Null unless `reason` is `time`.
    pub until: Option<DateTime<Utc>>,
    /// The run of the same job that must end first. Null unless `reason` is `overlap`.
    pub run_id: Option<String>,
}

/// The reason why a queued run has not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum WaitReason {
    /// The run is a retry, and its delay has not passed.
    Time,
    /// Another run of the job has not ended, and runs of the job may not overlap.
    Overlap,
    /// No process that runs jobs has reported within 30 seconds.
    Scheduler,
    /// None of the other reasons applies: the run waits for free capacity, or for earlier queued runs.
    Turn,
}

text_enum!(WaitReason {
    Time => "time",
    Overlap => "overlap",
    Scheduler => "scheduler",
    Turn => "turn",
});

/// One of a job's recent runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecentRun {
    /// Id of the run.
    pub id: String,
    /// Status of the run.
    pub status: RunStatus,
    /// When the run was queued.
    pub created_at: DateTime<Utc>,
    /// When the run started. Null if it has not started.
    pub started_at: Option<DateTime<Utc>>,
    /// Duration, in milliseconds. Null if the run has not finished.
    pub duration_ms: Option<i64>,
}

/// The length of a period of [`RunSummary`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum SummaryPeriod {
    /// An hour.
    Hour,
    /// A day, in UTC.
    Day,
}

text_enum!(SummaryPeriod {
    Hour => "hour",
    Day => "day",
});

/// Counts of runs, over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunSummary {
    /// Only runs that were queued at or after this time are counted.
    pub from: DateTime<Utc>,
    /// Only runs that were queued before this time are counted.
    pub to: DateTime<Utc>,
    /// Length of the periods.
    pub by: SummaryPeriod,
    /// The counts of all these runs.
    #[serde(flatten)]
    pub counts: RunCounts,
    /// The counts of each period in order, including periods without runs.
    pub items: Vec<RunPeriod>,
}

/// Counts of runs in a period.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunPeriod {
    /// Start of the period.
    pub at: DateTime<Utc>,
    /// Counts of the runs that were queued in the period.
    #[serde(flatten)]
    pub counts: RunCounts,
}

/// Counts of runs by status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunCounts {
    /// All runs.
    pub total: i64,
    /// Runs that failed or timed out.
    pub failed: i64,
    /// Runs that succeeded.
    pub succeeded: i64,
    /// Runs that were cancelled.
    pub cancelled: i64,
    /// Runs that were skipped.
    pub skipped: i64,
    /// Runs that have not ended.
    pub active: i64,
}

/// A run that was started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunStarted {
    /// Id of the run.
    pub run_id: String,
}

/// The importance of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum LogLevel {
    /// Details for troubleshooting.
    Debug,
    /// Normal operation.
    Info,
    /// A problem that did not stop the run.
    Warn,
    /// A failure.
    Error,
}

text_enum!(LogLevel {
    Debug => "debug",
    Info => "info",
    Warn => "warn",
    Error => "error",
});

/// One line of a run's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogLine {
    /// When the line was written.
    pub at: DateTime<Utc>,
    /// How important the line is.
    pub level: LogLevel,
    /// The text.
    pub message: String,
    /// Fields of the line as an object. Empty if there are none.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub fields: serde_json::Value,
}
