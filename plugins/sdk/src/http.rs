//! Sends HTTP requests.
//!
//! Requires the capability [`Http`](crate::plugin::Capability::Http). A host can be reached if the grant's scope and
//! the platform's allowlist (`ATLASHUB_HTTP_ALLOWED_HOSTS`) both contain it.
//!
//! ```no_run
//! # async fn send() -> atlashub_plugin_sdk::Result<()> {
//! use atlashub_plugin_sdk::{http::Request, secrets};
//!
//! let token = secrets::open("token")?;
//! let request = Request::new("POST", "https://api.example.com/ping").secret_header("authorization", &token);
//! let response = request.send().await?;
//! assert!(response.is_success());
//! # Ok(())
//! # }
//! ```
//!
//! [`Request::send`] is for bodies up to 1 MiB. [`Request::open`] streams bodies, in both directions. A stream that the
//! plugin only forwards never enters the plugin's memory:
//!
//! ```no_run
//! # async fn copy() -> atlashub_plugin_sdk::Result<()> {
//! use atlashub_plugin_sdk::{http::Request, objects};
//!
//! // From a server into an object.
//! let response = Request::new("GET", "https://example.com/data.csv").open().await?.error_for_status().await?;
//! let upload = objects::put("project:abc", "uploads/data.csv", "text/csv", response.body).await?;
//! response.outcome.wait().await?;
//! upload.commit().await?;
//!
//! // From an object to a server.
//! let object = objects::get("project:abc", "uploads/data.csv").await?;
//! let request = Request::new("PUT", "https://example.com/copy.csv").header("content-type", "text/csv");
//! let response = request.sized_stream_body(object.body, object.meta.size_bytes).open().await?;
//! object.outcome.wait().await?;
//! assert!(response.is_success());
//! # Ok(())
//! # }
//! ```

use std::{borrow::Cow, time::Duration};

pub use crate::bindings::atlashub::plugin::http::BodyInfo;
use crate::{
    Error, Result, backend,
    secrets::Secret,
    stream::{ByteStream, Outcome},
};

/// Maximum number of bytes of a body that an error message quotes.
const MAX_QUOTED_BYTES: usize = 1000;

/// A request to send.
pub struct Request<'a> {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, HeaderValue<'a>)>,
    pub(crate) body: Option<Body<'a>>,
    pub(crate) timeout_ms: Option<u32>,
    pub(crate) max_redirects: u32,
}

pub(crate) enum HeaderValue<'a> {
    Text(String),
    Secret(&'a Secret),
}

pub(crate) enum Body<'a> {
    Text(String),
    Bytes(Vec<u8>),
    Secret(&'a Secret),
    Stream { bytes: ByteStream, content_length: Option<u64> },
}

impl<'a> Request<'a> {
    /// Creates a request without headers and body that follows no redirects.
    ///
    /// `method` is `GET`, `POST`, `PUT`, `PATCH`, `DELETE` or `HEAD`. `url` is an absolute `http` or `https` URL
    /// without user name and password.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: None,
            timeout_ms: None,
            max_redirects: 0,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), HeaderValue::Text(value.into())));
        self
    }

    /// Adds a header with a secret value. The host inserts the value and keeps it out of all logs.
    #[must_use]
    pub fn secret_header(mut self, name: impl Into<String>, value: &'a Secret) -> Self {
        self.headers.push((name.into(), HeaderValue::Secret(value)));
        self
    }

    /// Sets a text body. Does not set a content type.
    #[must_use]
    pub fn text(mut self, body: impl Into<String>) -> Self {
        self.body = Some(Body::Text(body.into()));
        self
    }

    /// Sets a body of bytes. Does not set a content type.
    #[must_use]
    pub fn bytes(mut self, body: Vec<u8>) -> Self {
        self.body = Some(Body::Bytes(body));
        self
    }

    /// Sets a secret body. The host inserts the value and keeps it out of all logs.
    #[must_use]
    pub fn secret_body(mut self, body: &'a Secret) -> Self {
        self.body = Some(Body::Secret(body));
        self
    }

    /// Sets a body that is sent while it is produced, in chunks, for [`open`](Self::open). Does not set a content type.
    ///
    /// The method must not be `GET` or `HEAD`. If the plugin writes the stream itself, it must do so at the same time,
    /// for example in a [`join`](crate::task::join).
    #[must_use]
    pub fn stream_body(mut self, body: ByteStream) -> Self {
        self.body = Some(Body::Stream { bytes: body, content_length: None });
        self
    }

    /// Like [`stream_body`](Self::stream_body), with the header `content-length`, which some servers require. The
    /// stream must have exactly this number of bytes.
    #[must_use]
    pub fn sized_stream_body(mut self, body: ByteStream, size_bytes: u64) -> Self {
        self.body = Some(Body::Stream { bytes: body, content_length: Some(size_bytes) });
        self
    }

    /// Sets a JSON body and the content type `application/json`.
    ///
    /// # Errors
    /// Returns `Failed` if the value can't be serialized.
    pub fn json(self, body: &impl serde::Serialize) -> Result<Self> {
        Ok(self.header("content-type", "application/json").text(serde_json::to_string(body)?))
    }

    /// Sets the timeout for the whole exchange, at most an hour. The default is the time that the run has left, also at
    /// most an hour.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout_ms = Some(u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX));
        self
    }

    /// Sets the maximum number of redirects to follow, 0 to 10 (default 0). Each target is checked like the first URL.
    #[must_use]
    pub fn max_redirects(mut self, max_redirects: u32) -> Self {
        self.max_redirects = max_redirects;
        self
    }

    /// Sends the request and returns the response. A response with any status is a success.
    ///
    /// # Errors
    /// Returns `Denied` if the host is not granted, or if the allowlist does not permit the host, its port or its
    /// private address. Returns `Invalid` if the request is malformed or there are too many redirects, `Timeout` if
    /// there was no complete response in time, and `Unavailable` if the host can't be reached or the connection was
    /// lost.
    pub async fn send(self) -> Result<Response> {
        if matches!(self.body, Some(Body::Stream { .. })) {
            return Err(Error::invalid("a request with a streamed body must be sent with `open`"));
        }
        backend::http::send(self).await
    }

    /// Sends the request and returns the response as soon as its headers are received. The body of the response is a
    /// stream. The body of the request can be a stream too. A response with any status is a success.
    ///
    /// # Errors
    /// Returns the errors of [`send`](Self::send), `Invalid` if a redirect would send a streamed body again or the body
    /// does not have the given size, `Failed` if the stream of the body ended early, and `TooLarge` if the body is
    /// larger than the platform allows or the run already has the maximum number of open transfers.
    pub async fn open(self) -> Result<StreamingResponse> {
        backend::http::open(self).await
    }
}

/// A response whose body is a stream. Dropping `body` closes the connection.
pub struct StreamingResponse {
    /// HTTP status code.
    pub status: u16,
    /// Header names and values in the order received. A decoded body has no `content-encoding` and `content-length`.
    pub headers: Vec<(String, String)>,
    /// The body, decoded if it was compressed with gzip or deflate.
    pub body: ByteStream,
    /// Whether `body` contained the whole body. Await it after reading all of `body`.
    pub outcome: Outcome<BodyInfo>,
}

impl StreamingResponse {
    /// Returns whether the status is 200 to 299.
    pub fn is_success(&self) -> bool {
        is_success(self.status)
    }

    /// Returns the value of the first header with this name. Names are compared without regard to case.
    pub fn header(&self, name: &str) -> Option<&str> {
        first_header(&self.headers, name)
    }

    /// Returns the response itself if it [is a success](Self::is_success).
    ///
    /// # Errors
    /// Returns `Failed` with the status and the beginning of the body, and the status as `httpStatus` in the details.
    pub async fn error_for_status(mut self) -> Result<Self> {
        if self.is_success() {
            return Ok(self);
        }
        let mut quoted = Vec::with_capacity(MAX_QUOTED_BYTES);
        while quoted.len() < MAX_QUOTED_BYTES
            && let Some(chunk) = self.body.chunk().await
        {
            quoted.extend(chunk);
        }
        quoted.truncate(MAX_QUOTED_BYTES);
        let mut error = Error::failed(format!("HTTP status {}: {}", self.status, String::from_utf8_lossy(&quoted)));
        error.details = Some(serde_json::json!({ "httpStatus": self.status }));
        Err(error)
    }

    /// Returns the body as a stream, for example to store it as an object. Keep what you stored only if the outcome is
    /// a success.
    pub fn into_stream(self) -> (ByteStream, Outcome<BodyInfo>) {
        (self.body, self.outcome)
    }

    /// Reads the whole body into memory, at most `limit` bytes.
    ///
    /// # Errors
    /// Returns `TooLarge` if the body is larger, and other errors if it could not be read completely.
    pub async fn collect(self, limit: usize) -> Result<Vec<u8>> {
        let bytes = self.body.collect(limit).await?;
        self.outcome.wait().await?;
        Ok(bytes)
    }
}

/// The response to a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Response {
    /// HTTP status code.
    pub status: u16,
    /// Header names and values in the order received. A decoded body has no `content-encoding` and `content-length`.
    pub headers: Vec<(String, String)>,
    /// The body, at most its first 1 MiB.
    pub body: Vec<u8>,
    /// Whether the body is incomplete: it was longer than 1 MiB and was cut, or it could not be decoded and is empty.
    pub truncated: bool,
}

impl Response {
    /// Returns whether the status is 200 to 299.
    pub fn is_success(&self) -> bool {
        is_success(self.status)
    }

    /// Returns the value of the first header with this name. Names are compared without regard to case.
    pub fn header(&self, name: &str) -> Option<&str> {
        first_header(&self.headers, name)
    }

    /// Returns the body as text. Bytes that are not UTF-8 are replaced by `�`.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// Deserializes the body from JSON.
    ///
    /// # Errors
    /// Returns `Failed` if the body is incomplete or can't be deserialized as `T`.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        if self.truncated {
            return Err(Error::failed("the body of the response is incomplete and can't be read as JSON"));
        }
        Ok(serde_json::from_slice(&self.body)?)
    }
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

fn first_header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
