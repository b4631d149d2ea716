//! Jobs, their runs and their schedules.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::text_enum::text_enum;

/// The kind of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum JobType {
    /// Sends one HTTP request with the plugin `http-job`.
    Http,
    /// Runs a job of the plugin named in `plugin`.
    Platform,
}

text_enum!(JobType {
    Http => "http",
    Platform => "platform",
});

/// What happens when a job is due while its previous run has not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Overlap {
    /// The new run is recorded as skipped.
    #[default]
    Skip,
    /// The new run waits for the previous one.
    Queue,
    /// Both run at the same time.
    Allow,
}

text_enum!(Overlap {
    Skip => "skip",
    Queue => "queue",
    Allow => "allow",
});

/// What happens with fire times that were missed because no scheduler was running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum CatchUp {
    /// One run makes up for all of them.
    #[default]
    Once,
    /// They are not made up for.
    None,
}

text_enum!(CatchUp {
    Once => "once",
    None => "none",
});

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

/// A job: what to run, and when.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Job {
    /// Id of the job.
    pub id: String,
    /// The project that the job belongs to. Null for jobs of the platform.
    pub project_id: Option<String>,
    /// Name of the job.
    pub name: String,
    /// Kind of the job.
    pub r#type: JobType,
    /// When the job runs: a cron expression with 5 fields, or 6 with seconds, or a macro such as `@hourly` or `@daily`.
    pub schedule_cron: String,
    /// Time zone of the schedule, as an IANA name, for example `Europe/Berlin`.
    pub timezone: String,
    /// Whether the schedule is active. A disabled job can be run manually.
    pub enabled: bool,
    /// Time limit of one attempt, in milliseconds.
    pub timeout_ms: i32,
    /// Number of retries after a failed attempt.
    pub retries: i32,
    /// Delay before the first retry, in milliseconds. The delay doubles with each retry and has some jitter.
    pub retry_backoff_ms: i32,
    /// What happens when the job is due while its previous run has not finished.
    pub overlap: Overlap,
    /// What happens with missed fire times.
    pub catch_up: CatchUp,
    /// URL of the request. Null unless `type` is `http`.
    pub http_url: Option<String>,
    /// Method of the request. Null unless `type` is `http`.
    pub http_method: Option<String>,
    /// Headers of the request. The values are write-only and read as null. Empty if the stored values cannot be
    /// decrypted, see `problem`.
    pub http_headers: BTreeMap<String, Option<String>>,
    /// Body of the request. Write-only: reads as `***` if there is one, and as null if there is none.
    pub http_body: Option<String>,
    /// Name of the plugin that the job runs. Null for jobs of type `http`.
    pub plugin: Option<String>,
    /// Name of the plugin's job. Null for jobs of type `http`.
    pub plugin_job: Option<String>,
    /// Parameters of the plugin's job.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub params: serde_json::Value,
    /// The next five fire times. Empty if the job is disabled.
    pub next_runs: Vec<DateTime<Utc>>,
    /// The newest run. Null if the job has never run.
    pub last_run: Option<Run>,
    /// Why the job cannot run as it is stored. Null if it can.
    pub problem: Option<String>,
    /// When the job was created.
    pub created_at: DateTime<Utc>,
    /// When the job was last changed.
    pub updated_at: DateTime<Utc>,
}

/// A job to create. `type`, `name` and `scheduleCron` are required. A job of type `http` also needs `httpUrl`, a job of
/// type `platform` needs `plugin`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateJob {
    /// The project that the job belongs to. Without it, the job belongs to the platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// Name of the job, 1 to 120 characters.
    pub name: String,
    /// Kind of the job.
    pub r#type: JobType,
    /// When the job runs: a cron expression with 5 fields, or 6 with seconds, or a macro such as `@hourly` or `@daily`.
    pub schedule_cron: String,
    /// Time zone of the schedule, as an IANA name (default `UTC`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Whether the schedule is active (default true).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Time limit of one attempt, 100 to 86400000 milliseconds. The default is one minute for jobs of type `http`, and
    /// the limit that the plugin requests for jobs of type `platform`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<i32>,
    /// Number of retries after a failed attempt, 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<i32>,
    /// Delay before the first retry, 0 to 3600000 milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_backoff_ms: Option<i32>,
    /// What happens when the job is due while its previous run has not finished (default `skip`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Overlap>,
    /// What happens with missed fire times (default `once`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catch_up: Option<CatchUp>,
    /// Absolute `http` or `https` URL of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_url: Option<String>,
    /// Method of the request (default `GET`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_method: Option<String>,
    /// Headers of the request. The values are stored encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_headers: Option<BTreeMap<String, Option<String>>>,
    /// Body of the request. Stored encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_body: Option<String>,
    /// Name of the plugin to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// Name of the plugin's job. Optional if the plugin has one job, or a job with the same name as the plugin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin_job: Option<String>,
    /// Parameters of the plugin's job. They must match the job's schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub params: Option<serde_json::Value>,
}

/// Changes to a job. Fields that are absent stay as they are.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateJob {
    /// Name of the job, 1 to 120 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When the job runs: a cron expression with 5 fields, or 6 with seconds, or a macro such as `@hourly` or `@daily`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_cron: Option<String>,
    /// Time zone of the schedule, as an IANA name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Whether the schedule is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Time limit of one attempt, 100 to 86400000 milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<i32>,
    /// Number of retries after a failed attempt, 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<i32>,
    /// Delay before the first retry, 0 to 3600000 milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_backoff_ms: Option<i32>,
    /// What happens when the job is due while its previous run has not finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Overlap>,
    /// What happens with missed fire times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catch_up: Option<CatchUp>,
    /// Absolute `http` or `https` URL of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_url: Option<String>,
    /// Method of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_method: Option<String>,
    /// Headers of the request. Replaces all headers; null as a value keeps the stored value of that header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_headers: Option<BTreeMap<String, Option<String>>>,
    /// Body of the request. An empty string removes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_body: Option<String>,
    /// Name of the plugin to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// Name of the plugin's job. Optional if the plugin has one job, or a job with the same name as the plugin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin_job: Option<String>,
    /// Parameters of the plugin's job. Replaces all parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub params: Option<serde_json::Value>,
}

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
    /// Fields of the line as an object. Null if there are none.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub fields: serde_json::Value,
}

/// A schedule to preview.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CronPreviewRequest {
    /// A cron expression with 5 fields, or 6 with seconds, or a macro such as `@hourly` or `@daily`.
    pub schedule_cron: String,
    /// Time zone of the schedule, as an IANA name (default `UTC`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Returns fire times after this time (default now).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime<Utc>>,
    /// Number of fire times, 1 to 100 (default 5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
}

/// The fire times of a schedule.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CronPreview {
    /// The next fire times in order.
    pub next: Vec<DateTime<Utc>>,
    /// The schedule in words, for example `At 03:00, only on Monday`.
    pub description: String,
}
