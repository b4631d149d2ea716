use crate::http::{Body, HeaderValue, Request};

/// A request that a job sent. Secrets are shown by their names, since a plugin has no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentRequest {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, SentValue)>,
    pub body: Option<SentValue>,
    pub timeout_ms: Option<u32>,
    pub max_redirects: u32,
}

/// A header's value, or a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SentValue {
    Text(String),
    Bytes(Vec<u8>),
    /// The secret of that name.
    Secret(String),
}

impl SentRequest {
    pub(crate) fn of(request: Request<'_>) -> Self {
        let header = |value| match value {
            HeaderValue::Text(text) => SentValue::Text(text),
            HeaderValue::Secret(secret) => SentValue::Secret(secret.name.clone()),
        };
        Self {
            method: request.method,
            url: request.url,
            headers: request.headers.into_iter().map(|(name, value)| (name, header(value))).collect(),
            body: request.body.map(|body| match body {
                Body::Text(text) => SentValue::Text(text),
                Body::Bytes(bytes) => SentValue::Bytes(bytes),
                Body::Secret(secret) => SentValue::Secret(secret.name.clone()),
            }),
            timeout_ms: request.timeout_ms,
            max_redirects: request.max_redirects,
        }
    }
}
