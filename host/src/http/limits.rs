//! How much a surface does at once, and how long a request may take.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::sync::Semaphore;

use crate::error::{ApiError, Code};

/// How long a request waits for its turn before it gets 503.
const TURN_TIMEOUT: Duration = Duration::from_secs(1);

/// Bounds of one surface.
#[derive(Clone)]
pub struct RequestLimits {
    turns: Arc<Semaphore>,
    timeout: Duration,
}

impl RequestLimits {
    pub fn new(concurrent: usize, timeout: Duration) -> Self {
        Self { turns: Arc::new(Semaphore::new(concurrent)), timeout }
    }
}

/// Middleware: 503 where there is no turn in time, 504 where the answer takes too long.
pub async fn limit_requests(State(limits): State<RequestLimits>, request: Request, next: Next) -> Response {
    let turn = match limits.turns.try_acquire() {
        Ok(turn) => Some(turn),
        Err(_) => tokio::time::timeout(TURN_TIMEOUT, limits.turns.acquire()).await.ok().and_then(Result::ok),
    };
    let Some(_turn) = turn else {
        return ApiError::new(Code::Overloaded, "The server is busy.")
            .with_hint("Try again in a moment.")
            .with_retry_after(Duration::from_secs(1))
            .into_response();
    };
    match tokio::time::timeout(limits.timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::new(Code::Timeout, "The request took too long and was stopped.")
            .with_hint("Ask for less at once.")
            .into_response(),
    }
}
