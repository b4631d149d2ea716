use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use plugin_manifest::Capability;
use wasmtime::component::Resource;

use super::secrets::OpenSecret;
use crate::{
    config::Secret,
    egress::{EgressBody, EgressError, EgressHeader, EgressRequest, EgressResponse, MAX_RESPONSE_BYTES},
    jobs::Redactor,
    plugins::runtime::{
        Accessor, CallError, Host, RunScope, RunState,
        bindings::{http, types::ErrorCode},
    },
};

/// Most headers of a request.
const HEADERS: usize = 100;

impl http::Host for RunState {}

impl http::HostWithStore<RunState> for Host {
    async fn send(accessor: &Accessor, request: http::Request) -> Result<http::Response, CallError> {
        let (run, request, places) = accessor.with(|mut access| {
            let state = access.get();
            state.charge(size_of(&request))?;
            let request = to_egress(state, request)?;
            Ok::<_, CallError>((Arc::clone(&state.run), request, state.request_places()))
        })?;
        // Each answer may take a MiB of the host's memory.
        let _place = places.acquire_owned().await;
        let scope = &run.scope(Capability::Http).hosts;
        let response = match run.services.egress.send(request, scope).await {
            Ok(response) => response,
            Err(error) => return Err(to_call_error(&run, &error)),
        };
        let answered = to_wit(response, &run.redactor);
        let bytes =
            answered.body.len() + answered.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        accessor.with(|mut access| access.get().charge(bytes))?;
        Ok(answered)
    }
}

fn size_of(request: &http::Request) -> usize {
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

/// With the secrets in their places.
fn to_egress(state: &RunState, request: http::Request) -> Result<EgressRequest, CallError> {
    if request.headers.len() > HEADERS {
        return Err(CallError::invalid(format!("the request has more than {HEADERS} headers")));
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
    let left = state.run.deadline.saturating_duration_since(Instant::now());
    let timeout = request.timeout_ms.map_or(left, |timeout| Duration::from_millis(u64::from(timeout)).min(left));
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

/// Without the secrets that went out with the request: a server that sends them back must not give them to the guest.
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

fn to_call_error(run: &RunScope, error: &EgressError) -> CallError {
    match error {
        EgressError::OutOfScope { host } => run.denied(Capability::Http, &format!("host `{host}`")),
        EgressError::Redirect(inner) if matches!(**inner, EgressError::OutOfScope { .. }) => to_call_error(run, inner),
        // The allowlist is the owner's as well: what it leaves out belongs into the audit log, with its own advice.
        refused if refused.is_denial() => {
            run.record_denial(Capability::Http, &refused.to_string());
            CallError::new(ErrorCode::Denied, refused.to_string())
        }
        refused if refused.is_refusal() => CallError::invalid(refused.to_string()),
        EgressError::Timeout { .. } => CallError::new(ErrorCode::Timeout, error.to_string()),
        EgressError::TooManyRedirects { .. } => CallError::invalid(error.to_string()),
        _ => CallError::unavailable(error.to_string()),
    }
}
