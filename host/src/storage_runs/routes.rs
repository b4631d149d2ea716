use api_types::{DeleteObjects, ErrorBody, RunStarted};
use axum::{Extension, extract::State, http::StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::{
    StorageRunsState,
    params::{DeleteParams, JOB, PLUGIN},
    runner::MAX_DURATION,
};
use crate::{
    error::{ApiError, ApiResult},
    http::{ApiJson, ApiPath, AuditDetails, NoQuery},
    jobs::NewRun,
    projects::AdminProject,
    storage::BulkDeletion,
};

/// The segment `{bucket}` of the path; [`AdminProject`] reads `{project}`.
#[derive(Deserialize)]
pub(crate) struct BucketSegment {
    bucket: String,
}

/// Delete many objects
///
/// Starts a run that deletes the objects with these keys, or every object under a prefix such as `notes/`. Its progress
/// counts objects, its result is a `DeletedObjects`. Cancelling the run keeps the objects that are left; what is
/// deleted stays deleted.
#[utoipa::path(
    post,
    path = "/admin/v1/projects/{project}/buckets/{bucket}/objects/delete",
    operation_id = "delete_bucket_objects",
    tag = "buckets",
    params(("project" = String, Path), ("bucket" = String, Path)),
    request_body = DeleteObjects,
    responses(
        (status = 202, body = RunStarted),
        (status = 400, body = ErrorBody, description = "`invalid_request` or `invalid_path`; nothing was started"),
        (status = 404, body = ErrorBody),
    ),
)]
pub(crate) async fn delete_objects(
    State(state): State<StorageRunsState>,
    AdminProject(project): AdminProject,
    NoQuery: NoQuery,
    ApiPath(segment): ApiPath<BucketSegment>,
    ApiJson(request): ApiJson<DeleteObjects>,
) -> ApiResult<(StatusCode, Extension<AuditDetails>, ApiJson<RunStarted>)> {
    let DeleteObjects { keys, prefix } = request;
    let project_id = project.id.clone();
    BulkDeletion::parse(&state.storage, project, &segment.bucket, keys.as_deref(), prefix.as_deref()).await?;
    let key_count = keys.as_ref().map(Vec::len);
    let mut details = json!({ "prefix": prefix, "keys": key_count });
    let params = DeleteParams { bucket: segment.bucket, keys, prefix };
    let run = NewRun {
        plugin: PLUGIN.to_owned(),
        plugin_job: JOB.to_owned(),
        params: serde_json::to_value(params).map_err(ApiError::internal)?,
        project_id: Some(project_id),
        timeout: MAX_DURATION,
    };
    let run_id = state.jobs.start_run(&run).await?.to_string();
    details["runId"] = run_id.as_str().into();
    Ok((StatusCode::ACCEPTED, Extension(AuditDetails(details)), ApiJson(RunStarted { run_id })))
}
