//! Records that a test can inspect after a run.

use serde_json::Value;

use crate::{
    Result,
    http::{Body, HeaderValue, Request},
    log::Level,
};

/// A line of the run's log.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLine {
    /// Level of the line.
    pub level: Level,
    /// The text of the line.
    pub message: String,
    /// The fields as a JSON object. Empty if there are none.
    pub fields: Value,
}

/// A progress report of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgressReport {
    /// Amount of work done, in the plugin's unit.
    pub done: u64,
    /// Total amount of work. `None` if unknown.
    pub total: Option<u64>,
    /// Description of the current work.
    pub message: String,
}

/// A request that the plugin sent. Secrets appear as their names, because a plugin has no access to their values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentRequest {
    /// HTTP method.
    pub method: String,
    /// URL as the plugin wrote it.
    pub url: String,
    /// Header names and values.
    pub headers: Vec<(String, SentValue)>,
    /// Body of the request, if any.
    pub body: Option<SentValue>,
    /// Timeout for the whole exchange, in milliseconds.
    pub timeout_ms: Option<u32>,
    /// Maximum number of redirects to follow.
    pub max_redirects: u32,
}

/// A query that the plugin started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentQuery {
    /// Logical name of the database.
    pub database: String,
    /// The text of the query.
    pub sql: String,
    /// Values of the parameters, in Postgres' text format. `None` stands for `NULL`.
    pub parameters: Vec<Option<String>>,
    /// Time limit, in milliseconds.
    pub timeout_ms: Option<u32>,
}

/// The value of a header, or a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SentValue {
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A secret, by its name.
    Secret(String),
    /// The content of a streamed body, and the size that the plugin announced.
    Stream {
        /// All bytes of the stream.
        bytes: Vec<u8>,
        /// The size, in bytes. `None` sends the body in chunks.
        content_length: Option<u64>,
    },
}

impl SentRequest {
    /// Records a request, with the whole content of a streamed body.
    pub(crate) async fn read(request: Request<'_>) -> Result<Self> {
        let header = |value| match value {
            HeaderValue::Text(text) => SentValue::Text(text),
            HeaderValue::Secret(secret) => SentValue::Secret(secret.handle.clone()),
        };
        let body = match request.body {
            Some(Body::Text(text)) => Some(SentValue::Text(text)),
            Some(Body::Bytes(bytes)) => Some(SentValue::Bytes(bytes)),
            Some(Body::Secret(secret)) => Some(SentValue::Secret(secret.handle.clone())),
            Some(Body::Stream { bytes, content_length }) => {
                Some(SentValue::Stream { bytes: bytes.collect(usize::MAX).await?, content_length })
            }
            None => None,
        };
        Ok(Self {
            method: request.method,
            url: request.url,
            headers: request.headers.into_iter().map(|(name, value)| (name, header(value))).collect(),
            body,
            timeout_ms: request.timeout_ms,
            max_redirects: request.max_redirects,
        })
    }
}
