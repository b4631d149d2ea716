//! The interface `http`: sends requests.
//!
//! `streaming` sends requests whose bodies are streams, `failure` converts errors.

mod failure;
mod streaming;

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use plugin_manifest::Capability;
use tokio::sync::Semaphore;
use wasmtime::component::{Linker, Resource, StreamReader};

use crate::{
    config::Secret,
    egress::{EgressBody, EgressHeader, EgressRequest, EgressResponse, MAX_RESPONSE_BYTES},
    jobs::Redactor,
    plugins::guest::{Accessor, CallError, Host, OpenSecret, RunState, begin_call, bindings::http, charge_result},
};

use failure::to_call_error;
use streaming::OpenResponse;

/// Maximum number of headers of a request.
const MAX_HEADERS: usize = 100;
/// Maximum number of concurrent requests of one run.
const MAX_REQUESTS: usize = 8;
/// Memory held for a response: its body, a redacted copy of the body, and the headers.
const RESPONSE_BYTES: usize = 2 * MAX_RESPONSE_BYTES + (256 << 10);

/// The request permits of one run.
struct RequestPermits(Arc<Semaphore>);

impl Default for RequestPermits {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_REQUESTS)))
    }
}

pub(super) fn add_to_linker(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    http::add_to_linker::<_, Host>(linker, |state| state)
}

impl http::Host for RunState {}

impl http::HostWithStore<RunState> for Host {
    async fn send(accessor: &Accessor, request: http::Request) -> Result<http::Response, CallError> {
        let run = begin_call(accessor, request_bytes(&request))?;
        let (request, permits) = accessor.with(|mut access| {
            let state = access.get();
            let request = to_egress(state, request)?;
            let RequestPermits(permits) = state.capability_state();
            Ok::<_, CallError>((request, Arc::clone(permits)))
        })?;
        let scope = &run.scope(Capability::Http).hosts;
        // This permit is acquired before the permit of the call, so that requests to slow servers leave permits for
        // other calls of the run.
        let _request = permits.acquire_owned().await;
        let _permit = run.enter().await;
        let _memory = run.calls.hold(RESPONSE_BYTES)?;
        let response = match run.services.egress.send(request, scope).await {
            Ok(response) => response,
            Err(error) => return Err(to_call_error(&run, &error)),
        };
        let response = to_wit(response, &run.redactor);
        let header_bytes: usize = response.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        charge_result(accessor, response.body.len() + header_bytes)?;
        Ok(response)
    }

    async fn open(
        accessor: &Accessor,
        request: http::Request,
        body: Option<StreamReader<u8>>,
        content_length: Option<u64>,
    ) -> Result<OpenResponse, CallError> {
        streaming::open(accessor, request, body, content_length).await
    }
}

fn request_bytes(request: &http::Request) -> usize {
    let headers = request
        .headers
        .iter()
        .map(|(name, value)| name.len() + if let http::HeaderValue::Text(text) = value { text.len() } else { 0 });
    let body = match &request.body {
        Some(http::Body::Text(text)) => text.len(),
        Some(http::Body::Bytes(bytes)) => bytes.len(),
        Some(http::Body::Secret(_)) | None => 0,
    };
    request.method.len() + request.url.len() + body + headers.sum::<usize>()
}

/// Converts a request, replacing secret handles with their values.
fn to_egress(state: &RunState, request: http::Request) -> Result<EgressRequest, CallError> {
    if request.headers.len() > MAX_HEADERS {
        return Err(CallError::invalid(format!("the request has more than {MAX_HEADERS} headers")));
    }
    let secret = |handle: &Resource<OpenSecret>| Ok::<Secret, CallError>(state.table.get(handle)?.0.clone());
    let mut headers = Vec::with_capacity(request.headers.len());
    for (name, value) in request.headers {
        headers.push(match value {
            http::HeaderValue::Text(text) => EgressHeader::new(name, text),
            http::HeaderValue::Secret(handle) => EgressHeader::secret(name, secret(&handle)?),
        });
    }
    let body = match request.body {
        Some(http::Body::Text(text)) => Some(Bytes::from(text)),
        Some(http::Body::Bytes(bytes)) => Some(Bytes::from(bytes)),
        Some(http::Body::Secret(handle)) => Some(Bytes::copy_from_slice(secret(&handle)?.expose().as_bytes())),
        None => None,
    };
    let remaining = state.run.deadline.saturating_duration_since(Instant::now());
    let timeout =
        request.timeout_ms.map_or(remaining, |timeout| Duration::from_millis(u64::from(timeout)).min(remaining));
    Ok(EgressRequest {
        method: request.method,
        url: request.url,
        headers,
        body: body.map(EgressBody),
        timeout,
        max_redirects: request.max_redirects,
        max_bytes: MAX_RESPONSE_BYTES,
    })
}

/// Converts a response and redacts the run's secrets, because a server may echo a secret that was sent to it.
fn to_wit(response: EgressResponse, redactor: &Redactor) -> http::Response {
    let headers = response.headers.into_iter().map(|(name, value)| (name, redactor.text(&value))).collect();
    let redacted =
        if response.truncated { redactor.truncated_bytes(&response.body) } else { redactor.bytes(&response.body) };
    let body = match redacted {
        Cow::Owned(redacted) => redacted,
        Cow::Borrowed(_) => response.body.into(),
    };
    http::Response { status: response.status, headers, body, truncated: response.truncated }
}
