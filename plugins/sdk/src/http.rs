//! Requests to hosts on the platform's allowlist and in the grant's scope.
//!
//! ```no_run
//! # async fn send() -> atlashub_plugin_sdk::Result<()> {
//! use atlashub_plugin_sdk::{http::Request, secrets};
//!
//! let token = secrets::open("token")?;
//! let response = Request::new("POST", "https://api.example.com/ping").secret_header("authorization", &token).send().await?;
//! assert!(response.is_success());
//! # Ok(())
//! # }
//! ```

use std::{borrow::Cow, time::Duration};

use crate::{Error, Result, secrets::Secret};

/// One request, until it is sent.
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
    /// `GET`, `POST`, `PUT`, `PATCH`, `DELETE` or `HEAD`; an absolute `http` or `https` URL without user and password.
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

    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), HeaderValue::Text(value.into())));
        self
    }

    /// A header whose value the host puts in; it is left out of every log.
    #[must_use]
    pub fn secret_header(mut self, name: impl Into<String>, value: &'a Secret) -> Self {
        self.headers.push((name.into(), HeaderValue::Secret(value)));
        self
    }

    #[must_use]
    pub fn text(mut self, body: impl Into<String>) -> Self {
        self.body = Some(Body::Text(body.into()));
        self
    }

    #[must_use]
    pub fn bytes(mut self, body: Vec<u8>) -> Self {
        self.body = Some(Body::Bytes(body));
        self
    }

    /// A body that the host puts in.
    #[must_use]
    pub fn secret_body(mut self, body: &'a Secret) -> Self {
        self.body = Some(Body::Secret(body));
        self
    }

    /// A JSON body, with its content type.
    ///
    /// # Errors
    /// `Failed` where the value can't be JSON.
    pub fn json(self, body: &impl serde::Serialize) -> Result<Self> {
        Ok(self.header("content-type", "application/json").text(serde_json::to_string(body)?))
    }

    /// Of the whole exchange. Without it, what is left of the run's time.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout_ms = Some(u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX));
        self
    }

    /// How many redirects to follow, at most 10; none unless told. Each target is checked like the first.
    #[must_use]
    pub fn max_redirects(mut self, max_redirects: u32) -> Self {
        self.max_redirects = max_redirects;
        self
    }

    /// Sends it. An answer of any status is a success here.
    ///
    /// # Errors
    /// `Denied` where the host isn't granted or allowed, `Invalid`, `Timeout`, `Unavailable`.
    #[cfg_attr(not(target_arch = "wasm32"), allow(clippy::unused_async))]
    pub async fn send(self) -> Result<Response> {
        #[cfg(target_arch = "wasm32")]
        {
            let response = wit::send(self.into_wit()).await.map_err(crate::error::from_wit)?;
            Ok(Response {
                status: response.status,
                headers: response.headers,
                body: response.body,
                truncated: response.truncated,
            })
        }
        #[cfg(not(target_arch = "wasm32"))]
        {
            let sent = crate::testing::SentRequest::of(self);
            crate::testing::call(crate::plugin::Capability::Http, "http.send", &sent.url.clone(), |state| {
                state.requests.push(sent.clone());
                match &mut state.http {
                    Some(answer) => answer(&sent),
                    None => Err(Error::unavailable("the test scripted no answers: see TestHost::answer_http")),
                }
            })
        }
    }

    #[cfg(target_arch = "wasm32")]
    fn into_wit(self) -> wit::Request<'a> {
        let header = |(name, value)| {
            let value = match value {
                HeaderValue::Text(text) => wit::HeaderValue::Text(text),
                HeaderValue::Secret(secret) => wit::HeaderValue::Secret(&secret.handle),
            };
            (name, value)
        };
        wit::Request {
            method: self.method,
            url: self.url,
            headers: self.headers.into_iter().map(header).collect(),
            body: self.body.map(|body| match body {
                Body::Text(text) => wit::Body::Text(text),
                Body::Bytes(bytes) => wit::Body::Bytes(bytes),
                Body::Secret(secret) => wit::Body::Secret(&secret.handle),
            }),
            timeout_ms: self.timeout_ms,
            max_redirects: self.max_redirects,
        }
    }
}

#[cfg(target_arch = "wasm32")]
use crate::bindings::atlashub::plugin::http as wit;

/// An answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// At most 1 MiB.
    pub body: Vec<u8>,
    /// There was more than that.
    pub truncated: bool,
}

impl Response {
    /// 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first header of that name, whatever its letters' case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as text; bytes that aren't UTF-8 become `�`.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// # Errors
    /// `Failed` where the body is no such JSON.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        if self.truncated {
            return Err(Error::failed("the answer is larger than 1 MiB, so it can't be read as JSON"));
        }
        Ok(serde_json::from_slice(&self.body)?)
    }
}
