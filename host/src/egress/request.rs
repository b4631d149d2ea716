use std::{fmt, time::Duration};

use bytes::Bytes;

use crate::config::Secret;

/// Most of an answer's body that is kept.
pub const MAX_RESPONSE_BYTES: usize = 1 << 20;

/// One request, as its author wrote it; nothing of it is checked yet.
#[derive(Debug, Clone)]
pub struct EgressRequest {
    /// `GET`, `POST`, `PUT`, `PATCH`, `DELETE`, `HEAD` or `OPTIONS`.
    pub method: String,
    /// Absolute, `http` or `https`, without user and password. May be a secret: no message repeats it.
    pub url: String,
    pub headers: Vec<EgressHeader>,
    pub body: Option<EgressBody>,
    /// Of the whole exchange, redirects and body included; at most an hour.
    pub timeout: Duration,
    /// Followed, at most 10. With 0 a redirect is an answer like any other.
    pub max_redirects: u32,
    /// Kept of the answer's body; at most [`MAX_RESPONSE_BYTES`].
    pub max_bytes: usize,
}

impl EgressRequest {
    /// Without headers and body, with 30 s, no redirects and as much of the answer as may be kept.
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

#[derive(Debug, Clone)]
pub struct EgressHeader {
    pub name: String,
    pub value: HeaderText,
}

impl EgressHeader {
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: HeaderText::Plain(value.into()) }
    }

    /// One that is not printed, and not sent on to another origin.
    pub fn secret(name: impl Into<String>, value: Secret) -> Self {
        Self { name: name.into(), value: HeaderText::Secret(value) }
    }
}

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

/// Bytes that are not printed.
#[derive(Clone)]
pub struct EgressBody(pub Bytes);

impl fmt::Debug for EgressBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EgressBody({} bytes)", self.0.len())
    }
}

/// What the last hop answered, whatever its status.
#[derive(Debug, Clone)]
pub struct EgressResponse {
    pub status: u16,
    /// In the order and with the repetitions they came in; bytes that are not UTF-8 replaced.
    pub headers: Vec<(String, String)>,
    /// As it was sent: nothing is decompressed.
    pub body: Bytes,
    /// There was more than was kept.
    pub truncated: bool,
    /// After the redirects that were followed.
    pub final_url: String,
}

impl EgressResponse {
    /// The first header of this name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}
