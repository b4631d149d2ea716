//! Handlers for restores: plan, list, get, confirm, roll back and remove, and sign the upload of an archive.

use api_types::{
    ConfirmRestore, ErrorBody, Page, PageQuery, PlanBackupRestore, PlanUploadRestore, Restore, RestoreState,
    RunStarted, SignRestoreUpload, SignedRestoreUpload,
};
use axum::{Extension, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    job::Action,
    plan::PlannedObjects,
    queries::{self, RestoreRow},
};
use crate::{
    backups::BackupsState,
    error::{ApiError, ApiResult},
    http::{ApiJson, ApiPath, ApiQuery, AuditDetails, AuditTarget, NoQuery, OptionalJson, PageRequest},
    jobs::{RunStartedResponse, run_started},
    projects::{ProjectRef, Projects},
};

/// Filter and page of a list of restores.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RestoresQuery {
    /// Restores per page, 1–200 (default 50).
    limit: Option<u32>,
    /// `nextCursor` of the previous page.
    cursor: Option<String>,
    /// Only restores of this project.
    project_id: Option<String>,
}

/// Condition for the removal of a restore.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RemoveRestoreQuery {
    /// The state that the restore must be in: `planned` to cancel a plan, `done` or `rolledBack` to drop the kept
    /// database. In any other state, nothing is removed, and the response is 409.
    #[param(inline)]
    state: Option<RestoreState>,
}

type PlannedResponse = (StatusCode, Extension<AuditTarget>, Extension<AuditDetails>, ApiJson<Restore>);

/// Plan the restore of a backup
///
/// Reads what the backup contains, and changes nothing. The restore begins when it is confirmed.
#[utoipa::path(post, path = "/admin/v1/backups/{backup}/restore", tag = "restores", params(("backup" = String, Path)),
    request_body = PlanBackupRestore,
    responses((status = 201, body = Restore), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 422, body = ErrorBody)))]
pub(crate) async fn plan_backup_restore(
    State(state): State<BackupsState>,
    State(projects): State<Projects>,
    ApiPath(backup): ApiPath<String>,
    ApiJson(request): ApiJson<PlanBackupRestore>,
) -> ApiResult<PlannedResponse> {
    let backup = parse_id(&backup, "backup")?;
    let project = projects.get(&request.project_id).await?;
    let identity = state.restores.identities.of_request(request.identity.as_deref())?;
    let objects = if request.objects { PlannedObjects::BringBack } else { PlannedObjects::LeaveOut };
    Ok(planned(&state.plan_backup_restore(backup, &project, objects, identity.as_ref()).await?, &project))
}

/// Sign the upload of an archive
///
/// The archive must be in `pg_dump`'s custom format. Send it to the URL, then plan its restore. Archives that are not
/// restored are removed after a day.
#[utoipa::path(post, path = "/admin/v1/restores/uploads", tag = "restores", request_body = SignRestoreUpload,
    responses((status = 201, body = SignedRestoreUpload), (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody), (status = 413, body = ErrorBody)))]
pub(crate) async fn sign_restore_upload(
    State(state): State<BackupsState>,
    State(projects): State<Projects>,
    ApiJson(request): ApiJson<SignRestoreUpload>,
) -> ApiResult<(StatusCode, Extension<AuditTarget>, Extension<AuditDetails>, ApiJson<SignedRestoreUpload>)> {
    let project = projects.get(&request.project_id).await?;
    let signed = state.restores.sign_upload(&request).await?;
    let target = Extension(AuditTarget(signed.upload_id.clone()));
    let details = json!({ "project": project.name, "projectId": project.id, "sizeBytes": request.size_bytes });
    Ok((StatusCode::CREATED, target, Extension(AuditDetails(details)), ApiJson(signed)))
}

/// Plan the restore of an uploaded archive
///
/// Reads what the archive contains, and changes nothing. The restore begins when it is confirmed.
#[utoipa::path(post, path = "/admin/v1/restores", tag = "restores", request_body = PlanUploadRestore,
    responses((status = 201, body = Restore), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 422, body = ErrorBody)))]
pub(crate) async fn plan_upload_restore(
    State(state): State<BackupsState>,
    State(projects): State<Projects>,
    ApiJson(request): ApiJson<PlanUploadRestore>,
) -> ApiResult<PlannedResponse> {
    let project = projects.get(&request.project_id).await?;
    let upload = parse_id(&request.upload_id, "upload")?;
    let identity = state.restores.identities.of_request(request.identity.as_deref())?;
    Ok(planned(&state.plan_upload_restore(upload, &project, identity.as_ref()).await?, &project))
}

/// List restores, newest first
#[utoipa::path(get, path = "/admin/v1/restores", tag = "restores", params(RestoresQuery),
    responses((status = 200, body = Page<Restore>), (status = 400, body = ErrorBody)))]
pub(crate) async fn list_restores(
    State(state): State<BackupsState>,
    ApiQuery(query): ApiQuery<RestoresQuery>,
) -> ApiResult<ApiJson<Page<Restore>>> {
    let request = PageRequest::<(DateTime<Utc>, Uuid)>::parse(&PageQuery { limit: query.limit, cursor: query.cursor })?;
    let project = query.project_id.as_deref();
    let rows = queries::restores(&state.platform, project, request.fetch(), request.after).await?;
    let page = request.page(rows, |row| (row.created_at, row.id));
    let items = page.items.iter().map(RestoreRow::to_wire).collect();
    Ok(ApiJson(Page { items, next_cursor: page.next_cursor }))
}

/// Get a restore
#[utoipa::path(get, path = "/admin/v1/restores/{restore}", tag = "restores", params(("restore" = String, Path)),
    responses((status = 200, body = Restore), (status = 404, body = ErrorBody)))]
pub(crate) async fn get_restore(
    State(state): State<BackupsState>,
    ApiPath(id): ApiPath<String>,
    _: NoQuery,
) -> ApiResult<ApiJson<Restore>> {
    Ok(ApiJson(state.restore(parse_id(&id, "restore")?).await?.to_wire()))
}

/// Confirm a restore
///
/// Starts a run that loads the archive into a new database, checks it, and then replaces the project's database with
/// it. The project keeps working with its current database until then, and that database is kept for a rollback. With
/// `skipFailedObjects`, indexes, constraints, triggers and contents of materialized views that can't be created are
/// left out and listed in `leftOut`.
#[utoipa::path(post, path = "/admin/v1/restores/{restore}/confirm", tag = "restores",
    params(("restore" = String, Path)), request_body = ConfirmRestore,
    responses((status = 202, body = RunStarted), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody), (status = 422, body = ErrorBody)))]
pub(crate) async fn confirm_restore(
    State(state): State<BackupsState>,
    State(projects): State<Projects>,
    ApiPath(id): ApiPath<String>,
    OptionalJson(request): OptionalJson<ConfirmRestore>,
) -> ApiResult<RunStartedResponse> {
    start(&state, &projects, &id, Action::Restore, &request).await
}

/// Roll a restore back
///
/// Starts a run that gives the project back the database that it had before the restore. The restored database is kept
/// instead.
#[utoipa::path(post, path = "/admin/v1/restores/{restore}/rollback", tag = "restores",
    params(("restore" = String, Path)), request_body = ConfirmRestore,
    responses((status = 202, body = RunStarted), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody)))]
pub(crate) async fn roll_restore_back(
    State(state): State<BackupsState>,
    State(projects): State<Projects>,
    ApiPath(id): ApiPath<String>,
    OptionalJson(request): OptionalJson<ConfirmRestore>,
) -> ApiResult<RunStartedResponse> {
    start(&state, &projects, &id, Action::Rollback, &request).await
}

/// Drop a restore's kept database
///
/// Drops the database that is kept for a rollback, so its data is lost. A restore that is only planned is cancelled. An
/// uploaded archive is removed. Send `state` to remove nothing if the restore is no longer in the state that you read.
#[utoipa::path(delete, path = "/admin/v1/restores/{restore}", tag = "restores",
    params(("restore" = String, Path), RemoveRestoreQuery),
    responses((status = 204), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody)))]
pub(crate) async fn remove_restore(
    State(state): State<BackupsState>,
    State(projects): State<Projects>,
    ApiPath(id): ApiPath<String>,
    ApiQuery(query): ApiQuery<RemoveRestoreQuery>,
) -> ApiResult<(StatusCode, Extension<AuditDetails>)> {
    let removed = state.restores.remove(parse_id(&id, "restore")?, query.state).await?;
    let RestoreRow { project_id, previous_database, .. } = removed;
    // A project that is being deleted is not found. Its restores can still be removed.
    let project = projects.get(&project_id).await.ok().map(|project| project.name.clone());
    let details = json!({ "project": project, "projectId": project_id, "droppedDatabase": previous_database });
    Ok((StatusCode::NO_CONTENT, Extension(AuditDetails(details))))
}

async fn start(
    state: &BackupsState,
    projects: &Projects,
    id: &str,
    action: Action,
    request: &ConfirmRestore,
) -> ApiResult<RunStartedResponse> {
    let restore = state.restore(parse_id(id, "restore")?).await?;
    let project = projects.get(&restore.project_id).await?;
    let run = state.start_restore_run(restore.id, action, &project, request).await?;
    let mut details = details(&restore, &project);
    if request.skip_failed_objects {
        details["skipFailedObjects"] = json!(true);
    }
    Ok(run_started(run, details))
}

fn planned(row: &RestoreRow, project: &ProjectRef) -> PlannedResponse {
    let target = Extension(AuditTarget(row.id.to_string()));
    (StatusCode::CREATED, target, Extension(AuditDetails(details(row, project))), ApiJson(row.to_wire()))
}

/// Names the project and the source in the audit log.
fn details(row: &RestoreRow, project: &ProjectRef) -> Value {
    json!({ "project": project.name, "projectId": project.id, "backup": row.backup_id, "upload": row.upload_id })
}

fn parse_id(text: &str, resource: &str) -> ApiResult<Uuid> {
    text.parse().map_err(|_| ApiError::not_found(resource))
}
