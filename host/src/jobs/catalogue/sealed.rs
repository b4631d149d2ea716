//! What of an HTTP job is secret: the values of its headers, and its body.

use std::collections::BTreeMap;

use uuid::Uuid;
use zeroize::Zeroizing;

use crate::jobs::{JobsState, queries::JobRow};
use crate::{
    config::Secret,
    error::{ApiError, ApiResult, Code},
    secrets::SealedColumn,
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

/// Header values by name, as the owner spelled it.
pub(in crate::jobs) type Headers = BTreeMap<String, Zeroizing<String>>;

/// Sealed with a key that this node hasn't, or damaged.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("The job's headers can't be opened with the master key in use.")]
pub(in crate::jobs) struct UnreadableHeaders;

impl From<UnreadableHeaders> for ApiError {
    fn from(unreadable: UnreadableHeaders) -> Self {
        Self::new(Code::Unprocessable, unreadable.to_string())
            .with_hint("Send `httpHeaders` anew, with their values, or start with the master key that sealed them.")
    }
}

impl JobsState {
    pub(in crate::jobs) fn seal_headers(&self, job: Uuid, headers: &Headers) -> ApiResult<Option<Vec<u8>>> {
        if headers.is_empty() {
            return Ok(None);
        }
        let plain: BTreeMap<&str, &str> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let plain = Zeroizing::new(serde_json::to_vec(&plain).map_err(ApiError::internal)?);
        self.sealer.seal(&plain, &job_headers_identity(job)).map(Some).map_err(ApiError::internal)
    }

    pub(in crate::jobs) fn seal_body(&self, job: Uuid, body: &str) -> ApiResult<Vec<u8>> {
        self.sealer.seal(body.as_bytes(), &job_body_identity(job)).map_err(ApiError::internal)
    }

    pub(in crate::jobs) fn open_headers(&self, job: Uuid, sealed: Option<&[u8]>) -> anyhow::Result<Headers> {
        let Some(sealed) = sealed else { return Ok(Headers::new()) };
        let plain = self.sealer.open(sealed, &job_headers_identity(job))?;
        let headers: BTreeMap<String, String> = serde_json::from_slice(&plain)?;
        Ok(headers.into_iter().map(|(name, value)| (name, Zeroizing::new(value))).collect())
    }

    fn open_body(&self, job: Uuid, sealed: &[u8]) -> anyhow::Result<Secret> {
        let plain = self.sealer.open(sealed, &job_body_identity(job))?;
        Ok(Secret::new(std::str::from_utf8(&plain)?))
    }

    /// A job's headers, where the master key in use opens them.
    pub(in crate::jobs) fn readable_headers(&self, job: &JobRow) -> Result<Headers, UnreadableHeaders> {
        self.open_headers(job.id, job.http_headers_json.as_deref()).map_err(|error| {
            // Each of its runs says so aloud.
            tracing::debug!(job = %job.id, %error, "a job's headers can't be opened");
            UnreadableHeaders
        })
    }

    /// Names of a job's headers, for whoever may not know more.
    pub(in crate::jobs) fn header_names(&self, job: &JobRow) -> Result<Vec<String>, UnreadableHeaders> {
        Ok(self.readable_headers(job)?.into_keys().collect())
    }

    /// A run's secrets by the names that plugins know them by, and the headers' names as they are sent.
    pub(in crate::jobs) fn open_secrets(
        &self,
        job: Uuid,
        headers: Option<&[u8]>,
        body: Option<&[u8]>,
    ) -> anyhow::Result<(BTreeMap<String, Secret>, Vec<String>)> {
        let headers = self.open_headers(job, headers)?;
        let names = headers.keys().cloned().collect();
        let mut secrets: BTreeMap<String, Secret> = headers
            .into_iter()
            .map(|(name, value)| (format!("header.{}", name.to_ascii_lowercase()), Secret::new(value.as_str())))
            .collect();
        if let Some(body) = body {
            secrets.insert("body".to_owned(), self.open_body(job, body)?);
        }
        Ok((secrets, names))
    }
}

/// Parameters of the plugin `http-job`: what of a request is no secret.
pub(in crate::jobs) fn http_params(
    url: &str,
    method: &str,
    headers: &[String],
    has_body: bool,
    timeout_ms: i32,
) -> serde_json::Value {
    serde_json::json!({
        "url": url, "method": method, "headers": headers, "hasBody": has_body, "timeoutMs": timeout_ms,
    })
}
