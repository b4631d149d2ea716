//! Handlers for exports: list, create, get, download and delete.

use std::time::Duration;

use api_types::{
    CreateExport, ErrorBody, Export, ExportDownload, ExportSource, ExportStarted, ExportState, Page, PageQuery,
};
use axum::{Extension, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::queries::{self, ExportRow};
use crate::{
    error::{ApiError, ApiResult, Code},
    http::{ApiJson, ApiPath, ApiQuery, AuditDetails, AuditTarget, NoQuery, PageRequest},
    object_store::PLATFORM_BUCKET,
    transfers::{Refused, TransfersState, refused},
};

/// Lifetime of a download URL. The download must start within this time; it may end later.
const DOWNLOAD_URL_LIFETIME: Duration = Duration::from_secs(3600);

/// Filter and page of a list of exports.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportsQuery {
    /// Exports per page, 1–200 (default 50).
    limit: Option<u32>,
    /// `nextCursor` of the previous page.
    cursor: Option<String>,
    /// Only exports of this project.
    project_id: Option<String>,
}

/// List exports, newest first
#[utoipa::path(get, path = "/admin/v1/exports", tag = "transfers", params(ExportsQuery),
    responses((status = 200, body = Page<Export>), (status = 400, body = ErrorBody)))]
pub(crate) async fn list_exports(
    State(state): State<TransfersState>,
    ApiQuery(query): ApiQuery<ExportsQuery>,
) -> ApiResult<ApiJson<Page<Export>>> {
    let request = PageRequest::<(DateTime<Utc>, Uuid)>::parse(&PageQuery { limit: query.limit, cursor: query.cursor })?;
    let rows = queries::exports(&state.platform, query.project_id.as_deref(), request.fetch(), request.after).await?;
    let page = request.page(rows, |row| (row.created_at, row.id));
    let items = page.items.iter().map(ExportRow::to_wire).collect();
    Ok(ApiJson(Page { items, next_cursor: page.next_cursor }))
}

/// Start an export
///
/// Starts a run that creates the file. The run can be watched and cancelled like any other run. The export and its file
/// are removed after 24 hours.
#[utoipa::path(post, path = "/admin/v1/exports", tag = "transfers", request_body = CreateExport,
    responses((status = 202, body = ExportStarted),
        (status = 400, body = ErrorBody, description = "`invalid_request`, `sql_error` or `sql_refused`"),
        (status = 404, body = ErrorBody), (status = 422, body = ErrorBody)))]
pub(crate) async fn create_export(
    State(state): State<TransfersState>,
    NoQuery: NoQuery,
    ApiJson(request): ApiJson<CreateExport>,
) -> Result<(StatusCode, Extension<AuditTarget>, Extension<AuditDetails>, ApiJson<ExportStarted>), Refused> {
    let mut details = audit_details(&request.source);
    details["format"] = request.format.as_str().into();
    let started = match state.start_export(request).await {
        Ok(started) => started,
        Err(error) => return Err(refused(error, details["projectId"].as_str())),
    };
    details["runId"] = started.run_id.as_str().into();
    let target = AuditTarget(started.export_id.clone());
    Ok((StatusCode::ACCEPTED, Extension(target), Extension(AuditDetails(details)), ApiJson(started)))
}

/// Get an export
#[utoipa::path(get, path = "/admin/v1/exports/{export}", tag = "transfers", params(("export" = Uuid, Path)),
    responses((status = 200, body = Export), (status = 404, body = ErrorBody)))]
pub(crate) async fn get_export(
    State(state): State<TransfersState>,
    NoQuery: NoQuery,
    ApiPath(id): ApiPath<Uuid>,
) -> ApiResult<ApiJson<Export>> {
    Ok(ApiJson(find(&state, id).await?.to_wire()))
}

/// Create a download URL for an export's file
#[utoipa::path(post, path = "/admin/v1/exports/{export}/download", tag = "transfers", params(("export" = Uuid, Path)),
    responses((status = 200, body = ExportDownload), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "The export is not ready")))]
pub(crate) async fn sign_export_download(
    State(state): State<TransfersState>,
    NoQuery: NoQuery,
    ApiPath(id): ApiPath<Uuid>,
) -> ApiResult<(Extension<AuditDetails>, ApiJson<ExportDownload>)> {
    let export = find(&state, id).await?;
    match export.state() {
        ExportState::Ready => {}
        ExportState::Running => {
            return Err(ApiError::new(Code::Conflict, "The export is not ready yet.")
                .with_hint("Wait until its `state` is `ready`."));
        }
        ExportState::Failed | ExportState::Cancelled => {
            return Err(ApiError::new(Code::Conflict, "The export has no file, because its run did not succeed.")
                .with_hint("Start another export."));
        }
    }
    if state.store.head(PLATFORM_BUCKET, &export.object_key).await?.is_none() {
        return Err(ApiError::new(Code::ObjectNotFound, "The export's file is missing in the object store.")
            .with_hint("Start another export."));
    }
    let remaining = (export.expires_at - Utc::now()).to_std().unwrap_or_default();
    let lifetime = DOWNLOAD_URL_LIFETIME.min(remaining.max(Duration::from_secs(1)));
    let disposition = format!("attachment; filename=\"{}\"", export.file_name);
    let signed = state.store.presign_get(PLATFORM_BUCKET, &export.object_key, Some(&disposition), lifetime).await?;
    let download = ExportDownload { download_url: signed.url, expires_in: lifetime.as_secs() };
    Ok((Extension(AuditDetails(audit_details(&export.source))), ApiJson(download)))
}

/// Delete an export
///
/// Removes the file. If the export is running, its run is cancelled.
#[utoipa::path(delete, path = "/admin/v1/exports/{export}", tag = "transfers", params(("export" = Uuid, Path)),
    responses((status = 204), (status = 404, body = ErrorBody)))]
pub(crate) async fn delete_export(
    State(state): State<TransfersState>,
    NoQuery: NoQuery,
    ApiPath(id): ApiPath<Uuid>,
) -> ApiResult<(StatusCode, Extension<AuditDetails>)> {
    let export = find(&state, id).await?;
    if export.state() == ExportState::Running {
        match state.jobs.runs().cancel_run(export.run_id).await {
            // The run has ended, or was never inserted.
            Err(error) if matches!(error.code(), Code::Conflict | Code::NotFound) => {}
            cancelled => drop(cancelled?),
        }
    }
    // The row is deleted last: without it, the file would remain until a sweep finds it.
    state.store.delete(PLATFORM_BUCKET, &export.object_key).await?;
    queries::delete(&state.platform, id).await?;
    Ok((StatusCode::NO_CONTENT, Extension(AuditDetails(audit_details(&export.source)))))
}

async fn find(state: &TransfersState, id: Uuid) -> ApiResult<ExportRow> {
    queries::export(&state.platform, id).await?.ok_or_else(|| ApiError::not_found("export"))
}

/// Describes what was exported, without the SQL of a query and the values of a filter.
fn audit_details(source: &ExportSource) -> serde_json::Value {
    match source {
        ExportSource::Table { project_id, table, filter: None, .. } => {
            json!({ "kind": "table", "projectId": project_id, "table": table })
        }
        ExportSource::Table { project_id, table, filter: Some(_), .. } => {
            json!({ "kind": "table", "projectId": project_id, "table": table, "filtered": true })
        }
        ExportSource::Query { project_id, .. } => json!({ "kind": "query", "projectId": project_id }),
        ExportSource::Database { project_id } => json!({ "kind": "database", "projectId": project_id }),
    }
}
