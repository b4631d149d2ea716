//! Rules for a job's definition. Everything the owner sends is checked here before it is sealed or stored.

use std::collections::{BTreeMap, BTreeSet};

use api_types::{CreateJob, JobType, UpdateJob};

use crate::error::{ApiError, ApiResult};
use crate::jobs::{Schedule, ScheduleError};

pub(super) const HTTP_PLUGIN: &str = "http-job";
pub(super) const HTTP_PLUGIN_JOB: &str = "request";

const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];
const MAX_URL_BYTES: usize = 2048;
const MAX_HEADERS: usize = 50;
const MAX_HEADER_BYTES: usize = 8192;
const MAX_BODY_BYTES: usize = 256 << 10;
const MAX_PARAMS_BYTES: usize = 64 << 10;
/// Headers of the connection, which the host sets itself.
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

/// Fields that belong to only one type of job.
struct TypeFields<'a> {
    http: [(&'static str, bool); 4],
    platform: [(&'static str, bool); 2],
    headers: Option<&'a BTreeMap<String, Option<String>>>,
}

pub(super) fn parse_schedule(expression: &str, timezone: &str) -> ApiResult<Schedule> {
    Schedule::parse(expression, timezone).map_err(|error| {
        let field = if matches!(error, ScheduleError::UnknownZone(_)) { "timezone" } else { "scheduleCron" };
        ApiError::invalid(format!("`{field}`: {error}."))
            .with_hint("`POST /admin/v1/cron/preview` shows the fire times of a schedule.")
    })
}

/// Checks a new job as far as that is possible without its plugin.
pub(super) fn check_new(job: &CreateJob) -> ApiResult<()> {
    check_name(&job.name)?;
    check_numbers(job.timeout_ms, job.retries, job.retry_backoff_ms)?;
    let fields = TypeFields {
        http: [
            ("httpUrl", job.http_url.is_some()),
            ("httpMethod", job.http_method.is_some()),
            ("httpHeaders", job.http_headers.is_some()),
            ("httpBody", job.http_body.is_some()),
        ],
        platform: [("plugin", job.plugin.is_some()), ("pluginJob", job.plugin_job.is_some())],
        headers: job.http_headers.as_ref(),
    };
    check_type_fields(job.r#type, &fields)?;
    if let Some(name) = job.http_headers.iter().flatten().find(|(_, value)| value.is_none()).map(|(name, _)| name) {
        return Err(ApiError::invalid(format!("`httpHeaders`: `{name}` needs a value.")));
    }
    check_params(job.r#type, job.params.as_ref())
}

/// Checks a change as far as that is possible without the job's plugin.
pub(super) fn check_change(job_type: JobType, change: &UpdateJob) -> ApiResult<()> {
    if let Some(name) = &change.name {
        check_name(name)?;
    }
    check_numbers(change.timeout_ms, change.retries, change.retry_backoff_ms)?;
    let fields = TypeFields {
        http: [
            ("httpUrl", change.http_url.is_some()),
            ("httpMethod", change.http_method.is_some()),
            ("httpHeaders", change.http_headers.is_some()),
            ("httpBody", change.http_body.is_some()),
        ],
        platform: [("plugin", change.plugin.is_some()), ("pluginJob", change.plugin_job.is_some())],
        headers: change.http_headers.as_ref(),
    };
    check_type_fields(job_type, &fields)?;
    check_params(job_type, change.params.as_ref())
}

/// Checks the complete request of an HTTP job.
pub(super) fn check_request(url: &str, method: &str, body: Option<&str>, has_body: bool) -> ApiResult<()> {
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
    if !METHODS.contains(&method) {
        return Err(ApiError::invalid(format!("`httpMethod` must be one of {}.", METHODS.join(", "))));
    }
    if has_body && matches!(method, "GET" | "HEAD") {
        return Err(ApiError::invalid(format!("A {method} request has no body: leave `httpBody` out.")));
    }
    if body.is_some_and(|body| body.len() > MAX_BODY_BYTES) {
        return Err(ApiError::invalid("`httpBody` is larger than 256 KiB."));
    }
    Ok(())
}

fn check_name(name: &str) -> ApiResult<()> {
    let length = name.trim().chars().count();
    if !(1..=120).contains(&length) || name.chars().any(char::is_control) {
        return Err(ApiError::invalid("`name` must have 1 to 120 characters, none of them a control character."));
    }
    Ok(())
}

fn check_numbers(timeout_ms: Option<i32>, retries: Option<i32>, retry_backoff_ms: Option<i32>) -> ApiResult<()> {
    let check = |field: &str, value: Option<i32>, min: i32, max: i32| match value {
        Some(value) if !(min..=max).contains(&value) => {
            Err(ApiError::invalid(format!("`{field}` must be from {min} to {max}.")))
        }
        _ => Ok(()),
    };
    check("timeoutMs", timeout_ms, 100, 86_400_000)?;
    check("retries", retries, 0, 100)?;
    check("retryBackoffMs", retry_backoff_ms, 0, 3_600_000)
}

fn check_type_fields(job_type: JobType, fields: &TypeFields<'_>) -> ApiResult<()> {
    let foreign: &[_] = match job_type {
        JobType::Http => &fields.platform,
        JobType::Platform => &fields.http,
    };
    if let Some((field, _)) = foreign.iter().find(|(_, given)| *given) {
        return Err(ApiError::invalid(format!("A job of type `{job_type}` has no `{field}`.")));
    }
    let Some(headers) = fields.headers else { return Ok(()) };
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
            return invalid(format!("`{name}` is set by the server"));
        }
        // Values are secret, so messages don't contain them.
        if let Some(value) = value
            && (value.len() > MAX_HEADER_BYTES || axum::http::HeaderValue::from_str(value).is_err())
        {
            return invalid(format!(
                "the value of `{name}` is too long or contains characters that are not allowed in a header"
            ));
        }
        if !seen.insert(lower) {
            return invalid(format!("`{name}` is given twice"));
        }
    }
    Ok(())
}

fn check_params(job_type: JobType, params: Option<&serde_json::Value>) -> ApiResult<()> {
    let Some(params) = params else { return Ok(()) };
    let Some(object) = params.as_object() else { return Err(ApiError::invalid("`params` must be a JSON object.")) };
    if job_type == JobType::Http && !object.is_empty() {
        return Err(ApiError::invalid("A job of type `http` has no `params`."));
    }
    let text = params.to_string();
    if text.len() > MAX_PARAMS_BYTES {
        return Err(ApiError::invalid("`params` is larger than 64 KiB."));
    }
    if text.contains("\\u0000") {
        return Err(ApiError::invalid("`params` contains a NUL character, which Postgres can't store."));
    }
    Ok(())
}
