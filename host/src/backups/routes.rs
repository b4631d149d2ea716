//! Handlers for backups: list, get, create, download, verify and delete; and the protection of each database.

use std::time::Duration;

use api_types::{
    Backup, BackupDetail, BackupDownload, CreateBackup, ErrorBody, Page, PageQuery, Protection, RunStarted,
    VerifyBackup,
};
use axum::{Extension, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::{
    BackupContent, BackupsState,
    manifest::file_name,
    queries::{self, BackupRow},
    retention::Fate,
};
use crate::{
    db::DatabaseName,
    error::{ApiError, ApiResult, Code},
    http::{ApiJson, ApiPath, ApiQuery, AuditDetails, AuditTarget, NoQuery, OptionalJson, PageRequest},
    jobs::{RunStartedResponse, run_started},
    object_store::PLATFORM_BUCKET,
    plugins::{BackupCatalogue as _, CatalogueError},
};

/// Lifetime of a download URL. The download must start within this time, and may end later.
const DOWNLOAD_URL_LIFETIME: Duration = Duration::from_secs(3600);

/// Filter and page of a list of backups.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct BackupsQuery {
    /// Backups per page, 1–200 (default 50).
    limit: Option<u32>,
    /// `nextCursor` of the previous page.
    cursor: Option<String>,
    /// Only backups of this database: `platform` or `project:<id>`.
    target: Option<String>,
}

/// List backups, newest first
///
/// A request for the first page synchronizes the catalogue with the object store. This adds backups that the catalogue
/// lacked, and marks backups whose dump is gone as `missing`.
#[utoipa::path(get, path = "/admin/v1/backups", tag = "backups", params(BackupsQuery),
    responses((status = 200, body = Page<Backup>), (status = 400, body = ErrorBody)))]
pub(crate) async fn list_backups(
    State(state): State<BackupsState>,
    ApiQuery(query): ApiQuery<BackupsQuery>,
) -> ApiResult<ApiJson<Page<Backup>>> {
    let request = PageRequest::<(DateTime<Utc>, Uuid)>::parse(&PageQuery { limit: query.limit, cursor: query.cursor })?;
    if let Some(target) = &query.target {
        target.parse::<DatabaseName>().map_err(|_| {
            ApiError::invalid("`target` must be `platform` or `project:<id>`.")
                .with_hint("The list of projects shows the id of each project.")
        })?;
    }
    if request.after.is_none() {
        state.sync_or_log().await;
    }
    let rows = queries::backups(&state.platform, query.target.as_deref(), request.fetch(), request.after).await?;
    let page = request.page(rows, |row| (row.created_at, row.id));
    let (_, fates) = state.fates(Utc::now()).await?;
    let items = page.items.iter().map(|row| row.to_wire(fates.get(&row.id).unwrap_or(&Fate::default()))).collect();
    Ok(ApiJson(Page { items, next_cursor: page.next_cursor }))
}

/// List the databases and their protection
///
/// Returns the platform database first, then the ready projects by name. Each entry contains the last good backup, the
/// job that makes the next one, the number and size of the kept backups, and the most serious problem: no enabled job
/// backs up the database, the last good backup is missing or older than twice the interval of the job, or no backup was
/// verified for 30 days.
#[utoipa::path(get, path = "/admin/v1/backups/protection", tag = "backups",
    responses((status = 200, body = Page<Protection>)))]
pub(crate) async fn list_protection(
    State(state): State<BackupsState>,
    _: NoQuery,
) -> ApiResult<ApiJson<Page<Protection>>> {
    state.sync_or_log().await;
    Ok(ApiJson(Page { items: state.protection(Utc::now()).await?, next_cursor: None }))
}

/// Get a backup with its manifest
#[utoipa::path(get, path = "/admin/v1/backups/{backup}", tag = "backups", params(("backup" = Uuid, Path)),
    responses((status = 200, body = BackupDetail), (status = 404, body = ErrorBody)))]
pub(crate) async fn get_backup(
    State(state): State<BackupsState>,
    ApiPath(id): ApiPath<String>,
    _: NoQuery,
) -> ApiResult<ApiJson<BackupDetail>> {
    let id = id.parse::<Uuid>().map_err(|_| ApiError::not_found("backup"))?;
    let backup = queries::backup(&state.platform, id).await?.ok_or_else(|| ApiError::not_found("backup"))?;
    let (manifest, manifest_problem) = match state.read_manifest(&backup.manifest_key).await {
        Ok(manifest) => (Some(manifest), None),
        Err(problem) => (None, Some(problem)),
    };
    let (_, fates) = state.fates(Utc::now()).await?;
    let backup = backup.to_wire(fates.get(&id).unwrap_or(&Fate::default()));
    Ok(ApiJson(BackupDetail { backup, manifest, manifest_problem }))
}

/// Create a backup
///
/// Starts a run, which can be watched and cancelled like any other. With `objects`, backups of projects contain the
/// objects of their buckets; contents that an earlier backup copied are not copied again.
#[utoipa::path(post, path = "/admin/v1/backups", tag = "backups", request_body = CreateBackup,
    responses((status = 202, body = RunStarted), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 422, body = ErrorBody)))]
pub(crate) async fn create_backup(
    State(state): State<BackupsState>,
    ApiJson(request): ApiJson<CreateBackup>,
) -> ApiResult<(Extension<AuditTarget>, RunStartedResponse)> {
    let content = if request.objects { BackupContent::WithObjects } else { BackupContent::DatabaseOnly };
    let (run, title) = state.start_backup(&request.target, content).await?;
    Ok((Extension(AuditTarget(request.target)), run_started(run, json!({ "name": title, "objects": request.objects }))))
}

/// Create a download URL for a backup
///
/// The URL returns the dump as it is stored. `pg_restore` of the same version as `pg_dump`, or of a newer one, can read
/// it. An encrypted dump must be decrypted with `age` first.
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

/// Verify a backup
///
/// Starts a run that restores the backup into a scratch database, compares the number of rows of every table with the
/// manifest, and removes the database. The run also checks that the copies of the backup's objects exist. If a number
/// differs, a copy is missing, or the dump was changed or can't be restored, the run fails and the backup becomes
/// `failed`. If everything matches, the backup becomes `verified`. An encrypted backup needs an `identity`, unless the
/// server has one. The body may be left out if it contains no `identity`.
#[utoipa::path(post, path = "/admin/v1/backups/{backup}/verify", tag = "backups", params(("backup" = Uuid, Path)),
    request_body = VerifyBackup,
    responses((status = 202, body = RunStarted), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 422, body = ErrorBody)))]
pub(crate) async fn verify_backup(
    State(state): State<BackupsState>,
    ApiPath(id): ApiPath<Uuid>,
    OptionalJson(request): OptionalJson<VerifyBackup>,
) -> ApiResult<RunStartedResponse> {
    let (run, backup) = state.start_verification(id, request.identity.as_deref()).await?;
    let Extension(AuditDetails(details)) = audit_details(&backup);
    Ok(run_started(run, details))
}

/// Delete a backup
///
/// Removes the dump, the manifest, the files that list the backup's objects and their copies, and the catalogue entry.
/// The sweep later removes the copies of objects to which no other backup refers.
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

/// Names the backup in the audit log, whose entries stay after the backup is deleted.
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
            | CatalogueError::NotChecked(problem)
            | CatalogueError::NotCopied(problem) => Self::invalid(problem),
            CatalogueError::LeaseLost => Self::new(Code::Conflict, "The run no longer holds its lease."),
            CatalogueError::Unavailable { what, cause } => match what {
                "the object store" => Self::unavailable("The object store", cause),
                _ => Self::unavailable("The platform database", cause),
            },
        }
    }
}
