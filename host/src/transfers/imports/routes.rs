//! Handlers for imports: list, create, get, upload, preview, start and delete.

use api_types::{
    CreateImport, ErrorBody, Import, ImportCreated, ImportPreview, ImportState, ImportUpload, Page, PageQuery,
    PreviewImport, RunStarted, StartImport,
};
use axum::{Extension, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::queries::{self, ImportRow};
use crate::{
    error::{ApiResult, Code},
    http::{ApiJson, ApiPath, ApiQuery, AuditDetails, AuditTarget, NoQuery, PageRequest},
    jobs::{RunStartedResponse, run_started},
    object_store::PLATFORM_BUCKET,
    transfers::{Refused, TransfersState, refused},
};

/// Filter and page of a list of imports.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ImportsQuery {
    /// Imports per page, 1–200 (default 50).
    limit: Option<u32>,
    /// `nextCursor` of the previous page.
    cursor: Option<String>,
    /// Only imports of this project.
    project_id: Option<String>,
}

/// List imports, newest first
#[utoipa::path(get, path = "/admin/v1/imports", tag = "transfers", params(ImportsQuery),
    responses((status = 200, body = Page<Import>), (status = 400, body = ErrorBody)))]
pub(crate) async fn list_imports(
    State(state): State<TransfersState>,
    ApiQuery(query): ApiQuery<ImportsQuery>,
) -> ApiResult<ApiJson<Page<Import>>> {
    let request = PageRequest::<(DateTime<Utc>, Uuid)>::parse(&PageQuery { limit: query.limit, cursor: query.cursor })?;
    let rows = queries::imports(&state.platform, query.project_id.as_deref(), request.fetch(), request.after).await?;
    let page = request.page(rows, |row| (row.created_at, row.id));
    let items = page.items.iter().map(ImportRow::to_wire).collect();
    Ok(ApiJson(Page { items, next_cursor: page.next_cursor }))
}

/// Create an import
///
/// Signs the upload of the file. Nothing is imported until `POST /admin/v1/imports/{import}/start`. The import and its
/// file are removed after 24 hours.
#[utoipa::path(post, path = "/admin/v1/imports", tag = "transfers", request_body = CreateImport,
    responses((status = 201, body = ImportCreated), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 413, body = ErrorBody), (status = 422, body = ErrorBody)))]
pub(crate) async fn create_import(
    State(state): State<TransfersState>,
    NoQuery: NoQuery,
    ApiJson(request): ApiJson<CreateImport>,
) -> Result<(StatusCode, Extension<AuditTarget>, Extension<AuditDetails>, ApiJson<ImportCreated>), Refused> {
    let project = request.project_id.clone();
    let created = state.create_import(request).await.map_err(|error| refused(error, Some(&project)))?;
    let Import { id, project_id, table, format, size_bytes, .. } = &created.import;
    let details = json!({ "projectId": project_id, "table": table, "format": format, "sizeBytes": size_bytes });
    let target = AuditTarget(id.clone());
    Ok((StatusCode::CREATED, Extension(target), Extension(AuditDetails(details)), ApiJson(created)))
}

/// Get an import
#[utoipa::path(get, path = "/admin/v1/imports/{import}", tag = "transfers", params(("import" = Uuid, Path)),
    responses((status = 200, body = Import), (status = 404, body = ErrorBody)))]
pub(crate) async fn get_import(
    State(state): State<TransfersState>,
    NoQuery: NoQuery,
    ApiPath(id): ApiPath<Uuid>,
) -> ApiResult<ApiJson<Import>> {
    Ok(ApiJson(state.import(id).await?.to_wire()))
}

/// Create another upload URL for an import's file
///
/// For an upload that failed or whose URL expired. The file must have the size and format of the import.
#[utoipa::path(post, path = "/admin/v1/imports/{import}/upload", tag = "transfers", params(("import" = Uuid, Path)),
    responses((status = 200, body = ImportUpload), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "The file is already uploaded")))]
pub(crate) async fn sign_import_upload(
    State(state): State<TransfersState>,
    NoQuery: NoQuery,
    ApiPath(id): ApiPath<Uuid>,
) -> ApiResult<(Extension<AuditDetails>, ApiJson<ImportUpload>)> {
    let (import, upload) = state.sign_upload(id).await?;
    Ok((Extension(AuditDetails(audit_details(&import))), ApiJson(upload)))
}

/// Preview an import
///
/// Detects the format of a CSV file. Returns the first rows, and the columns into which the fields would be imported.
#[utoipa::path(post, path = "/admin/v1/imports/{import}/preview", tag = "transfers", params(("import" = Uuid, Path)),
    request_body = PreviewImport,
    responses((status = 200, body = ImportPreview), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "The file is not uploaded yet"),
        (status = 422, body = ErrorBody, description = "The file can't be read")))]
pub(crate) async fn preview_import(
    State(state): State<TransfersState>,
    NoQuery: NoQuery,
    ApiPath(id): ApiPath<Uuid>,
    ApiJson(request): ApiJson<PreviewImport>,
) -> ApiResult<ApiJson<ImportPreview>> {
    Ok(ApiJson(state.preview_import(id, request).await?))
}

/// Start an import
///
/// Starts a run that imports the file in one transaction. The run can be watched and cancelled like any other run. The
/// settings that `preview` detected apply, unless the request contains others. After a dry run, and after a run that
/// failed or was cancelled, an import can be started again.
#[utoipa::path(post, path = "/admin/v1/imports/{import}/start", tag = "transfers", params(("import" = Uuid, Path)),
    request_body = StartImport,
    responses((status = 202, body = RunStarted), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "The file is not uploaded, is being imported, or was imported"),
        (status = 422, body = ErrorBody)))]
pub(crate) async fn start_import(
    State(state): State<TransfersState>,
    NoQuery: NoQuery,
    ApiPath(id): ApiPath<Uuid>,
    ApiJson(request): ApiJson<StartImport>,
) -> ApiResult<RunStartedResponse> {
    let (import, run) = state.start_import(id, &request).await?;
    let mut details = audit_details(&import);
    details["mode"] = json!(request.mode);
    details["dryRun"] = request.dry_run.into();
    Ok(run_started(run, details))
}

/// Delete an import
///
/// Removes the file. If the import is running, its run is cancelled. Rows that were imported stay.
#[utoipa::path(delete, path = "/admin/v1/imports/{import}", tag = "transfers", params(("import" = Uuid, Path)),
    responses((status = 204), (status = 404, body = ErrorBody)))]
pub(crate) async fn delete_import(
    State(state): State<TransfersState>,
    NoQuery: NoQuery,
    ApiPath(id): ApiPath<Uuid>,
) -> ApiResult<(StatusCode, Extension<AuditDetails>)> {
    let import = state.import(id).await?;
    if let (ImportState::Running, Some(run)) = (import.state(), import.run_id) {
        match state.jobs.runs().cancel_run(run).await {
            // The run has ended, or was never inserted.
            Err(error) if matches!(error.code(), Code::Conflict | Code::NotFound) => {}
            cancelled => drop(cancelled?),
        }
    }
    state.store.delete(PLATFORM_BUCKET, &import.object_key).await?;
    queries::delete(&state.platform, id).await?;
    Ok((StatusCode::NO_CONTENT, Extension(AuditDetails(audit_details(&import)))))
}

fn audit_details(import: &ImportRow) -> serde_json::Value {
    json!({ "projectId": import.project_id, "table": import.table_name })
}
