//! An outgoing request as its author describes it.

use std::{fmt, time::Duration};

use bytes::Bytes;
use futures_util::stream::BoxStream;

use super::EgressError;
use crate::config::Secret;

/// Maximum number of bytes that are kept of a response body that is not streamed.
pub const MAX_RESPONSE_BYTES: usize = 1 << 20;

/// A request as its author wrote it, not checked yet.
#[derive(Debug, Clone)]
pub struct EgressRequest {
    /// `GET`, `POST`, `PUT`, `PATCH`, `DELETE`, `HEAD` or `OPTIONS`.
    pub method: String,
    /// An absolute `http` or `https` URL without user and password. Its path and query may be secret: messages contain
    /// only the origin.
    pub url: String,
    pub headers: Vec<EgressHeader>,
    pub body: Option<EgressBody>,
    /// Timeout of the whole exchange, including redirects and body; at most one hour.
    pub timeout: Duration,
    /// Maximum number of redirects to follow, at most 10. With 0, a redirect is returned as the response.
    pub max_redirects: u32,
    /// Maximum number of bytes of the response body to keep, at most [`MAX_RESPONSE_BYTES`].
    pub max_bytes: usize,
}

impl EgressRequest {
    /// Creates a request without headers, body or redirects, with a timeout of 30 s and the maximum response size.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: None,
            timeout: Duration::from_secs(30),
            max_redirects: 0,
            max_bytes: MAX_RESPONSE_BYTES,
        }
    }
}

/// A header of a request.
#[derive(Debug, Clone)]
pub struct EgressHeader {
    pub name: String,
    pub value: HeaderText,
}

impl EgressHeader {
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: HeaderText::Plain(value.into()) }
    }

    /// Creates a header that is neither printed nor sent to another origin after a redirect.
    pub fn secret(name: impl Into<String>, value: Secret) -> Self {
        Self { name: name.into(), value: HeaderText::Secret(value) }
    }
}

/// The value of a header; `Debug` hides a secret.
#[derive(Debug, Clone)]
pub enum HeaderText {
    Plain(String),
    Secret(Secret),
}

impl HeaderText {
    pub(super) fn expose(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Secret(secret) => secret.expose(),
        }
    }
}

/// A request body; `Debug` prints only its length.
#[derive(Clone)]
pub struct EgressBody(pub Bytes);

impl fmt::Debug for EgressBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EgressBody({} bytes)", self.0.len())
    }
}

/// The response of the last hop, with any status.
#[derive(Debug, Clone)]
pub struct EgressResponse {
    pub status: u16,
    /// A name can be repeated; its values are in the order received. Bytes that are not UTF-8 are replaced.
    pub headers: Vec<(String, String)>,
    /// Decoded if it was compressed with gzip, deflate or Brotli; `headers` then lack `content-encoding` and
    /// `content-length`. Empty if it can't be decoded.
    pub body: Bytes,
    /// Whether the body was longer than what was kept, or can't be decoded.
    pub truncated: bool,
    /// The URL after all redirects.
    pub final_url: String,
}

/// The beginning of the response of the last hop, with any status, and its body.
pub struct EgressStream {
    pub status: u16,
    /// The headers, in the form of [`EgressResponse::headers`]. They lack `content-encoding` and `content-length` if
    /// the body is decoded.
    pub headers: Vec<(String, String)>,
    /// The body, decoded if it was compressed with gzip or deflate. It is complete if it ends without an error.
    pub body: BoxStream<'static, Result<Bytes, EgressError>>,
}

impl EgressResponse {
    /// Returns the value of the first header with this lowercase name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header_name, _)| header_name == name).map(|(_, value)| value.as_str())
    }
}
