//! Runs of jobs and their logs.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::text_enum::text_enum;

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
    /// Stopped by the owner.
    Cancelled,
    /// Not run, because the previous run had not finished.
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

/// Why a run was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum RunTrigger {
    /// The job was due.
    Schedule,
    /// The owner started it.
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
#[derive(Debug, Clone, Serialize, Deserialize)]
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

/// One attempt to run a job.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Run {
    /// Id of the run.
    pub id: String,
    /// The job. Null for runs that belong to no job, such as a backup that was started manually.
    pub job_id: Option<String>,
    /// The project that the job belongs to. Null for runs of the platform.
    pub project_id: Option<String>,
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
    /// The scheduled time. Null if the run was started manually.
    pub scheduled_for: Option<DateTime<Utc>>,
    /// When the run was queued.
    pub created_at: DateTime<Utc>,
    /// When the run started. Null if it has not started.
    pub started_at: Option<DateTime<Utc>>,
    /// When the run finished. Null if it has not finished.
    pub finished_at: Option<DateTime<Utc>>,
    /// Duration, in milliseconds. Null if the run has not finished.
    pub duration_ms: Option<i64>,
    /// HTTP status that the run received. Null if there was none.
    pub http_status: Option<i32>,
    /// Why the run failed. Null if it did not fail.
    pub error_text: Option<String>,
    /// The newest progress report. Null if there is none.
    pub progress: Option<RunProgress>,
    /// Result of the plugin's job. Null if there is none.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub result: Option<serde_json::Value>,
    /// Key of the object with the complete log. Null while the log is small enough to be kept in the database.
    pub log_object_key: Option<String>,
}

/// A run that was started.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunStarted {
    /// Id of the run.
    pub run_id: String,
}

/// How important a log line is.
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
#[derive(Debug, Clone, Serialize, Deserialize)]
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
