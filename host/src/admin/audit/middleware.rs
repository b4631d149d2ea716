//! The middleware that writes audit entries.

use axum::{
    extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State},
    http::Method,
    middleware::Next,
    response::Response,
};

use super::{action_of, actions::default_target, is_read, request_entry::RequestEntry};
use crate::{
    admin::{AdminState, is_api_path},
    db::audit::NewAuditEntry,
    http::{ClientAddress, RequestId},
};

/// Middleware: writes an audit entry for every change through the admin API, including refused ones. Unless the change
/// is refused, its entry is written before anything changes, so that it exists even if the process is killed. Requests
/// without a signed-in caller are not recorded here: `identity` records failed sign-ins.
pub async fn write_audit_entry(State(state): State<AdminState>, request: Request, next: Next) -> Response {
    let is_write = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !is_write || !is_api_path(request.uri().path()) {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let template = parts.extensions.get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let Some(template) = template else { return next.run(Request::from_parts(parts, body)).await };
    if is_read(parts.method.as_str(), &template) {
        return next.run(Request::from_parts(parts, body)).await;
    }
    let action = match action_of(parts.method.as_str(), &template) {
        Some(action) => action.to_owned(),
        None => format!("{} {template}", parts.method),
    };
    let mut entry = NewAuditEntry::new("unknown", action);
    let Ok(ClientAddress(address)) = ClientAddress::from_request_parts(&mut parts, &()).await;
    entry.address = Some(address.to_string());
    entry.request_id = parts.extensions.get::<RequestId>().map(|id| id.0.to_string());
    if let Ok(params) = RawPathParams::from_request_parts(&mut parts, &()).await {
        entry.project_id = params.iter().find(|(name, _)| *name == "project").map(|(_, id)| id.to_owned());
        let others: Vec<&str> = params.iter().filter(|(name, _)| *name != "project").map(|(_, value)| value).collect();
        entry.target = match others.as_slice() {
            [] => default_target(&entry.action, entry.project_id.as_deref()),
            others => Some(others.join("/")),
        };
    }
    let entry = RequestEntry::new(state.platform.clone(), entry);
    parts.extensions.insert(entry.clone());
    let response = next.run(Request::from_parts(parts, body)).await;
    // A task of its own, so that a known outcome is also written if the client disconnects now.
    if let Err(error) = tokio::spawn(entry.complete(&response)).await {
        tracing::warn!(%error, "could not complete an audit entry");
    }
    response
}
