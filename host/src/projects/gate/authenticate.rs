//! The gate: the middleware that authenticates requests on the public surface.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{Caller, RateLimits, SessionCheck, UserClaims, UserTokens, WrongKeyLimit, cors};
use crate::{
    db::Availability,
    error::{ApiError, ApiResult, Code},
    http::ClientAddress,
    projects::{AuthSettingsCache, KeyCache},
};

/// Prefix of the paths of end-user login.
const AUTH_PATH: &str = "/v1/auth/";
/// Prefix of the paths of public keys, which verifiers of access tokens fetch without an API key.
const PUBLIC_KEYS_PATH: &str = "/v1/auth/jwks/";
/// Path of the exchange of refresh tokens. Some client libraries end the session on 429 there, but try again on 503.
const REFRESH_PATH: &str = "/v1/auth/refresh";

/// State of the gate.
pub struct PublicGate {
    pub keys: KeyCache,
    pub limits: RateLimits,
    pub tokens: UserTokens,
    pub auth: AuthSettingsCache,
    pub sessions: Arc<dyn SessionCheck>,
    pub wrong_keys: WrongKeyLimit,
    pub availability: Availability,
    /// Time limit for authenticating a request.
    pub timeout: Duration,
}

/// Authenticates a request: checks key, origin, rate, user token and, if the project requires it, the session, and adds
/// the [`Caller`] to the request. Refuses requests to paths of end-user login if login is off. Responds to `OPTIONS`
/// without a check, and to requests for public keys without an API key.
pub async fn authenticate(
    State(gate): State<Arc<PublicGate>>,
    address: ClientAddress,
    mut request: Request,
    next: Next,
) -> Response {
    // Every route here is under `/v1`. Any other path is unknown, and results in 404 without a check of the key.
    if !request.uri().path().starts_with("/v1/") {
        return next.run(request).await;
    }
    if request.method() == Method::OPTIONS {
        return cors::preflight(request.headers());
    }
    if request.uri().path().starts_with(PUBLIC_KEYS_PATH) {
        let mut response = Box::pin(public_keys(&gate, address, request, next)).await;
        cors::allow(&mut response, header::HeaderValue::from_static("*"));
        return response;
    }
    let admission = admit(&gate, address, request.uri().path(), request.headers());
    let admitted = match tokio::time::timeout(gate.timeout, admission).await {
        Ok(admitted) => admitted,
        Err(_) => Err(ApiError::new(Code::Timeout, "The request could not be authenticated in time.")),
    };
    let (caller, origin) = match admitted {
        Ok(admitted) => admitted,
        Err(error) => return cors::refusal(request.headers(), error),
    };
    request.extensions_mut().insert(caller);
    let mut response = next.run(request).await;
    if let Some(origin) = origin {
        cors::allow(&mut response, origin);
    }
    response
}

/// Serves a project's public keys without an API key. Limits how many unknown projects an IP address may ask for.
async fn public_keys(gate: &PublicGate, address: ClientAddress, request: Request, next: Next) -> Response {
    let project = request.uri().path().trim_start_matches(PUBLIC_KEYS_PATH);
    if !gate.tokens.is_cached(project)
        && let Err(error) = gate.wrong_keys.check_refused(address)
    {
        return error.into_response();
    }
    let response = next.run(request).await;
    match response.status() {
        StatusCode::NOT_FOUND => match gate.wrong_keys.check(address) {
            Ok(()) => response,
            Err(error) => error.into_response(),
        },
        _ => response,
    }
}

/// The allowed origin, for the response's CORS headers.
type Origin = Option<header::HeaderValue>;

async fn admit(
    gate: &PublicGate,
    address: ClientAddress,
    path: &str,
    headers: &HeaderMap,
) -> ApiResult<(Caller, Origin)> {
    let key = headers.get("x-api-key").ok_or_else(missing_key)?;
    // Every request behind the gate needs the database.
    gate.availability.check()?;
    let checked = match key.to_str() {
        Ok(key) => gate.keys.check(key).await,
        Err(_) => Err(ApiError::new(Code::Unauthorized, "The API key is not valid.")),
    };
    let key = match checked {
        Ok(key) => key,
        Err(error) => {
            if error.code() == Code::Unauthorized {
                gate.wrong_keys.check(address)?;
            }
            return Err(error);
        }
    };
    let origin = cors::check_origin(&key.project, headers)?;
    gate.limits.check(&key.project.id, key.key_type).map_err(|error| match path {
        REFRESH_PATH => overloaded(&error),
        _ => error,
    })?;
    // Checked before the token, so that the error does not depend on the token.
    if path.starts_with(AUTH_PATH) {
        gate.availability.guard(gate.auth.enabled(&key.project.id)).await??;
    }
    let user = match bearer_token(headers)? {
        Some(token) => {
            // Boxed, because requests without a token don't need the future's space.
            let verifying = Box::pin(verify_user(gate, &key.project.id, token));
            Some(gate.availability.guard(verifying).await??)
        }
        None => None,
    };
    let caller = Caller { project: key.project.clone(), key_type: key.key_type, key_id: key.key_id, user };
    Ok((caller, origin))
}

/// Returns the claims of a user's token.
async fn verify_user(gate: &PublicGate, project: &str, token: &str) -> ApiResult<Arc<UserClaims>> {
    let settings = gate.auth.get(project).await?;
    if settings.as_ref().is_some_and(|settings| !settings.enabled) {
        return Err(ApiError::new(
            Code::Unauthorized,
            "End-user login is off for this project, so access tokens are not valid.",
        )
        .with_hint("Leave the header `authorization` out."));
    }
    let issuer = settings.as_ref().and_then(|settings| settings.issuer.as_deref());
    let user = gate.tokens.verify(project, token, issuer).await?;
    if settings.is_some_and(|settings| settings.check_session) {
        gate.sessions.check_session(project, &user).await?;
    }
    Ok(user)
}

/// Returns the user's token. A malformed `authorization` header is an error, never a fallback to the key alone.
fn bearer_token(headers: &HeaderMap) -> ApiResult<Option<&str>> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let token = value.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    match token {
        Some(token) if !token.is_empty() => Ok(Some(token)),
        _ => Err(ApiError::new(Code::Unauthorized, "The header `authorization` contains no bearer token.")
            .with_hint("Send `authorization: Bearer <access token>`, or leave the header out.")),
    }
}

/// Returns the error of a project's rate limit as 503 instead of 429, so that apps keep the session.
fn overloaded(limited: &ApiError) -> ApiError {
    ApiError::new(Code::Overloaded, "The project is at its limit of requests per second.")
        .with_hint("Keep the session. Wait for the number of seconds in `Retry-After`, then try again.")
        .with_retry_after(Duration::from_secs(limited.retry_after_seconds().unwrap_or(1)))
}

fn missing_key() -> ApiError {
    ApiError::new(Code::Unauthorized, "The API key is missing.")
        .with_hint("Send one of the project's keys in the header `x-api-key`.")
}
