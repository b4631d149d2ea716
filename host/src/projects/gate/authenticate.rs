use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{Caller, RateLimits, UserTokens, WrongKeyLimit, cors};
use crate::{
    db::Availability,
    error::{ApiError, ApiResult, Code},
    http::ClientAddress,
    projects::KeyCache,
};

/// State of the gate.
pub struct PublicGate {
    pub keys: KeyCache,
    pub limits: RateLimits,
    pub tokens: UserTokens,
    pub refusals: WrongKeyLimit,
    pub availability: Availability,
    /// Time limit of finding out who the caller is.
    pub timeout: Duration,
}

/// Middleware: responds to preflights, checks key, origin, rate and user token, and adds the [`Caller`] to the request.
pub async fn authenticate(
    State(gate): State<Arc<PublicGate>>,
    address: ClientAddress,
    mut request: Request,
    next: Next,
) -> Response {
    // Every route here is under `/v1`. Any other path is unknown: 404 without asking for a key.
    if !request.uri().path().starts_with("/v1/") {
        return next.run(request).await;
    }
    if cors::is_preflight(request.method(), request.headers()) {
        return cors::preflight(request.headers());
    }
    let admitted = match tokio::time::timeout(gate.timeout, admit(&gate, address, request.headers())).await {
        Ok(admitted) => admitted,
        Err(_) => Err((ApiError::new(Code::Timeout, "The API key could not be checked in time."), None)),
    };
    let (caller, origin) = match admitted {
        Ok(admitted) => admitted,
        Err((error, origin)) => {
            let mut response = error.into_response();
            if let Some(origin) = origin {
                cors::allow(&mut response, origin);
            }
            return response;
        }
    };
    request.extensions_mut().insert(caller);
    let mut response = next.run(request).await;
    if let Some(origin) = origin {
        cors::allow(&mut response, origin);
    }
    response
}

/// The allowed origin, for the response's CORS headers.
type Origin = Option<header::HeaderValue>;

async fn admit(
    gate: &PublicGate,
    address: ClientAddress,
    headers: &HeaderMap,
) -> Result<(Caller, Origin), (ApiError, Origin)> {
    let key = headers.get("x-api-key").ok_or_else(|| (missing_key(), None))?;
    // Every request behind the gate needs the database.
    gate.availability.check().map_err(|down| (down.into(), None))?;
    let checked = match key.to_str() {
        Ok(key) => gate.keys.check(key).await,
        Err(_) => Err(ApiError::new(Code::Unauthorized, "The API key is not valid.")),
    };
    let key = match checked {
        Ok(key) => key,
        Err(error) if error.code() == Code::Unauthorized => {
            gate.refusals.check(address).map_err(|error| (error, None))?;
            return Err((error, None));
        }
        Err(error) => return Err((error, None)),
    };
    let origin = cors::check_origin(&key.project, headers).map_err(|error| (error, None))?;
    let admitted = async {
        gate.limits.check(&key.project.id, key.key_type)?;
        let user = match bearer_token(headers)? {
            Some(token) => {
                let verified = gate.availability.guard(gate.tokens.verify(&key.project.id, token)).await?;
                Some(Arc::new(verified?))
            }
            None => None,
        };
        Ok(Caller { project: key.project.clone(), key_type: key.key_type, key_id: key.key_id, user })
    };
    match admitted.await {
        Ok(caller) => Ok((caller, origin)),
        Err(error) => Err((error, origin)),
    }
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
        _ => Err(ApiError::new(Code::Unauthorized, "The header `authorization` carries no bearer token.")
            .with_hint("Send `authorization: Bearer <access token>`, or leave the header out.")),
    }
}

fn missing_key() -> ApiError {
    ApiError::new(Code::Unauthorized, "The API key is missing.")
        .with_hint("Send one of the project's keys in the header `x-api-key`.")
}
