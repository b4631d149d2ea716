//! The secret parts of an HTTP job: header values and the body.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::queries::JobRow;
use crate::{
    config::Secret,
    error::{ApiError, ApiResult, Code},
    secrets::{SealedColumn, Sealer},
};

const SEALED_HEADERS: SealedColumn = SealedColumn {
    table: "cron_jobs",
    column: "http_headers_json",
    key_columns: &["id"],
    identity: "cron_jobs/{id}/headers",
};
const SEALED_BODY: SealedColumn = SealedColumn {
    table: "cron_jobs",
    column: "http_body_json",
    key_columns: &["id"],
    identity: "cron_jobs/{id}/body",
};
/// Columns of this slice that are sealed under the master key.
pub const SEALED_COLUMNS: &[SealedColumn] = &[SEALED_HEADERS, SEALED_BODY];

/// Returns the identity that a job's headers are sealed for.
pub fn job_headers_identity(job: Uuid) -> String {
    SEALED_HEADERS.identity(&[&job])
}

/// Returns the identity that a job's body is sealed for.
pub fn job_body_identity(job: Uuid) -> String {
    SEALED_BODY.identity(&[&job])
}

/// Header values by name, in the owner's spelling.
pub(super) type Headers = BTreeMap<String, Zeroizing<String>>;

/// The error for headers that are sealed with a key that this node does not have, or that are damaged.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("The job's headers can't be opened with the current master key.")]
pub(super) struct UnreadableHeaders;

impl From<UnreadableHeaders> for ApiError {
    fn from(unreadable: UnreadableHeaders) -> Self {
        Self::new(Code::Unprocessable, unreadable.to_string())
            .with_hint("Set all `httpHeaders` of the job again, or start with the master key that sealed them.")
    }
}

pub(super) fn seal_headers(sealer: &Sealer, job: Uuid, headers: &Headers) -> ApiResult<Option<Vec<u8>>> {
    if headers.is_empty() {
        return Ok(None);
    }
    let plain: BTreeMap<&str, &str> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let plain = Zeroizing::new(serde_json::to_vec(&plain).map_err(ApiError::internal)?);
    sealer.seal(&plain, &job_headers_identity(job)).map(Some).map_err(ApiError::internal)
}

/// A request body as the owner wrote it.
#[derive(Debug, Clone)]
pub(super) enum Body {
    Text(Zeroizing<String>),
    /// A JSON value in its original notation, so that numbers stay exact.
    Json(Zeroizing<String>),
}

/// First byte of a stored JSON body. No text starts with it, because it does not occur in UTF-8.
const JSON_MARK: u8 = 0xff;
/// The header that is added for a JSON body unless the job has its own.
const CONTENT_TYPE: &str = "content-type";

impl Body {
    /// Converts `httpBody` of a request.
    pub(super) fn from_wire(value: &RawValue) -> Self {
        match serde_json::from_str::<String>(value.get()) {
            Ok(text) => Self::Text(Zeroizing::new(text)),
            Err(_) => Self::Json(Zeroizing::new(value.get().to_owned())),
        }
    }

    /// Returns the text to send.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Json(text) => text,
        }
    }

    fn parse(stored: &[u8]) -> anyhow::Result<Self> {
        let text = |bytes: &[u8]| Ok::<_, std::str::Utf8Error>(Zeroizing::new(std::str::from_utf8(bytes)?.to_owned()));
        Ok(match stored.strip_prefix(&[JSON_MARK]) {
            Some(json) => Self::Json(text(json)?),
            None => Self::Text(text(stored)?),
        })
    }
}

pub(super) fn seal_body(sealer: &Sealer, job: Uuid, body: &Body) -> ApiResult<Vec<u8>> {
    let mut plain = Zeroizing::new(Vec::with_capacity(body.text().len() + 1));
    if matches!(body, Body::Json(_)) {
        plain.push(JSON_MARK);
    }
    plain.extend_from_slice(body.text().as_bytes());
    sealer.seal(&plain, &job_body_identity(job)).map_err(ApiError::internal)
}

fn open_headers(sealer: &Sealer, job: Uuid, sealed: Option<&[u8]>) -> anyhow::Result<Headers> {
    let Some(sealed) = sealed else { return Ok(Headers::new()) };
    let plain = sealer.open(sealed, &job_headers_identity(job))?;
    let headers: BTreeMap<String, String> = serde_json::from_slice(&plain)?;
    Ok(headers.into_iter().map(|(name, value)| (name, Zeroizing::new(value))).collect())
}

fn open_body(sealer: &Sealer, job: Uuid, sealed: &[u8]) -> anyhow::Result<Body> {
    Body::parse(&sealer.open(sealed, &job_body_identity(job))?)
}

/// Opens a job's headers.
pub(super) fn read_headers(sealer: &Sealer, job: &JobRow) -> Result<Headers, UnreadableHeaders> {
    open_headers(sealer, job.id, job.http_headers_json.as_deref()).map_err(|error| {
        // Each run of the job logs this as an error.
        tracing::debug!(job = %job.id, %error, "a job's headers can't be opened");
        UnreadableHeaders
    })
}

/// Returns a run's secrets under the names that plugins use, and the header names in the owner's spelling. Adds the
/// header `content-type` for a JSON body, unless the job has its own.
pub(in crate::jobs) fn open_secrets(
    sealer: &Sealer,
    job: Uuid,
    headers: Option<&[u8]>,
    body: Option<&[u8]>,
) -> anyhow::Result<(BTreeMap<String, Secret>, Vec<String>)> {
    let headers = open_headers(sealer, job, headers)?;
    let mut names: Vec<String> = headers.keys().cloned().collect();
    let mut secrets: BTreeMap<String, Secret> = headers
        .into_iter()
        .map(|(name, value)| (format!("header.{}", name.to_ascii_lowercase()), Secret::new(value.as_str())))
        .collect();
    if let Some(body) = body {
        let body = open_body(sealer, job, body)?;
        if matches!(body, Body::Json(_)) && !names.iter().any(|name| name.eq_ignore_ascii_case(CONTENT_TYPE)) {
            names.push(CONTENT_TYPE.to_owned());
            secrets.insert(format!("header.{CONTENT_TYPE}"), Secret::new("application/json"));
        }
        secrets.insert("body".to_owned(), Secret::new(body.text()));
    }
    Ok((secrets, names))
}

/// The parameters of the plugin `http-job`: the parts of a request that are not secret.
pub(in crate::jobs) struct HttpParams<'a> {
    pub(in crate::jobs) url: &'a str,
    pub(in crate::jobs) method: &'a str,
    pub(in crate::jobs) header_names: &'a [String],
    pub(in crate::jobs) has_body: bool,
    pub(in crate::jobs) timeout_ms: i32,
}

impl HttpParams<'_> {
    pub(in crate::jobs) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "url": self.url,
            "method": self.method,
            "headers": self.header_names,
            "hasBody": self.has_body,
            "timeoutMs": self.timeout_ms,
        })
    }
}
