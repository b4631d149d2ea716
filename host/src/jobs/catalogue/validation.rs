//! What a job may be. Everything that the owner sends is checked here, before anything is sealed or stored.

use std::collections::BTreeSet;

use api_types::{CreateJob, JobType, UpdateJob};

use crate::error::{ApiError, ApiResult};
use crate::jobs::{Schedule, ScheduleError};

pub(in crate::jobs) const HTTP_PLUGIN: &str = "http-job";
pub(in crate::jobs) const HTTP_PLUGIN_JOB: &str = "request";

const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];
const MAX_URL_BYTES: usize = 2048;
const MAX_HEADERS: usize = 50;
const MAX_HEADER_BYTES: usize = 8192;
const MAX_BODY_BYTES: usize = 256 << 10;
const MAX_PARAMS_BYTES: usize = 64 << 10;
/// The connection's, which the host sets itself.
const RESERVED_HEADERS: &[&str] =
    &["host", "content-length", "connection", "transfer-encoding", "upgrade", "keep-alive", "te", "trailer"];

/// Fields that one kind of job has and the other hasn't.
struct KindFields<'a> {
    http: [(&'static str, bool); 4],
    platform: [(&'static str, bool); 2],
    headers: Option<&'a std::collections::BTreeMap<String, Option<String>>>,
}

pub(in crate::jobs) fn schedule(expression: &str, timezone: &str) -> ApiResult<Schedule> {
    Schedule::parse(expression, timezone).map_err(|error| {
        let field = if matches!(error, ScheduleError::UnknownZone(_)) { "timezone" } else { "scheduleCron" };
        ApiError::invalid(format!("`{field}`: {error}."))
            .with_hint("`POST /admin/v1/cron/preview` shows what a schedule means.")
    })
}

/// Checks what can be said of a new job by itself.
pub(in crate::jobs) fn check_new(job: &CreateJob) -> ApiResult<()> {
    check_name(&job.name)?;
    check_numbers(job.timeout_ms, job.retries, job.retry_backoff_ms)?;
    let kind = KindFields {
        http: [
            ("httpUrl", job.http_url.is_some()),
            ("httpMethod", job.http_method.is_some()),
            ("httpHeaders", job.http_headers.is_some()),
            ("httpBody", job.http_body.is_some()),
        ],
        platform: [("plugin", job.plugin.is_some()), ("pluginJob", job.plugin_job.is_some())],
        headers: job.http_headers.as_ref(),
    };
    check_kind(job.r#type, &kind)?;
    if let Some(name) = job.http_headers.iter().flatten().find(|(_, value)| value.is_none()).map(|(name, _)| name) {
        return Err(ApiError::invalid(format!("`httpHeaders`: `{name}` needs a value.")));
    }
    check_params(job.r#type, job.params.as_ref())
}

/// Checks what can be said of a change by itself.
pub(in crate::jobs) fn check_change(job_type: JobType, change: &UpdateJob) -> ApiResult<()> {
    if let Some(name) = &change.name {
        check_name(name)?;
    }
    check_numbers(change.timeout_ms, change.retries, change.retry_backoff_ms)?;
    let kind = KindFields {
        http: [
            ("httpUrl", change.http_url.is_some()),
            ("httpMethod", change.http_method.is_some()),
            ("httpHeaders", change.http_headers.is_some()),
            ("httpBody", change.http_body.is_some()),
        ],
        platform: [("plugin", change.plugin.is_some()), ("pluginJob", change.plugin_job.is_some())],
        headers: change.http_headers.as_ref(),
    };
    check_kind(job_type, &kind)?;
    check_params(job_type, change.params.as_ref())
}

/// The request of an HTTP job as it will be made.
pub(in crate::jobs) fn check_request(url: &str, method: &str, body: Option<&str>, has_body: bool) -> ApiResult<()> {
    let wrong = |what: &str| ApiError::invalid(format!("`httpUrl` {what}."));
    if url.len() > MAX_URL_BYTES {
        return Err(wrong("is longer than 2048 bytes"));
    }
    if url.chars().any(|character| character.is_control() || character.is_whitespace()) {
        return Err(wrong("holds a space or a control character; write it percent-encoded"));
    }
    let parsed = url::Url::parse(url).map_err(|_| wrong("is not an absolute URL such as https://example.com/path"))?;
    if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
        return Err(wrong("must begin with http:// or https://"));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(wrong("must not hold a user or password; send them in the header `authorization`"));
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

fn check_kind(job_type: JobType, fields: &KindFields<'_>) -> ApiResult<()> {
    let (foreign, kind): (&[_], _) = match job_type {
        JobType::Http => (&fields.platform, "http"),
        JobType::Platform => (&fields.http, "platform"),
    };
    if let Some((field, _)) = foreign.iter().find(|(_, given)| *given) {
        return Err(ApiError::invalid(format!("A job of type `{kind}` has no `{field}`.")));
    }
    let Some(headers) = fields.headers else { return Ok(()) };
    let wrong = |what: String| Err(ApiError::invalid(format!("`httpHeaders`: {what}.")));
    if headers.len() > MAX_HEADERS {
        return wrong(format!("there are more than {MAX_HEADERS}"));
    }
    let mut seen = BTreeSet::new();
    for (name, value) in headers {
        let lower = name.to_ascii_lowercase();
        if axum::http::HeaderName::from_bytes(lower.as_bytes()).is_err() {
            return wrong(format!("`{}` is not a header's name", name.escape_debug()));
        }
        if RESERVED_HEADERS.contains(&lower.as_str()) || lower.starts_with("proxy-") {
            return wrong(format!("`{name}` is set by the server"));
        }
        // The value is never repeated in a message.
        if let Some(value) = value
            && (value.len() > MAX_HEADER_BYTES || axum::http::HeaderValue::from_str(value).is_err())
        {
            return wrong(format!("the value of `{name}` is too long or has characters that a header can't have"));
        }
        if !seen.insert(lower) {
            return wrong(format!("`{name}` is there twice"));
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
        return Err(ApiError::invalid("`params` holds a NUL character, which Postgres does not take."));
    }
    Ok(())
}
