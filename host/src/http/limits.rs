//! The limits on concurrent requests and on the duration of a request.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::sync::Semaphore;

use crate::error::{ApiError, Code};

/// How long a request waits for a permit before it gets 503.
const PERMIT_TIMEOUT: Duration = Duration::from_secs(1);

/// Limits of one surface.
#[derive(Clone)]
pub struct RequestLimits {
    permits: Arc<Semaphore>,
    timeout: Duration,
}

impl RequestLimits {
    pub fn new(concurrent: usize, timeout: Duration) -> Self {
        Self { permits: Arc::new(Semaphore::new(concurrent)), timeout }
    }
}

/// Middleware: responds with 503 if the concurrency limit is reached, and with 504 if the request takes too long.
pub async fn limit_requests(State(limits): State<RequestLimits>, request: Request, next: Next) -> Response {
    let permit = match limits.permits.try_acquire() {
        Ok(permit) => Some(permit),
        Err(_) => tokio::time::timeout(PERMIT_TIMEOUT, limits.permits.acquire()).await.ok().and_then(Result::ok),
    };
    let Some(_permit) = permit else {
        return ApiError::new(Code::Overloaded, "The server is busy.")
            .with_hint("Try again in a moment.")
            .with_retry_after(Duration::from_secs(1))
            .into_response();
    };
    match tokio::time::timeout(limits.timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::new(Code::Timeout, "The request took too long and was stopped.")
            .with_hint("Request less data at once.")
            .into_response(),
    }
}
