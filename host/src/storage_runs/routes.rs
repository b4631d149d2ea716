//! The handler that starts the deletion of many objects.

use api_types::{DeleteObjects, ErrorBody, RunStarted};
use axum::extract::State;
use serde_json::json;

use super::{DeletionJob, job::DeletionParams};
use crate::{
    error::{ApiError, ApiResult},
    http::{ApiJson, NoQuery},
    jobs::{BuiltInJob as _, Jobs, NewRun, RunStartedResponse, run_started},
    storage::{AdminBucket, BulkDeletion},
};

/// Delete many objects
///
/// Starts a run that deletes the objects with these keys, or every object under a prefix such as `notes/`. Its progress
/// counts objects. Its result is a `DeletedObjects`. Cancelling the run keeps the objects that it has not deleted yet.
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
    State(jobs): State<Jobs>,
    NoQuery: NoQuery,
    bucket: AdminBucket,
    ApiJson(request): ApiJson<DeleteObjects>,
) -> ApiResult<RunStartedResponse> {
    let AdminBucket { state, project, name } = bucket;
    let DeleteObjects { keys, prefix } = request;
    let project_id = project.id.clone();
    BulkDeletion::parse(&state, project, &name, keys.as_deref(), prefix.as_deref()).await?;
    let details = json!({ "prefix": prefix, "keys": keys.as_ref().map(Vec::len) });
    let params = DeletionParams { bucket: name, keys, prefix };
    let run = NewRun {
        plugin: DeletionJob::PLUGIN.to_owned(),
        plugin_job: DeletionJob::JOB.to_owned(),
        params: serde_json::to_value(params).map_err(ApiError::internal)?,
        project_id: Some(project_id),
        timeout: DeletionJob::MAX_DURATION,
    };
    Ok(run_started(jobs.start_run(&run).await?, details))
}
