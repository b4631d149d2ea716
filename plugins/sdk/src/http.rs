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

use std::{borrow::Cow, time::Duration};

use crate::{Error, Result, backend, secrets::Secret};

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

    /// Sets a JSON body and the content type `application/json`.
    ///
    /// # Errors
    /// `Failed` if the value cannot be serialized.
    pub fn json(self, body: &impl serde::Serialize) -> Result<Self> {
        Ok(self.header("content-type", "application/json").text(serde_json::to_string(body)?))
    }

    /// Sets the timeout for the whole exchange. The default is the time that the run has left.
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
    /// `Denied` if the host is not granted or not on the allowlist, `Invalid` if the request is malformed, `Timeout` if
    /// there was no complete response in time, `Unavailable` if the host cannot be reached.
    pub async fn send(self) -> Result<Response> {
        backend::http::send(self).await
    }
}

/// The response to a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Response {
    /// HTTP status code.
    pub status: u16,
    /// Header names and values in the order received.
    pub headers: Vec<(String, String)>,
    /// The body, at most its first 1 MiB.
    pub body: Vec<u8>,
    /// Whether the body is incomplete: it was longer than 1 MiB and was cut, or it could not be decoded and is empty.
    pub truncated: bool,
}

impl Response {
    /// Returns whether the status is 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Returns the value of the first header with this name. Names are compared without regard to case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Returns the body as text. Bytes that are not UTF-8 are replaced by `�`.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// Deserializes the body from JSON.
    ///
    /// # Errors
    /// `Failed` if the body is incomplete or can't be deserialized as `T`.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        if self.truncated {
            return Err(Error::failed("the body of the response is incomplete and cannot be read as JSON"));
        }
        Ok(serde_json::from_slice(&self.body)?)
    }
}
