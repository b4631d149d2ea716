//! Jobs and their schedules.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    runs::{RecentRun, Run},
    text_enum::text_enum,
};

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

/// The reaction to a job that is due while its previous run has not finished.
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

/// The reaction to missed fire times, for example because no scheduler was running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum CatchUp {
    /// One run is started for all missed fire times.
    #[default]
    Once,
    /// No run is started for missed fire times.
    None,
}

text_enum!(CatchUp {
    Once => "once",
    None => "none",
});

/// A job: what to run, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// Delay before the first retry, in milliseconds. The delay doubles with each retry, up to a day, and is extended
    /// at random by up to a quarter.
    pub retry_backoff_ms: i32,
    /// What happens when the job is due while its previous run has not finished.
    pub overlap: Overlap,
    /// What happens with missed fire times.
    pub catch_up: CatchUp,
    /// URL of the request. Null unless `type` is `http`.
    pub http_url: Option<String>,
    /// Method of the request. Null unless `type` is `http`.
    pub http_method: Option<String>,
    /// Headers of the request. The values are write-only and read as null. Empty if the stored values can't be
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
    /// The next five fire times. Empty if the job is disabled, or if its schedule is not valid, see `problem`.
    pub next_runs: Vec<DateTime<Utc>>,
    /// The newest run that was not skipped; if all were, the newest run. Null if the job has no runs.
    pub last_run: Option<Run>,
    /// The newest runs, newest first. Absent unless the request contains `recentRuns`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recent_runs: Option<Vec<RecentRun>>,
    /// Number of runs in the history.
    pub run_count: i64,
    /// The failures since the last success. Null if there are none. A run and its retries count once.
    pub failing: Option<JobFailures>,
    /// Why the job can't run as it is stored. Null if it can.
    pub problem: Option<String>,
    /// When the job was created.
    pub created_at: DateTime<Utc>,
    /// When the job was last changed.
    pub updated_at: DateTime<Utc>,
}

/// The failures of a job since its last success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobFailures {
    /// Number of failed runs.
    pub count: i64,
    /// When the first of them was queued.
    pub since: DateTime<Utc>,
    /// Id of the newest of them.
    pub run_id: String,
    /// Why the newest of them failed. Null if unknown.
    pub error_text: Option<String>,
}

/// A state of jobs that a list can be filtered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum JobState {
    /// A run failed, and none has succeeded since.
    Failing,
    /// The job can't run as it is stored.
    Problem,
    /// The schedule is not active.
    Disabled,
}

text_enum!(JobState {
    Failing => "failing",
    Problem => "problem",
    Disabled => "disabled",
});

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
    /// Time limit of one attempt, 100 to 86400000 milliseconds, and not above the limit of the plugin's runs. The
    /// default is one minute for jobs of type `http`, and the plugin's limit for jobs of type `platform`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<i32>,
    /// Number of retries after a failed attempt, 0 to 100 (default 0).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<i32>,
    /// Delay before the first retry, 0 to 3600000 milliseconds (default 1000).
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
    /// Method of the request: `GET` (default), `POST`, `PUT`, `PATCH`, `DELETE` or `HEAD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_method: Option<String>,
    /// Headers of the request, each with a value. The values are stored encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_headers: Option<BTreeMap<String, Option<String>>>,
    /// Body of the request. A string is sent as it is. Any other JSON value is sent as JSON, as it was written, with
    /// the content type `application/json` unless the headers name another one. Stored encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<serde_json::Value>))]
    pub http_body: Option<Box<RawValue>>,
    /// Name of the plugin to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// Name of the plugin's job. Optional if the plugin has one job, or a job with the same name as the plugin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin_job: Option<String>,
    /// Parameters of the plugin's job (default `{}`). They must match the job's schema.
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
    /// Time limit of one attempt, 100 to 86400000 milliseconds, and not above the limit of the plugin's runs. Required
    /// with another `plugin` if the stored time limit is above the limit of its runs.
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
    /// Method of the request: `GET`, `POST`, `PUT`, `PATCH`, `DELETE` or `HEAD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_method: Option<String>,
    /// Headers of the request. Replaces all headers; null as a value keeps the stored value of that header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_headers: Option<BTreeMap<String, Option<String>>>,
    /// Body of the request: a string, or any other JSON value to send as JSON. An empty string removes it; null keeps
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<serde_json::Value>))]
    pub http_body: Option<Box<RawValue>>,
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

/// A schedule to preview.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CronPreview {
    /// The next fire times in order.
    pub next: Vec<DateTime<Utc>>,
    /// The schedule in words, for example `At 03:00, on Monday`.
    pub description: String,
}
