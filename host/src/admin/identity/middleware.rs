//! The middleware of the admin listener, which checks host names, the database, the owner, and readers of metrics.

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{Method, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    SignInMethod,
    authenticate::Authenticated,
    host_and_origin::{Credential, check_host, check_write},
    sessions,
};
use crate::{
    admin::{AdminState, audit::RequestEntry, is_api_path},
    error::{ApiError, ApiResult},
    http::ClientAddress,
};

/// Middleware: refuses requests for unknown host names, except health checks.
pub async fn require_known_host(State(state): State<AdminState>, request: Request, next: Next) -> Response {
    if !matches!(request.uri().path(), "/healthz" | "/readyz")
        && let Err(error) = check_host(request.headers(), request.uri(), state.identity.hosts())
    {
        return error.into_response();
    }
    next.run(request).await
}

/// Middleware: refuses requests to the admin API at once while Postgres does not respond.
pub async fn require_database(State(state): State<AdminState>, request: Request, next: Next) -> Response {
    if is_api_path(request.uri().path())
        && let Err(down) = state.pools.availability().check()
    {
        return ApiError::from(down).into_response();
    }
    next.run(request).await
}

/// Middleware: requires the owner for every request to the admin API except signing in, and refuses writes from foreign
/// pages. Writes the audit entry of a change before the handler runs.
pub async fn require_admin(State(state): State<AdminState>, request: Request, next: Next) -> Response {
    if !is_api_path(request.uri().path()) {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let is_sign_in = parts.method == Method::POST && parts.uri.path() == "/admin/v1/session";
    if is_sign_in {
        // The credential is in the body, and browsers never add it there on their own.
        return match check_host_and_origin(&state, &parts, Credential::Explicit) {
            Ok(()) => next.run(Request::from_parts(parts, body)).await,
            Err(error) => error.into_response(),
        };
    }
    let Authenticated { caller, renewed_cookie } = match authenticate(&state, &mut parts).await {
        Ok(authenticated) => authenticated,
        Err(error) => return error.into_response(),
    };
    let entry = parts.extensions.get::<RequestEntry>().cloned();
    if let Some(entry) = &entry {
        entry.set_actor(&caller.actor);
    }
    let credential = match caller.method {
        SignInMethod::DevToken => Credential::Explicit,
        SignInMethod::Access | SignInMethod::Session => Credential::Ambient,
    };
    let is_write = !matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
    let cookie = renewed_cookie.and_then(|value| sessions::set_cookie(&value, &parts.headers));
    let mut response = match check_host_and_origin(&state, &parts, credential) {
        Err(error) if is_write => error.into_response(),
        _ => match begin(entry.as_ref()).await {
            Err(error) => error.into_response(),
            Ok(()) => {
                parts.extensions.insert(caller);
                next.run(Request::from_parts(parts, body)).await
            }
        },
    };
    if let Some(cookie) = cookie {
        // The response to a sign-out already has this header, which removes the cookie.
        response.headers_mut().entry(header::SET_COOKIE).or_insert(cookie);
    }
    response
}

/// Middleware: requires the owner, or the bearer token `ATLASHUB_METRICS_TOKEN`.
pub async fn require_metrics_reader(State(state): State<AdminState>, request: Request, next: Next) -> Response {
    let has_metrics_token = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.as_bytes().split_at_checked(7))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "))
        .is_some_and(|(_, token)| state.identity.is_metrics_token(token));
    if has_metrics_token {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    match authenticate(&state, &mut parts).await {
        Ok(_) => next.run(Request::from_parts(parts, body)).await,
        Err(error) => error.into_response(),
    }
}

/// Writes the audit entry of a change before the handler runs. Other requests have none.
async fn begin(entry: Option<&RequestEntry>) -> ApiResult<()> {
    match entry {
        Some(entry) => entry.begin().await,
        None => Ok(()),
    }
}

async fn authenticate(state: &AdminState, parts: &mut Parts) -> ApiResult<Authenticated> {
    let Ok(ClientAddress(address)) = ClientAddress::from_request_parts(parts, &()).await;
    state.identity.authenticate(&parts.headers, address).await
}

fn check_host_and_origin(state: &AdminState, parts: &Parts, credential: Credential) -> Result<(), ApiError> {
    let host = check_host(&parts.headers, &parts.uri, state.identity.hosts())?;
    check_write(&parts.headers, host, credential)
}
