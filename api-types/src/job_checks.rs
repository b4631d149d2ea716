//! Checks of a job before it is saved.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::jobs::{CatchUp, JobType, Overlap};

/// A job's definition to check, as far as it is known. The fields have the same meaning as in `CreateJob`. With
/// `jobId`, fields that are absent have the values that are stored.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CheckJob {
    /// The job to change. Without it, the check is for a new job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// The project that the job belongs to, which can't be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// Name of the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Kind of the job, which can't be changed. Required unless `jobId` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#type: Option<JobType>,
    /// When the job runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_cron: Option<String>,
    /// Time zone of the schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Whether the schedule is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Time limit of one attempt, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<i32>,
    /// Number of retries after a failed attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<i32>,
    /// Delay before the first retry, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_backoff_ms: Option<i32>,
    /// What happens when the job is due while its previous run has not finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Overlap>,
    /// What happens with missed fire times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catch_up: Option<CatchUp>,
    /// URL of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_url: Option<String>,
    /// Method of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_method: Option<String>,
    /// Headers of the request. Null as a value keeps the stored value of that header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_headers: Option<BTreeMap<String, Option<String>>>,
    /// Body of the request: a string, or any other JSON value to send as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<serde_json::Value>))]
    pub http_body: Option<Box<RawValue>>,
    /// Name of the plugin to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// Name of the plugin's job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin_job: Option<String>,
    /// Parameters of the plugin's job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub params: Option<serde_json::Value>,
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobCheck {
    /// Why the job would be refused. Empty if it can be saved.
    pub errors: Vec<JobFieldError>,
    /// Whether `ATLASHUB_HTTP_ALLOWED_HOSTS` and the plugin's approval allow requests to the host of `httpUrl`. Null if
    /// there is no valid URL to check.
    pub host_allowed: Option<bool>,
    /// The host of `httpUrl`, with the port if the URL names one. Null if there is no valid URL.
    pub host: Option<String>,
    /// The next five fire times, as if the schedule were active. Empty if the schedule is not valid.
    pub next_runs: Vec<DateTime<Utc>>,
    /// The schedule in words. Null if the schedule is not valid.
    pub description: Option<String>,
}

/// A problem of one field of a job's definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobFieldError {
    /// The field, for example `httpUrl`.
    pub field: String,
    /// The location inside `params` as a JSON pointer, for example `/retention/keepLast`. Null for other fields.
    pub path: Option<String>,
    /// Description of the problem, and what to do.
    pub message: String,
}
