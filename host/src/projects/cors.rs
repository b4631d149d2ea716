//! Which browser origins may read a project's answers.

use axum::{
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::ProjectRef;
use crate::error::{ApiError, ApiResult, Code};

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PATCH, DELETE");
const EXPOSED: HeaderValue = HeaderValue::from_static("x-request-id, retry-after");

/// Answers a preflight. It carries no key, so the project isn't known yet: the request itself is checked.
pub(super) fn preflight(headers: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let answer = response.headers_mut();
    if let Some(origin) = headers.get(header::ORIGIN) {
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        if let Some(asked) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
        answer.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
    answer.insert(
        header::VARY,
        HeaderValue::from_static("origin, access-control-request-method, access-control-request-headers"),
    );
    response
}

pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The origin to name in the answer; none for a request that no browser made.
pub(super) fn check_origin(project: &ProjectRef, headers: &HeaderMap) -> ApiResult<Option<HeaderValue>> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(None) };
    let allowed = origin.to_str().is_ok_and(|origin| {
        project.cors_origins.iter().any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(origin))
    });
    if allowed {
        return Ok(Some(origin.clone()));
    }
    Err(ApiError::new(Code::OriginNotAllowed, "The project does not allow requests from this origin.")
        .with_hint("Add the origin to the project's CORS origins, or call from a server."))
}

pub(super) fn allow(response: &mut Response, origin: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    headers.append(header::VARY, HeaderValue::from_static("origin"));
}

/// Each `*`, or `scheme://host[:port]` with nothing behind.
pub(super) fn check_configured(origins: &[String]) -> ApiResult<()> {
    if origins.len() > 50 {
        return Err(ApiError::invalid("`corsOrigins` has more than 50 entries."));
    }
    for origin in origins {
        let valid = origin == "*"
            || url::Url::parse(origin).is_ok_and(|url| {
                matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == *origin
            });
        if !valid {
            return Err(ApiError::invalid(format!("`{origin}` in `corsOrigins` is not an origin.")).with_hint(
                "Write scheme, host and port if it is not the usual one, for example https://app.example.com.",
            ));
        }
    }
    Ok(())
}
