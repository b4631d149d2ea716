//! Sends requests to the admin API, and converts their responses and errors.

use api_types::ErrorBody;
use serde::{Serialize, de::DeserializeOwned};
use wasm_bindgen::JsCast as _;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, Headers, Request, RequestInit, RequestRedirect, Response, ResponseType};

use super::{Failure, connection, session};

/// Time limit of a request that only reads.
const READ_TIMEOUT_MS: u32 = 30_000;

/// Time limit of a health check.
const HEALTH_TIMEOUT_MS: u32 = 3_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Patch,
    Put,
    Delete,
}

impl Method {
    const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// Reads `path` of the admin API, for example `/projects`.
///
/// # Errors
/// Returns
/// - [`Failure::SignedOut`] if nobody is signed in, or the sign-in has ended,
/// - [`Failure::Unreachable`] if the server did not respond, and
/// - [`Failure::Refused`] if the server returned an error, or the response could not be parsed. For `/session`, this
///   includes the status 401.
pub async fn get<T: DeserializeOwned>(path: &str) -> Result<T, Failure> {
    parse(&fetch_text(Method::Get, path, None).await?)
}

/// Reads `path` and returns the body unparsed.
///
/// # Errors
/// Returns the errors of [`get`].
pub async fn get_text(path: &str) -> Result<String, Failure> {
    fetch_text(Method::Get, path, None).await
}

/// Returns whether the server responds.
pub(super) async fn is_reachable() -> bool {
    let options = RequestInit::new();
    options.set_signal(Some(&AbortSignal::timeout_with_u32(HEALTH_TIMEOUT_MS)));
    let Ok(request) = Request::new_with_str_and_init("/healthz", &options) else { return false };
    match response_of(&request).await {
        Some(response) => !is_from_proxy(response.status()),
        None => false,
    }
}

/// Returns whether proxies send this status for a server that does not respond.
fn is_from_proxy(status: u16) -> bool {
    matches!(status, 502 | 504)
}

/// Sends a body as JSON and returns the parsed response.
///
/// # Errors
/// Returns the errors of [`get`].
pub async fn send<B: Serialize, T: DeserializeOwned>(method: Method, path: &str, body: &B) -> Result<T, Failure> {
    let body = serde_json::to_string(body).map_err(|error| unexpected(0, &error.to_string()))?;
    parse(&fetch_text(method, path, Some(&body)).await?)
}

/// Like [`send`], with `If-Match`: the server refuses the change if the resource has another entity tag.
///
/// # Errors
/// Returns the errors of [`get`].
pub async fn send_if_match<B: Serialize, T: DeserializeOwned>(
    method: Method,
    path: &str,
    tag: &str,
    body: &B,
) -> Result<T, Failure> {
    let body = serde_json::to_string(body).map_err(|error| unexpected(0, &error.to_string()))?;
    parse(&fetch_text_with(method, path, Some(&body), Some(tag)).await?)
}

/// Sends a `DELETE` and ignores the body of the response.
///
/// # Errors
/// Returns the errors of [`get`].
pub async fn delete(path: &str) -> Result<(), Failure> {
    fetch_text(Method::Delete, path, None).await.map(drop)
}

/// Parses a value from JSON. An empty body counts as `null`.
///
/// # Errors
/// Returns [`Failure::Refused`] if the text is not JSON of this type.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    let text = if text.is_empty() { "null" } else { text };
    serde_json::from_str(text).map_err(|error| unexpected(200, &error.to_string()))
}

/// Sends a request and returns the body of a successful response.
pub(super) async fn fetch_text(method: Method, path: &str, body: Option<&str>) -> Result<String, Failure> {
    fetch_text_with(method, path, body, None).await
}

async fn fetch_text_with(method: Method, path: &str, body: Option<&str>, tag: Option<&str>) -> Result<String, Failure> {
    let Some(response) = fetch(method, path, body, tag).await else {
        connection::check_soon();
        return Err(Failure::Unreachable);
    };
    let status = response.status();
    let is_html = header(&response, "content-type").is_some_and(|kind| kind.starts_with("text/html"));
    // Cloudflare Access redirects to its sign-in page, on another origin, when its session has ended. Other proxies
    // return the sign-in page itself.
    if response.type_() == ResponseType::Opaqueredirect || (is_html && response.ok()) {
        session::end();
        return Err(Failure::SignedOut);
    }
    if is_html && is_from_proxy(status) {
        connection::check_soon();
        return Err(Failure::Unreachable);
    }
    let text = match response.text() {
        Ok(text) => JsFuture::from(text).await.ok().and_then(|text| text.as_string()),
        Err(_) => None,
    };
    let text = text.ok_or(Failure::Unreachable)?;
    if response.ok() {
        return Ok(text);
    }
    let retry_after = header(&response, "retry-after").and_then(|seconds| seconds.parse().ok());
    let failure = match serde_json::from_str::<ErrorBody>(&text) {
        Ok(body) => Failure::refused(status, body.error, retry_after),
        Err(_) => unexpected(status, "The response is not from AtlasHub."),
    };
    // At sign-in, 401 means a wrong token, not an ended session.
    if status == 401 && path != "/session" {
        session::end();
        return Err(Failure::SignedOut);
    }
    Err(failure)
}

async fn fetch(method: Method, path: &str, body: Option<&str>, tag: Option<&str>) -> Option<Response> {
    let headers = Headers::new().ok()?;
    if let Some(tag) = tag {
        headers.set("if-match", tag).ok()?;
    }
    headers.set("x-requested-with", "XMLHttpRequest").ok()?;
    let options = RequestInit::new();
    options.set_method(method.name());
    options.set_redirect(RequestRedirect::Manual);
    if let Some(body) = body {
        headers.set("content-type", "application/json").ok()?;
        options.set_body(&body.into());
    }
    if method == Method::Get {
        options.set_signal(Some(&AbortSignal::timeout_with_u32(READ_TIMEOUT_MS)));
    }
    options.set_headers(&headers);
    let request = Request::new_with_str_and_init(&format!("/admin/v1{path}"), &options).ok()?;
    response_of(&request).await
}

async fn response_of(request: &Request) -> Option<Response> {
    let response = JsFuture::from(web_sys::window()?.fetch_with_request(request)).await.ok()?;
    let response: Response = response.dyn_into().ok()?;
    if let Some(version) = header(&response, "x-atlashub-version") {
        connection::note_version(&version);
    }
    Some(response)
}

fn header(response: &Response, name: &str) -> Option<String> {
    response.headers().get(name).ok().flatten()
}

fn unexpected(status: u16, reason: &str) -> Failure {
    Failure::Refused {
        status,
        code: "unexpected_answer".to_owned(),
        message: format!("The server's response could not be read. {reason}"),
        hint: None,
        request_id: None,
        details: None,
        retry_after: None,
    }
}
