use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::text_enum::text_enum;

/// Which kind of work a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum JobType {
    /// One HTTP request, made by the `http-job` plugin.
    Http,
    /// A job of the plugin that it names.
    Platform,
}

text_enum!(JobType {
    Http => "http",
    Platform => "platform",
});

/// What happens when a job is due while its last run is still going.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Overlap {
    /// The new run is recorded as skipped.
    #[default]
    Skip,
    /// It waits its turn.
    Queue,
    /// Both run.
    Allow,
}

text_enum!(Overlap {
    Skip => "skip",
    Queue => "queue",
    Allow => "allow",
});

/// What happens with fire times that passed while no scheduler ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum CatchUp {
    /// One run for all of them.
    #[default]
    Once,
    /// They are left out.
    None,
}

text_enum!(CatchUp {
    Once => "once",
    None => "none",
});

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum RunStatus {
    Queued,
    Running,
    Success,
    Fail,
    Timeout,
    Cancelled,
    /// Not run: the one before was still going.
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

/// Why a run exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum RunTrigger {
    Schedule,
    Manual,
    Retry,
    CatchUp,
}

text_enum!(RunTrigger {
    Schedule => "schedule",
    Manual => "manual",
    Retry => "retry",
    CatchUp => "catchUp",
});

/// A job: what runs, and when.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Job {
    pub id: String,
    /// Null: the platform's own.
    pub project_id: Option<String>,
    pub name: String,
    pub r#type: JobType,
    /// 5 fields, 6 with seconds, or `@hourly`, `@daily` and the like.
    pub schedule_cron: String,
    /// IANA name, for example `Europe/Berlin`.
    pub timezone: String,
    pub enabled: bool,
    pub timeout_ms: i32,
    /// After a failed attempt.
    pub retries: i32,
    /// Before the first retry; doubles with each, with some jitter.
    pub retry_backoff_ms: i32,
    pub overlap: Overlap,
    pub catch_up: CatchUp,
    pub http_url: Option<String>,
    pub http_method: Option<String>,
    /// Names; values are write-only and read as null. Empty where the stored ones can't be opened, see `problem`.
    pub http_headers: BTreeMap<String, Option<String>>,
    /// Write-only: reads as `***` where there is one.
    pub http_body: Option<String>,
    pub plugin: Option<String>,
    pub plugin_job: Option<String>,
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub params: serde_json::Value,
    /// The next five fire times; none while disabled.
    pub next_runs: Vec<DateTime<Utc>>,
    pub last_run: Option<Run>,
    /// Why it can't run as it is stored; null where it can.
    pub problem: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// `type`, `name` and `scheduleCron` are needed; an `http` job needs `httpUrl`, a `platform` job `plugin`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateJob {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// 1 to 120 characters.
    pub name: String,
    pub r#type: JobType,
    pub schedule_cron: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// 100 to 86400000. Without it a minute, or for a `platform` job what its plugin asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<i32>,
    /// 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<i32>,
    /// 0 to 3600000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_backoff_ms: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Overlap>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catch_up: Option<CatchUp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_url: Option<String>,
    /// `GET` unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_method: Option<String>,
    /// On PATCH the whole set; a null value keeps what was stored under that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_headers: Option<BTreeMap<String, Option<String>>>,
    /// On PATCH an empty text removes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_body: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// May be left out where the plugin has one job, or one that is called like the plugin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin_job: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub params: Option<serde_json::Value>,
}

/// What is left out stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateJob {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_cron: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// 100 to 86400000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<i32>,
    /// 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<i32>,
    /// 0 to 3600000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_backoff_ms: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Overlap>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catch_up: Option<CatchUp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_url: Option<String>,
    /// `GET` unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_method: Option<String>,
    /// On PATCH the whole set; a null value keeps what was stored under that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_headers: Option<BTreeMap<String, Option<String>>>,
    /// On PATCH an empty text removes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_body: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// May be left out where the plugin has one job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin_job: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub params: Option<serde_json::Value>,
}

/// How far a run is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunProgress {
    pub done: u64,
    pub total: Option<u64>,
    pub message: String,
}

/// One run: an attempt to do a job's work.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Run {
    pub id: String,
    /// Null for work that belongs to no job, for example a backup by hand.
    pub job_id: Option<String>,
    pub project_id: Option<String>,
    pub plugin: String,
    pub plugin_job: String,
    pub status: RunStatus,
    pub trigger: RunTrigger,
    /// From 1.
    pub attempt: i32,
    /// Null for runs by hand.
    pub scheduled_for: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    pub duration_ms: Option<i64>,
    pub http_status: Option<i32>,
    pub error_text: Option<String>,
    pub progress: Option<RunProgress>,
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub result: Option<serde_json::Value>,
    /// Where the whole log is, once it outgrew the database.
    pub log_object_key: Option<String>,
}

/// A run that was begun.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunStarted {
    pub run_id: String,
}

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
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
    pub at: DateTime<Utc>,
    pub level: LogLevel,
    pub message: String,
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub fields: serde_json::Value,
}

/// What to preview.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CronPreviewRequest {
    pub schedule_cron: String,
    /// `UTC` unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Now unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime<Utc>>,
    /// 1 to 100; 5 unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
}

/// When a schedule fires.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CronPreview {
    pub next: Vec<DateTime<Utc>>,
    /// In words, for example `At 03:00, only on Monday`.
    pub description: String,
}
