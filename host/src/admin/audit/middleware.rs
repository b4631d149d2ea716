use api_types::AuditResult;
use axum::{
    extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State},
    http::{Method, StatusCode},
    middleware::Next,
    response::Response,
};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::action_of;
use crate::{
    admin::{AdminState, identity::CallerSlot, is_api_path},
    db::audit::{NewAuditEntry, record_or_log},
    error::ApiError,
    http::{AuditDetails, AuditTarget, ClientAddress, RequestId},
};

/// Middleware: writes an audit entry for every change through the admin API, including refused ones. Requests without a
/// signed-in caller are not recorded here: `identity` records failed sign-ins.
pub async fn write_audit_entry(State(state): State<AdminState>, request: Request, next: Next) -> Response {
    let is_write = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !is_write || !is_api_path(request.uri().path()) {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let template = parts.extensions.get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let Some(template) = template else { return next.run(Request::from_parts(parts, body)).await };
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
        entry.target = (!others.is_empty()).then(|| others.join("/"));
    }
    let caller = CallerSlot::default();
    parts.extensions.insert(caller.clone());
    let mut pending = PendingEntry { pool: state.platform.clone(), caller: caller.clone(), entry: Some(entry) };
    let response = next.run(Request::from_parts(parts, body)).await;
    if let (Some(mut entry), Some(caller)) = (pending.entry.take(), caller.get()) {
        entry.actor = caller.actor.clone();
        complete(&mut entry, &response);
        record_or_log(&state.platform, &entry).await;
    }
    response
}

/// Adds the response's status and the handler's details.
fn complete(entry: &mut NewAuditEntry, response: &Response) {
    let status = response.status();
    entry.status = Some(status.as_u16());
    entry.result = result_of(status);
    let extensions = response.extensions();
    if let Some(AuditDetails(details)) = extensions.get() {
        entry.details = details.clone();
    }
    if let Some(AuditTarget(target)) = extensions.get() {
        entry.target = Some(target.clone());
        // The path of this request does not contain the new project's id.
        if entry.action == "project.create" {
            entry.project_id = Some(target.clone());
        }
    }
    if let (Some(error), Value::Object(details)) = (extensions.get::<ApiError>(), &mut entry.details) {
        details.insert("error".to_owned(), error.code().as_str().into());
    }
}

fn result_of(status: StatusCode) -> AuditResult {
    if status.is_server_error() {
        AuditResult::Failed
    } else if status.is_client_error() {
        AuditResult::Denied
    } else {
        AuditResult::Success
    }
}

/// The entry of a change in progress. A client that disconnects drops the handler's future, which may have changed
/// something by then: dropping this records the interruption.
struct PendingEntry {
    pool: PgPool,
    caller: CallerSlot,
    entry: Option<NewAuditEntry>,
}

impl Drop for PendingEntry {
    fn drop(&mut self) {
        if let (Some(mut entry), Some(caller)) = (self.entry.take(), self.caller.get()) {
            entry.actor = caller.actor.clone();
            entry.result = AuditResult::Failed;
            entry.details = json!({ "interrupted": true });
            let pool = self.pool.clone();
            tokio::spawn(async move { record_or_log(&pool, &entry).await });
        }
    }
}
