//! Handlers that list and export the audit log.

use std::collections::BTreeSet;

use api_types::{AuditEntry, AuditResult, ErrorBody, Page, PageQuery};
use axum::{extract::State, response::Response};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    actions, export,
    queries::{self, AuditFilter, AuditRow},
};
use crate::{
    admin::AdminState,
    error::ApiResult,
    http::{ApiJson, ApiQuery, NoQuery, PageRequest},
};

/// Page and filters.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    /// Entries per page, 1–200 (default 50).
    limit: Option<u32>,
    /// `nextCursor` of the previous page.
    cursor: Option<String>,
    /// Only entries about this project.
    project_id: Option<String>,
    /// An action such as `project.create`, or a prefix such as `project.*`.
    action: Option<String>,
    /// Only entries of this actor.
    actor: Option<String>,
    /// Only entries with this result.
    result: Option<AuditResult>,
    /// Only entries at or after this time.
    from: Option<DateTime<Utc>>,
    /// Only entries before this time.
    to: Option<DateTime<Utc>>,
    /// Only entries about this resource, for example the id of a key.
    target: Option<String>,
    /// Only entries whose actor, action, project, target, IP address, request id or details contain this text. Case is
    /// ignored.
    q: Option<String>,
}

/// List audit entries
///
/// Newest first. Changes that are in progress on this node are listed when they have ended.
#[utoipa::path(get, path = "/admin/v1/audit", tag = "audit", params(AuditQuery),
    responses((status = 200, body = Page<AuditEntry>), (status = 400, body = ErrorBody)))]
pub(crate) async fn list_audit_entries(
    State(state): State<AdminState>,
    ApiQuery(query): ApiQuery<AuditQuery>,
) -> ApiResult<ApiJson<Page<AuditEntry>>> {
    let page_query = PageQuery { limit: query.limit, cursor: query.cursor };
    let request = PageRequest::<(DateTime<Utc>, Uuid)>::parse(&page_query)?;
    let filter = AuditFilter {
        project_id: query.project_id,
        action: query.action,
        actor: query.actor,
        result: query.result,
        from: query.from,
        to: query.to,
        target: query.target,
        q: query.q,
    };
    let rows = queries::entries(&state.platform, &filter, request.after, request.fetch()).await?;
    let page = request.page(rows, |row| (row.at, row.id));
    let items = page.items.into_iter().map(AuditRow::into_wire).collect();
    Ok(ApiJson(Page { items, next_cursor: page.next_cursor }))
}

/// Export audit entries
///
/// Returns all entries that match, newest first, as a file of JSON lines (`application/x-ndjson`). Each line is an
/// `AuditEntry`.
#[utoipa::path(get, path = "/admin/v1/audit/export", tag = "audit", params(AuditFilter),
    responses((status = 200, body = String, content_type = "application/x-ndjson"), (status = 400, body = ErrorBody)))]
pub(crate) async fn export_audit_entries(
    State(state): State<AdminState>,
    ApiQuery(filter): ApiQuery<AuditFilter>,
) -> ApiResult<Response> {
    export::response(state.platform, filter).await
}

/// List audit actions
///
/// All actions in alphabetical order: those that this version records, and any others that the log contains.
#[utoipa::path(get, path = "/admin/v1/audit/actions", tag = "audit",
    responses((status = 200, body = Page<String>)))]
pub(crate) async fn list_audit_actions(
    State(state): State<AdminState>,
    _: NoQuery,
) -> ApiResult<ApiJson<Page<String>>> {
    let recorded = queries::actions(&state.platform).await?;
    let actions: BTreeSet<String> = actions::known_actions().into_iter().map(str::to_owned).chain(recorded).collect();
    Ok(ApiJson(Page { items: actions.into_iter().collect(), next_cursor: None }))
}
