//! Decides which browser origins may call a project and read its responses.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{
    error::{ApiError, ApiResult, Code},
    projects::ProjectRef,
};

const ALLOWED_METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PATCH, DELETE");
/// The allowed headers for a preflight that names none.
const ALLOWED_HEADERS: HeaderValue =
    HeaderValue::from_static("authorization, content-type, x-api-key, x-client-info, x-retry-count");
const EXPOSED_HEADERS: HeaderValue = HeaderValue::from_static("x-request-id, retry-after");
const PREFLIGHT_MAX_AGE_SECONDS: HeaderValue = HeaderValue::from_static("600");
const MAX_ORIGINS: usize = 50;

/// Responds to `OPTIONS`: to preflights of browsers, and to such requests of other clients. Browsers send preflights
/// without a key, so the project is unknown and any origin is allowed here. [`check_origin`] checks the origin of the
/// request that follows.
pub(super) fn preflight(headers: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let response_headers = response.headers_mut();
    if let Some(origin) = headers.get(header::ORIGIN) {
        response_headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        response_headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS);
        // Any header is allowed, because the request that follows still needs a key.
        let requested = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
        response_headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, requested.unwrap_or(ALLOWED_HEADERS));
        response_headers.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_MAX_AGE_SECONDS);
    }
    response_headers.insert(
        header::VARY,
        HeaderValue::from_static("origin, access-control-request-method, access-control-request-headers"),
    );
    response
}

/// Returns the origin for the response's CORS headers, or `None` if the request has no header `origin`. Browsers send
/// this header with every cross-origin request whose response a page can read.
///
/// # Errors
/// Returns 403 if the project does not allow the origin.
pub(super) fn check_origin(project: &ProjectRef, headers: &HeaderMap) -> ApiResult<Option<HeaderValue>> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(None) };
    let allowed = origin.to_str().is_ok_and(|origin| {
        project.cors_origins.iter().any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(origin))
    });
    if allowed {
        return Ok(Some(origin.clone()));
    }
    Err(ApiError::new(Code::OriginNotAllowed, "The project does not allow requests from this origin.")
        .with_hint("Add the origin to the project's allowed origins, or call from a server."))
}

/// Returns the response for a request that the gate refuses. Pages of any origin may read the response, because
/// browsers would otherwise report only a network error. The response contains no data of the project.
pub(super) fn refusal(headers: &HeaderMap, error: ApiError) -> Response {
    let mut response = error.into_response();
    if let Some(origin) = headers.get(header::ORIGIN) {
        allow(&mut response, origin.clone());
    }
    response
}

/// Adds the CORS headers that let the origin read the response.
pub(super) fn allow(response: &mut Response, origin: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
    headers.append(header::VARY, HeaderValue::from_static("origin"));
}

/// Checks the length of a project's list of origins.
pub(in crate::projects) fn check_count(origins: &[String]) -> ApiResult<()> {
    if origins.len() > MAX_ORIGINS {
        return Err(ApiError::invalid(format!("`corsOrigins` has more than {MAX_ORIGINS} entries.")));
    }
    Ok(())
}

/// Checks a project's list of origins: each is `*` or `scheme://host[:port]`.
pub(in crate::projects) fn check_configured_origins(origins: &[String]) -> ApiResult<()> {
    check_count(origins)?;
    for origin in origins {
        if origin.len() > 1 && origin.contains('*') {
            return Err(ApiError::invalid(format!(
                "`{origin}` in `corsOrigins` contains `*`. Wildcards within an origin are not supported."
            ))
            .with_hint("List each origin, or use `*` alone to allow all."));
        }
        if origin != "*" && !is_origin(origin) {
            return Err(ApiError::invalid(format!("`{origin}` in `corsOrigins` is not an origin.")).with_hint(
                "Use `scheme://host` in lowercase, without a path or a slash at the end, for example \
                 https://app.example.com. Add the port only if it is not the default.",
            ));
        }
    }
    Ok(())
}

/// Returns whether a browser could send the text as its origin. Frameworks that wrap web pages as phone or desktop apps
/// use schemes of their own, such as `capacitor://localhost`.
fn is_origin(text: &str) -> bool {
    let Ok(url) = url::Url::parse(text) else { return false };
    match url.scheme() {
        "http" | "https" => url.origin().ascii_serialization() == text,
        // Pages either can't have these schemes, or send the origin `null`, which any page can send.
        "about" | "blob" | "data" | "file" | "javascript" | "ftp" | "ws" | "wss" => false,
        scheme => {
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            url.host_str().is_some_and(|host| !host.is_empty() && format!("{scheme}://{host}{port}") == text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{check_configured_origins, is_origin};

    #[test]
    fn wildcards_are_only_accepted_alone() {
        let check = |origin: &str| check_configured_origins(&[origin.to_owned()]);
        check("*").unwrap();
        for origin in ["https://*.example.com", "https://*", "**"] {
            let error = check(origin).unwrap_err();
            assert!(error.message().contains("contains `*`"), "{origin}: {}", error.message());
        }
    }

    #[test]
    fn origins_of_browsers_and_of_wrapped_apps_are_accepted() {
        for origin in
            ["https://app.example.com", "http://localhost:3000", "capacitor://localhost", "tauri://localhost:1430"]
        {
            assert!(is_origin(origin), "{origin}");
        }
        for text in [
            "",
            "null",
            "app.example.com",
            "https://app.example.com/",
            "https://app.example.com:443",
            "https://App.example.com",
            "capacitor://localhost/",
            "capacitor://",
            "capacitor:localhost",
            "capacitor://user@localhost",
            "file://",
            "file://localhost",
        ] {
            assert!(!is_origin(text), "{text}");
        }
    }
}
