//! The outermost middleware: gives each request an id, and completes its response.

use std::time::{Duration, Instant};

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::Response,
};
use parking_lot::Mutex;
use uuid::Uuid;

use super::request_metrics;
use crate::error::{ApiError, Code};

/// Minimum interval between warnings about requests that exceeded a limit.
const LIMIT_LOG_INTERVAL: Duration = Duration::from_secs(1);

static LIMIT_LOG: LimitLog = LimitLog::new();

/// Id of a request. It is generated, never taken from the client, and returned as `x-request-id`.
#[derive(Debug, Clone)]
pub struct RequestId(pub std::sync::Arc<str>);

/// The outermost middleware: gives the request its id, writes the body of an [`ApiError`], logs failures, records
/// metrics, and adds the version of AtlasHub, by which pages of the dashboard detect an upgrade.
pub async fn finish_response(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = RequestId(Uuid::now_v7().simple().to_string().into());
    request.extensions_mut().insert(id.clone());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        log_error(&error, &id);
        response = with_body(response, &error, &id);
    }
    // A 503 that is not an `ApiError` gets `Retry-After` too.
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().entry(header::RETRY_AFTER).or_insert(HeaderValue::from_static("1"));
    }
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert("x-request-id", value);
    }
    response.headers_mut().insert("x-atlashub-version", HeaderValue::from_static(env!("CARGO_PKG_VERSION")));
    let route = route.as_ref().map_or("other", MatchedPath::as_str);
    let elapsed = started.elapsed();
    request_metrics::record(&method, route, response.status(), elapsed);
    tracing::debug!(request_id = %id.0, %method, route, status = response.status().as_u16(),
        duration_ms = elapsed.as_secs_f64() * 1e3, "request completed");
    response
}

fn log_error(error: &ApiError, id: &RequestId) {
    let code = error.code().as_str();
    if is_exceeded_limit(error.code()) {
        tracing::debug!(request_id = %id.0, code, %error, "request refused");
        if let Some(suppressed) = LIMIT_LOG.admit(Instant::now()) {
            tracing::warn!(request_id = %id.0, code, %error, suppressed, "request refused because of a limit");
        }
    } else if error.status().is_server_error() {
        tracing::error!(request_id = %id.0, code, %error, "request failed");
    } else if let Some(cause) = error.cause() {
        tracing::info!(request_id = %id.0, code, cause, "request refused");
    }
}

/// Returns whether the error reports a limit that clients can exceed as often as they want, and not a fault of the
/// server.
fn is_exceeded_limit(code: Code) -> bool {
    matches!(code, Code::Overloaded | Code::Timeout)
}

/// Decides which requests above a limit are logged as a warning: at most one every [`LIMIT_LOG_INTERVAL`], so that
/// nobody can fill the log with requests.
struct LimitLog(Mutex<LimitLogState>);

struct LimitLogState {
    logged_at: Option<Instant>,
    suppressed: u64,
}

impl LimitLog {
    const fn new() -> Self {
        Self(Mutex::new(LimitLogState { logged_at: None, suppressed: 0 }))
    }

    /// Returns the number of requests since the last warning that were not logged as a warning, or `None` if the
    /// current request is not logged as one either.
    fn admit(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock();
        if state.logged_at.is_some_and(|at| now.saturating_duration_since(at) < LIMIT_LOG_INTERVAL) {
            state.suppressed += 1;
            return None;
        }
        state.logged_at = Some(now);
        Some(std::mem::take(&mut state.suppressed))
    }
}

fn with_body(response: Response, error: &ApiError, id: &RequestId) -> Response {
    let (mut parts, _) = response.into_parts();
    // This is the length of the body that is replaced.
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let body = serde_json::to_vec(&error.body(&id.0)).unwrap_or_default();
    Response::from_parts(parts, body.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_about_exceeded_limits_are_limited() {
        let (log, start) = (LimitLog::new(), Instant::now());
        let admitted = [0, 1, 999, 1000, 1001, 2500].map(|ms| log.admit(start + Duration::from_millis(ms)));
        assert_eq!(admitted, [Some(0), None, None, Some(2), None, Some(1)]);
    }

    #[test]
    fn faults_of_the_server_are_no_exceeded_limits() {
        for (code, expected) in
            [(Code::Overloaded, true), (Code::Timeout, true), (Code::Internal, false), (Code::Unavailable, false)]
        {
            assert_eq!(is_exceeded_limit(code), expected, "{code:?}");
        }
    }
}
