use std::time::Duration;

use api_types::{Backup, BackupDownload, CreateBackup, ErrorBody, Page, PageQuery, RunStarted};
use axum::{Extension, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::{
    BackupsState,
    manifest::file_name,
    queries::{self, BackupRow},
};
use crate::{
    error::{ApiError, ApiResult, Code, describe_cause},
    http::{ApiJson, ApiPath, ApiQuery, AuditDetails, AuditTarget, PageRequest},
    object_store::PLATFORM_BUCKET,
    plugins::{BackupCatalogue as _, CatalogueError},
};

/// A signed download must start within this time. It may end later.
const DOWNLOAD_URL_LIFETIME: Duration = Duration::from_secs(3600);

/// Lists backups, newest first.
///
/// The first page synchronizes the catalogue with the object store: it adds backups
/// that the catalogue lacked, and marks backups whose dump is gone as `missing`.
#[utoipa::path(get, path = "/admin/v1/backups", tag = "backups", params(PageQuery),
    responses((status = 200, body = Page<Backup>)))]
pub(crate) async fn list_backups(
    State(state): State<BackupsState>,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> ApiResult<ApiJson<Page<Backup>>> {
    let request = PageRequest::<(DateTime<Utc>, Uuid)>::parse(&query)?;
    if request.after.is_none()
        && let Err(error) = state.catalogue.sync_with_storage().await
    {
        // An outdated list is more useful than an error.
        tracing::warn!(
            cause = describe_cause(&error),
            "the backup catalogue could not be synchronized with the object store"
        );
    }
    let rows = queries::backups(&state.platform, request.fetch(), request.after).await?;
    let page = request.page(rows, |row| (row.created_at, row.id));
    Ok(ApiJson(Page { items: page.items.iter().map(|row| row.to_wire()).collect(), next_cursor: page.next_cursor }))
}

/// Creates a backup.
///
/// Starts a run, which can be watched and cancelled like any other.
#[utoipa::path(post, path = "/admin/v1/backups", tag = "backups", request_body = CreateBackup,
    responses((status = 202, body = RunStarted), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 422, body = ErrorBody)))]
pub(crate) async fn create_backup(
    State(state): State<BackupsState>,
    ApiJson(request): ApiJson<CreateBackup>,
) -> ApiResult<(StatusCode, Extension<AuditTarget>, Extension<AuditDetails>, ApiJson<RunStarted>)> {
    let (run, title) = state.start_backup(&request.target).await?;
    let run_id = run.to_string();
    let details = json!({ "name": title, "runId": run_id });
    let target = Extension(AuditTarget(request.target));
    Ok((StatusCode::ACCEPTED, target, Extension(AuditDetails(details)), ApiJson(RunStarted { run_id })))
}

/// Creates a download URL for a backup.
///
/// The URL returns the dump, which any `pg_restore` of the same version or newer reads.
#[utoipa::path(post, path = "/admin/v1/backups/{backup}/download", tag = "backups", params(("backup" = Uuid, Path)),
    responses((status = 200, body = BackupDownload), (status = 404, body = ErrorBody)))]
pub(crate) async fn sign_backup_download(
    State(state): State<BackupsState>,
    ApiPath(id): ApiPath<Uuid>,
) -> ApiResult<(Extension<AuditDetails>, ApiJson<BackupDownload>)> {
    let backup = queries::backup(&state.platform, id).await?.ok_or_else(|| ApiError::not_found("backup"))?;
    if state.store.head(PLATFORM_BUCKET, &backup.object_key).await?.is_none() {
        return Err(ApiError::new(Code::ObjectNotFound, "The backup's dump is missing in the object store.")
            .with_hint("Delete the backup and create a new one."));
    }
    let disposition = format!("attachment; filename=\"{}\"", file_name(&backup.object_key));
    let signed =
        state.store.presign_get(PLATFORM_BUCKET, &backup.object_key, Some(&disposition), DOWNLOAD_URL_LIFETIME).await?;
    let download = BackupDownload { download_url: signed.url, expires_in: DOWNLOAD_URL_LIFETIME.as_secs() };
    Ok((audit_details(&backup), ApiJson(download)))
}

/// Verifies a backup.
///
/// Starts a run that restores the backup into a scratch database, compares the number of rows of every table with the
/// manifest, and removes the database. If something differs, the run fails and the
/// backup becomes `failed`. Otherwise it becomes `verified`.
#[utoipa::path(post, path = "/admin/v1/backups/{backup}/verify", tag = "backups", params(("backup" = Uuid, Path)),
    responses((status = 202, body = RunStarted), (status = 404, body = ErrorBody), (status = 422, body = ErrorBody)))]
pub(crate) async fn verify_backup(
    State(state): State<BackupsState>,
    ApiPath(id): ApiPath<Uuid>,
) -> ApiResult<(StatusCode, Extension<AuditDetails>, ApiJson<RunStarted>)> {
    let (run, backup) = state.start_verification(id).await?;
    let run_id = run.to_string();
    let Extension(AuditDetails(mut details)) = audit_details(&backup);
    details["runId"] = run_id.as_str().into();
    Ok((StatusCode::ACCEPTED, Extension(AuditDetails(details)), ApiJson(RunStarted { run_id })))
}

/// Deletes a backup.
///
/// Removes the dump, the manifest and the catalogue entry.
#[utoipa::path(delete, path = "/admin/v1/backups/{backup}", tag = "backups", params(("backup" = Uuid, Path)),
    responses((status = 204), (status = 404, body = ErrorBody)))]
pub(crate) async fn delete_backup(
    State(state): State<BackupsState>,
    ApiPath(id): ApiPath<Uuid>,
) -> ApiResult<(StatusCode, Extension<AuditDetails>)> {
    let backup = queries::backup(&state.platform, id).await?.ok_or_else(|| ApiError::not_found("backup"))?;
    state.catalogue.remove(id).await?;
    Ok((StatusCode::NO_CONTENT, audit_details(&backup)))
}

/// Names the backup in the audit log, which outlives it.
fn audit_details(backup: &BackupRow) -> Extension<AuditDetails> {
    let BackupRow { target, title, created_at, .. } = backup;
    Extension(AuditDetails(json!({ "database": target, "name": title, "createdAt": created_at })))
}

impl From<CatalogueError> for ApiError {
    fn from(error: CatalogueError) -> Self {
        match error {
            CatalogueError::NotFound => Self::not_found("backup"),
            CatalogueError::Invalid(problem)
            | CatalogueError::Unverified(problem)
            | CatalogueError::NotChecked(problem) => Self::invalid(problem),
            CatalogueError::LeaseLost => Self::new(Code::Conflict, "The run no longer holds its lease."),
            CatalogueError::Unavailable { what, cause } => match what {
                "the object store" => Self::unavailable("The object store", cause),
                _ => Self::unavailable("The platform database", cause),
            },
        }
    }
}
