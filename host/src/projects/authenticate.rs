//! The gate of the public surface: no request passes without a key that works.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{Caller, KeyCache, UserTokens, cors, rate_limit};
use crate::{
    error::{ApiError, ApiResult, Code},
    http::ClientAddress,
};

/// What the gate needs.
#[derive(Clone)]
pub struct PublicGate {
    pub keys: KeyCache,
    pub tokens: UserTokens,
    pub refusals: RefusalLimit,
}

/// Bounds how many wrong keys one address may try, so that guessing costs the database nothing.
#[derive(Clone)]
pub struct RefusalLimit(Arc<governor::DefaultKeyedRateLimiter<std::net::IpAddr>>);

impl RefusalLimit {
    /// Wrong keys per second and address; bursts of twice that.
    pub fn per_second(rate: std::num::NonZeroU32) -> Self {
        let quota = governor::Quota::per_second(rate).allow_burst(rate.saturating_add(rate.get()));
        Self(Arc::new(governor::RateLimiter::keyed(quota)))
    }

    fn check(&self, address: ClientAddress) -> ApiResult<()> {
        // Addresses that were quiet are forgotten, so that the table does not grow for ever.
        if self.0.len() > 10_000 {
            self.0.retain_recent();
        }
        self.0.check_key(&address.0).map_err(|not_until| {
            use governor::clock::{Clock, DefaultClock};
            rate_limit::too_many(not_until.wait_time_from(DefaultClock::default().now()))
        })
    }
}

/// Middleware: answers preflights, makes the [`Caller`], checks origin and rate.
pub async fn authenticate(
    State(gate): State<PublicGate>,
    address: ClientAddress,
    mut request: Request,
    next: Next,
) -> Response {
    // Every route here is under `/v1`; what is not is no path at all, and needs no key to be told so.
    if !request.uri().path().starts_with("/v1/") {
        return next.run(request).await;
    }
    if cors::is_preflight(request.method(), request.headers()) {
        return cors::preflight(request.headers());
    }
    let (caller, origin) = match admit(&gate, address, request.headers()).await {
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

type Origin = Option<header::HeaderValue>;

async fn admit(
    gate: &PublicGate,
    address: ClientAddress,
    headers: &HeaderMap,
) -> Result<(Caller, Origin), (ApiError, Origin)> {
    let key = headers.get("x-api-key").ok_or_else(|| (missing_key(), None))?;
    let checked = match key.to_str() {
        Ok(key) => gate.keys.check(key).await,
        Err(_) => Err(ApiError::new(Code::Unauthorized, "The API key is not valid.")),
    };
    let known = match checked {
        Ok(known) => known,
        Err(error) if error.code() == Code::Unauthorized => {
            gate.refusals.check(address).map_err(|error| (error, None))?;
            return Err((error, None));
        }
        Err(error) => return Err((error, None)),
    };
    let origin = cors::check_origin(&known.project, headers).map_err(|error| (error, None))?;
    let admitted = async {
        if let Some(limiter) = &known.limiter {
            limiter.check()?;
        }
        let user = match bearer(headers)? {
            Some(token) => Some(Arc::new(gate.tokens.verify(&known.project.id, token).await?)),
            None => None,
        };
        Ok(Caller { project: known.project.clone(), key_type: known.key_type, key_id: known.key_id, user })
    };
    match admitted.await {
        Ok(caller) => Ok((caller, origin)),
        Err(error) => Err((error, origin)),
    }
}

/// The user's token. A header that is no bearer token is an error, never a fall-back to the key alone.
fn bearer(headers: &HeaderMap) -> ApiResult<Option<&str>> {
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
