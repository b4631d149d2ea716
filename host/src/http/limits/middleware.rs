//! The middleware that applies the limits of a surface to each request.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    http::header,
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    receive::{BodyLimits, has_body, receive},
    shares::{Holder, Share, ShareHolder, Shares, SurfaceLimits},
};
use crate::{
    config::LimitsConfig,
    error::{ApiError, ApiResult, Code},
    http::HeldUntilWritten,
};

/// Limits of one surface.
#[derive(Clone)]
pub struct RequestLimits {
    shares: Arc<Shares>,
    body: BodyLimits,
    timeout: Duration,
}

impl RequestLimits {
    /// Creates the limits of a surface. `connections` is the maximum number of connections of its listener, `timeout`
    /// the time limit of a handler.
    pub fn new(config: &LimitsConfig, min_bytes_per_second: u64, connections: usize, timeout: Duration) -> Self {
        let shares = Shares::new(SurfaceLimits {
            turns: config.concurrent_requests,
            turns_per_project: config.concurrent_requests_per_project,
            connections,
            body_bytes: config.body_bytes_in_flight,
            max_body_bytes: config.body_bytes,
        });
        let body = BodyLimits { max_bytes: config.body_bytes, timeout: config.body_timeout, min_bytes_per_second };
        Self { shares: Arc::new(shares), body, timeout }
    }
}

/// Middleware that receives the body, waits for a turn, and responds with 504 if the handler takes too long. A request
/// without a caller `C` in its extensions uses the share of unauthenticated requests.
pub async fn limit_requests<C: ShareHolder>(
    State(limits): State<RequestLimits>,
    request: Request,
    next: Next,
) -> Response {
    let holder = request.extensions().get::<C>().map_or(Holder::Anonymous, C::holder);
    let share = limits.shares.of(holder);
    let permit = match share.begin_request() {
        Ok(permit) => permit,
        Err(error) => return error.into_response(),
    };
    let mut response = match run(&limits, &share, request, next).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    };
    // The connection is in use until the client has read the response.
    response.extensions_mut().insert(HeldUntilWritten::new(permit));
    response
}

async fn run(limits: &RequestLimits, share: &Arc<Share>, mut request: Request, next: Next) -> ApiResult<Response> {
    let mut bytes = None;
    // Bodies of requests for unknown paths are not received.
    if has_body(request.method(), request.body()) && request.extensions().get::<MatchedPath>().is_some() {
        let (parts, body) = request.into_parts();
        let (received, counted) = match receive(&parts.headers, body, &limits.body, &limits.shares, share).await {
            Ok(received) => received,
            // The connection is closed, because the rest of the body would be read as the next request.
            Err(error) => return Ok(([(header::CONNECTION, "close")], error).into_response()),
        };
        bytes = Some(counted);
        request = Request::from_parts(parts, Body::from(received));
    }
    let _turn = limits.shares.take_turn(share).await?;
    let response = tokio::time::timeout(limits.timeout, next.run(request)).await.map_err(|_| {
        ApiError::new(Code::Timeout, "The request took too long and was stopped.")
            .with_hint("Request less data at once.")
    });
    drop(bytes);
    response
}
