//! Rules for a job's definition that need neither the database nor a plugin. They are checked before the definition is
//! stored.

use std::collections::{BTreeMap, BTreeSet};

use api_types::{CheckJob, CreateJob, JobType, UpdateJob};

use super::sealed::Body;
use crate::{
    error::{ApiError, ApiResult},
    jobs::{Schedule, ScheduleError},
};

pub(super) const HTTP_PLUGIN: &str = "http-job";
pub(super) const HTTP_PLUGIN_JOB: &str = "request";
/// The plugin and the job whose parameter `target` names a database that must exist.
pub(super) const BACKUP_PLUGIN: &str = "backup";
pub(super) const BACKUP_PLUGIN_JOB: &str = "backup";

const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];
const MAX_URL_BYTES: usize = 2048;
const MAX_HEADERS: usize = 50;
const MAX_HEADER_BYTES: usize = 8192;
const MAX_BODY_BYTES: usize = 256 << 10;
const MAX_PARAMS_BYTES: usize = 64 << 10;
/// HTTP headers that control the connection. The server alone decides about them.
const RESERVED_HEADERS: &[&str] = &[
    "host",
    "content-length",
    "connection",
    "expect",
    "http2-settings",
    "transfer-encoding",
    "upgrade",
    "keep-alive",
    "te",
    "trailer",
];

/// Fields that belong to only one type of job, and whether they are given.
pub(super) struct TypeFields {
    http: [(&'static str, bool); 4],
    platform: [(&'static str, bool); 2],
}

/// Returns the [`TypeFields`] of a definition.
macro_rules! type_fields {
    ($job:expr) => {
        TypeFields {
            http: [
                ("httpUrl", $job.http_url.is_some()),
                ("httpMethod", $job.http_method.is_some()),
                ("httpHeaders", $job.http_headers.is_some()),
                ("httpBody", $job.http_body.is_some()),
            ],
            platform: [("plugin", $job.plugin.is_some()), ("pluginJob", $job.plugin_job.is_some())],
        }
    };
}

/// A numeric field of a definition, with its range.
pub(super) struct NumberField {
    pub(super) name: &'static str,
    min: i32,
    max: i32,
}

pub(super) const TIMEOUT_MS: NumberField = NumberField { name: "timeoutMs", min: 100, max: 86_400_000 };
pub(super) const RETRIES: NumberField = NumberField { name: "retries", min: 0, max: 100 };
pub(super) const RETRY_BACKOFF_MS: NumberField = NumberField { name: "retryBackoffMs", min: 0, max: 3_600_000 };

impl NumberField {
    pub(super) fn check(&self, value: Option<i32>) -> ApiResult<()> {
        let Self { name, min, max } = self;
        match value {
            Some(value) if !(*min..=*max).contains(&value) => {
                Err(ApiError::invalid(format!("`{name}` must be from {min} to {max}.")))
            }
            _ => Ok(()),
        }
    }
}

pub(super) fn parse_schedule(expression: &str, timezone: &str) -> ApiResult<Schedule> {
    Schedule::parse(expression, timezone).map_err(|error| {
        ApiError::invalid(format!("`{}`: {error}.", field_of(&error)))
            .with_hint("`POST /admin/v1/cron/preview` shows the fire times of a schedule.")
    })
}

/// Returns the field that causes the error.
pub(super) fn field_of(error: &ScheduleError) -> &'static str {
    if matches!(error, ScheduleError::UnknownZone(_)) { "timezone" } else { "scheduleCron" }
}

/// Checks a new job as far as that is possible without its plugin.
pub(super) fn check_new(job: &CreateJob) -> ApiResult<()> {
    check_name(&job.name)?;
    check_numbers(job.timeout_ms, job.retries, job.retry_backoff_ms)?;
    check_type_fields(job.r#type, &type_fields!(job))?;
    check_headers(job.http_headers.as_ref())?;
    check_new_headers(job.http_headers.as_ref())?;
    check_params(job.r#type, job.params.as_ref())
}

/// Checks a change as far as that is possible without the job's plugin.
pub(super) fn check_change(job_type: JobType, change: &UpdateJob) -> ApiResult<()> {
    if let Some(name) = &change.name {
        check_name(name)?;
    }
    check_numbers(change.timeout_ms, change.retries, change.retry_backoff_ms)?;
    check_type_fields(job_type, &type_fields!(change))?;
    check_headers(change.http_headers.as_ref())?;
    check_params(job_type, change.params.as_ref())
}

/// Returns the fields of a definition that its type of job does not have.
pub(super) fn foreign_fields(job_type: JobType, job: &CheckJob) -> Vec<&'static str> {
    type_fields!(job).foreign(job_type).collect()
}

/// The body of an HTTP job's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestBody<'a> {
    None,
    /// The stored body.
    Stored,
    New(&'a str),
}

impl<'a> RequestBody<'a> {
    /// Returns the body after a change. An empty new body removes the stored one.
    pub(super) fn after_change(new: Option<&'a Body>, stored: Option<&[u8]>) -> Self {
        match (new.map(Body::text), stored) {
            (Some(""), _) | (None, None) => Self::None,
            (Some(text), _) => Self::New(text),
            (None, Some(_)) => Self::Stored,
        }
    }
}

/// Checks the complete request of an HTTP job.
pub(super) fn check_request(url: &str, method: &str, body: RequestBody<'_>) -> ApiResult<()> {
    check_url(url)?;
    check_method(method)?;
    check_body(method, body)
}

pub(super) fn check_url(url: &str) -> ApiResult<url::Url> {
    let invalid_url = |problem: &str| ApiError::invalid(format!("`httpUrl` {problem}."));
    if url.len() > MAX_URL_BYTES {
        return Err(invalid_url("is longer than 2048 bytes"));
    }
    if url.chars().any(|character| character.is_control() || character.is_whitespace()) {
        return Err(invalid_url("contains a space or a control character; percent-encode it"));
    }
    let parsed =
        url::Url::parse(url).map_err(|_| invalid_url("is not an absolute URL such as https://example.com/path"))?;
    if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
        return Err(invalid_url("must start with http:// or https://"));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(invalid_url("must not contain a user or password; send them in the header `authorization`"));
    }
    Ok(parsed)
}

pub(super) fn check_method(method: &str) -> ApiResult<()> {
    if METHODS.contains(&method) {
        return Ok(());
    }
    Err(ApiError::invalid(format!("`httpMethod` must be one of {}.", METHODS.join(", "))))
}

pub(super) fn check_body(method: &str, body: RequestBody<'_>) -> ApiResult<()> {
    let takes_none = matches!(method, "GET" | "HEAD");
    match body {
        RequestBody::Stored if takes_none => Err(ApiError::invalid(format!(
            "A {method} request has no body, but one is stored: send `\"httpBody\": \"\"` to remove it."
        ))),
        RequestBody::New(_) if takes_none => {
            Err(ApiError::invalid(format!("A {method} request has no body: leave `httpBody` out.")))
        }
        RequestBody::New(text) if text.len() > MAX_BODY_BYTES => {
            Err(ApiError::invalid("`httpBody` is larger than 256 KiB."))
        }
        _ => Ok(()),
    }
}

pub(super) fn check_name(name: &str) -> ApiResult<()> {
    let length = name.trim().chars().count();
    if !(1..=120).contains(&length) || name.chars().any(char::is_control) {
        return Err(ApiError::invalid("`name` must have 1 to 120 characters, none of them a control character."));
    }
    Ok(())
}

fn check_numbers(timeout_ms: Option<i32>, retries: Option<i32>, retry_backoff_ms: Option<i32>) -> ApiResult<()> {
    TIMEOUT_MS.check(timeout_ms)?;
    RETRIES.check(retries)?;
    RETRY_BACKOFF_MS.check(retry_backoff_ms)
}

impl TypeFields {
    /// Returns the given fields that the type does not have.
    fn foreign(&self, job_type: JobType) -> impl Iterator<Item = &'static str> {
        let foreign: &[_] = match job_type {
            JobType::Http => &self.platform,
            JobType::Platform => &self.http,
        };
        foreign.iter().filter(|(_, given)| *given).map(|(field, _)| *field)
    }
}

fn check_type_fields(job_type: JobType, fields: &TypeFields) -> ApiResult<()> {
    match fields.foreign(job_type).next() {
        Some(field) => Err(foreign_field(job_type, field)),
        None => Ok(()),
    }
}

pub(super) fn foreign_field(job_type: JobType, field: &str) -> ApiError {
    ApiError::invalid(format!("A job of type `{job_type}` has no `{field}`."))
}

/// Checks that a new job has a value for each of its headers.
pub(super) fn check_new_headers(headers: Option<&BTreeMap<String, Option<String>>>) -> ApiResult<()> {
    match headers.into_iter().flatten().find(|(_, value)| value.is_none()) {
        Some((name, _)) => Err(ApiError::invalid(format!("`httpHeaders`: `{name}` needs a value."))),
        None => Ok(()),
    }
}

pub(super) fn check_headers(headers: Option<&BTreeMap<String, Option<String>>>) -> ApiResult<()> {
    let Some(headers) = headers else { return Ok(()) };
    let invalid = |problem: String| Err(ApiError::invalid(format!("`httpHeaders`: {problem}.")));
    if headers.len() > MAX_HEADERS {
        return invalid(format!("more than {MAX_HEADERS} headers"));
    }
    let mut seen = BTreeSet::new();
    for (name, value) in headers {
        let lower = name.to_ascii_lowercase();
        if axum::http::HeaderName::from_bytes(lower.as_bytes()).is_err() {
            return invalid(format!("`{}` is not a valid header name", name.escape_debug()));
        }
        if RESERVED_HEADERS.contains(&lower.as_str()) || lower.starts_with("proxy-") {
            return invalid(format!("`{name}` can't be set by a job"));
        }
        // Values are secret, so messages don't contain them.
        if let Some(value) = value
            && (value.len() > MAX_HEADER_BYTES || axum::http::HeaderValue::from_str(value).is_err())
        {
            return invalid(format!(
                "the value of `{name}` has more than {MAX_HEADER_BYTES} bytes, or characters that headers can't have"
            ));
        }
        if !seen.insert(lower) {
            return invalid(format!("`{name}` is given twice"));
        }
    }
    Ok(())
}

pub(super) fn check_params(job_type: JobType, params: Option<&serde_json::Value>) -> ApiResult<()> {
    let Some(params) = params else { return Ok(()) };
    let Some(object) = params.as_object() else { return Err(ApiError::invalid("`params` must be a JSON object.")) };
    if job_type == JobType::Http && !object.is_empty() {
        return Err(ApiError::invalid("A job of type `http` has no `params`."));
    }
    if params.to_string().len() > MAX_PARAMS_BYTES {
        return Err(ApiError::invalid("`params` is larger than 64 KiB."));
    }
    if contains_nul(params) {
        return Err(ApiError::invalid("`params` contains a NUL character, which Postgres can't store."));
    }
    Ok(())
}

/// Returns whether a string or a field name in the value contains a NUL character.
fn contains_nul(value: &serde_json::Value) -> bool {
    use serde_json::Value::{Array, Object, String};
    match value {
        String(text) => text.contains('\0'),
        Array(items) => items.iter().any(contains_nul),
        Object(fields) => fields.iter().any(|(name, field)| name.contains('\0') || contains_nul(field)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn params_with_a_nul_character_are_rejected() {
        let check = |params: serde_json::Value, expected: bool| {
            assert_eq!(check_params(JobType::Platform, Some(&params)).is_ok(), expected, "{params}");
        };
        check(json!({ "a": ["b\0c"] }), false);
        check(json!({ "a\0": 1 }), false);
        // A backslash and the letters `u0000`.
        check(json!({ "pattern": r"\u0000" }), true);
    }

    #[test]
    fn refusal_of_a_body_says_how_to_remove_a_stored_one() {
        let check = |method: &str, body: RequestBody<'_>, expected: &str| {
            let found = check_body(method, body).err().map(|error| error.message().to_owned()).unwrap_or_default();
            assert!(found.contains(expected) && found.is_empty() == expected.is_empty(), "{method} {body:?}: {found}");
        };
        check("GET", RequestBody::None, "");
        check("POST", RequestBody::Stored, "");
        check("POST", RequestBody::New("text"), "");
        check("HEAD", RequestBody::New("text"), "leave `httpBody` out");
        check("GET", RequestBody::Stored, "send `\"httpBody\": \"\"` to remove it");
    }
}
