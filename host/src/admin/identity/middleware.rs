use axum::{
    extract::{FromRequestParts, Request, State},
    http::{Method, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    CallerSlot, SignInMethod,
    authenticate::Authenticated,
    host_and_origin::{Credential, check_host, check_write},
    sessions,
};
use crate::{
    admin::{AdminState, is_api_path},
    error::{ApiError, ApiResult},
    http::ClientAddress,
};

/// Refuses requests under a host name that is not ours, but for the probes.
pub async fn require_known_host(State(state): State<AdminState>, request: Request, next: Next) -> Response {
    if !matches!(request.uri().path(), "/healthz" | "/readyz")
        && let Err(error) = check_host(request.headers(), request.uri(), state.identity.hosts())
    {
        return error.into_response();
    }
    next.run(request).await
}

/// Lets requests to the admin API through that are the owner's; all but signing in.
pub async fn require_admin(State(state): State<AdminState>, request: Request, next: Next) -> Response {
    if !is_api_path(request.uri().path()) {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let is_sign_in = parts.method == Method::POST && parts.uri.path() == "/admin/v1/session";
    if is_sign_in {
        // The token or code is in the body: nothing that a browser sends of itself opens a session.
        return match check_write_of(&state, &parts, Credential::Explicit) {
            Ok(()) => next.run(Request::from_parts(parts, body)).await,
            Err(error) => error.into_response(),
        };
    }
    let Authenticated { caller, renewed_cookie } = match authenticate(&state, &mut parts).await {
        Ok(authenticated) => authenticated,
        Err(error) => return error.into_response(),
    };
    if let Some(slot) = parts.extensions.get::<CallerSlot>() {
        slot.set(&caller);
    }
    let credential = match caller.method {
        SignInMethod::DevToken => Credential::Explicit,
        SignInMethod::Access | SignInMethod::Session => Credential::Ambient,
    };
    let is_write = !matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
    let cookie = renewed_cookie.and_then(|value| sessions::set_cookie(&value, &parts.headers));
    let mut response = match check_write_of(&state, &parts, credential) {
        Err(error) if is_write => error.into_response(),
        _ => {
            parts.extensions.insert(caller);
            next.run(Request::from_parts(parts, body)).await
        }
    };
    if let Some(cookie) = cookie {
        // A handler that sets the cookie itself, as signing out does, has the last word.
        response.headers_mut().entry(header::SET_COOKIE).or_insert(cookie);
    }
    response
}

/// Lets the owner read, and whoever has `ATLASHUB_METRICS_TOKEN` as bearer.
pub async fn require_metrics_reader(State(state): State<AdminState>, request: Request, next: Next) -> Response {
    let bearer = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.as_bytes().split_at_checked(7))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "))
        .is_some_and(|(_, token)| state.identity.is_metrics_token(token));
    if bearer {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    match authenticate(&state, &mut parts).await {
        Ok(_) => next.run(Request::from_parts(parts, body)).await,
        Err(error) => error.into_response(),
    }
}

async fn authenticate(state: &AdminState, parts: &mut Parts) -> ApiResult<Authenticated> {
    let Ok(ClientAddress(address)) = ClientAddress::from_request_parts(parts, &()).await;
    state.identity.authenticate(&parts.headers, address).await
}

fn check_write_of(state: &AdminState, parts: &Parts, credential: Credential) -> Result<(), ApiError> {
    let host = check_host(&parts.headers, &parts.uri, state.identity.hosts())?;
    check_write(&parts.headers, host, credential)
}
