use api_types::{
    AbortUpload, CompleteUpload, DeletedObject, ErrorBody, ListObjects, ObjectRef, Page, SignDownload, SignUpload,
    SignedDownload, SignedUpload, StoredObject,
};
use axum::{
    extract::{FromRef, State},
    http::StatusCode,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{StorageState, access::Requester, download, multipart, objects, upload};
use crate::{
    error::ApiResult,
    http::{ApiJson, ApiQuery},
    projects::{Caller, SecretCaller},
};

/// `/v1/storage`, for callers with an API key.
pub fn router<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    StorageState: FromRef<S>,
{
    OpenApiRouter::new()
        .routes(routes!(sign_upload))
        .routes(routes!(complete_upload))
        .routes(routes!(abort_upload))
        .routes(routes!(sign_download))
        .routes(routes!(list_objects))
        .routes(routes!(delete_object))
}

/// Sign an upload
///
/// The answer says where and how to send the bytes; they don't pass through here. `headers` lists all that must be
/// sent; with the mode `put` and neither `size` nor `once` that is the content type alone. A larger object than
/// `maxSize` is never served, and removed.
#[utoipa::path(
    post,
    path = "/v1/storage/signed-upload",
    tag = "storage",
    request_body = SignUpload,
    responses(
        (status = 200, body = SignedUpload),
        (status = 400, body = ErrorBody, description = "`invalid_path`, `invalid_request`, `invalid_json`"),
        (status = 403, body = ErrorBody, description = "The bucket is not exposed for uploads, or `upsert` without the secret key"),
        (status = 404, body = ErrorBody, description = "No such bucket"),
        (status = 409, body = ErrorBody, description = "`object_exists`"),
        (status = 413, body = ErrorBody, description = "`object_too_large`: above the bucket's limit"),
    ),
)]
async fn sign_upload(
    State(state): State<StorageState>,
    caller: Caller,
    ApiJson(request): ApiJson<SignUpload>,
) -> ApiResult<ApiJson<SignedUpload>> {
    upload::sign_upload(&state, &caller.project, &Requester::of(&caller), request).await.map(ApiJson)
}

/// Complete an upload in parts
#[utoipa::path(
    post,
    path = "/v1/storage/multipart/complete",
    tag = "storage",
    request_body = CompleteUpload,
    responses(
        (status = 200, body = StoredObject),
        (status = 400, body = ErrorBody, description = "The parts are not those that were uploaded"),
        (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody, description = "No such upload"),
        (status = 409, body = ErrorBody, description = "`object_exists`: another upload was faster"),
        (status = 413, body = ErrorBody, description = "Larger than was signed for; the object was removed"),
    ),
)]
async fn complete_upload(
    State(state): State<StorageState>,
    caller: Caller,
    ApiJson(request): ApiJson<CompleteUpload>,
) -> ApiResult<ApiJson<StoredObject>> {
    multipart::complete_upload(&state, &caller.project, &Requester::of(&caller), None, request).await.map(ApiJson)
}

/// Abort an upload in parts
///
/// Drops the parts that came. One that is gone already is no error.
#[utoipa::path(
    post,
    path = "/v1/storage/multipart/abort",
    tag = "storage",
    request_body = AbortUpload,
    responses(
        (status = 204, description = "Aborted"),
        (status = 400, body = ErrorBody),
        (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody),
    ),
)]
async fn abort_upload(
    State(state): State<StorageState>,
    caller: Caller,
    ApiJson(request): ApiJson<AbortUpload>,
) -> ApiResult<StatusCode> {
    multipart::abort_upload(&state, &caller.project, &Requester::of(&caller), None, request).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sign a download
///
/// With `downloadAs` browsers save the file under that name. Types that browsers run scripts of (HTML, SVG, XML)
/// are always saved when opened by themselves; pages can still embed them as images.
#[utoipa::path(
    get,
    path = "/v1/storage/signed-download",
    tag = "storage",
    params(SignDownload),
    responses(
        (status = 200, body = SignedDownload),
        (status = 400, body = ErrorBody, description = "`invalid_path`, `invalid_request`"),
        (status = 403, body = ErrorBody, description = "The bucket is not exposed for downloads"),
        (status = 404, body = ErrorBody, description = "`object_not_found`, also for an object larger than was signed for"),
    ),
)]
async fn sign_download(
    State(state): State<StorageState>,
    caller: Caller,
    ApiQuery(request): ApiQuery<SignDownload>,
) -> ApiResult<ApiJson<SignedDownload>> {
    download::sign_download(&state, &caller.project, &Requester::of(&caller), request).await.map(ApiJson)
}

/// List a bucket's objects
///
/// Secret key only. In the order of the keys' bytes, straight from the store.
#[utoipa::path(
    get,
    path = "/v1/storage/list",
    tag = "storage",
    params(ListObjects),
    responses(
        (status = 200, body = Page<StoredObject>),
        (status = 400, body = ErrorBody, description = "`invalid_path`, `invalid_cursor`, `invalid_request`"),
        (status = 403, body = ErrorBody, description = "Not the secret key"),
        (status = 404, body = ErrorBody, description = "No such bucket"),
    ),
)]
async fn list_objects(
    State(state): State<StorageState>,
    SecretCaller(caller): SecretCaller,
    ApiQuery(request): ApiQuery<ListObjects>,
) -> ApiResult<ApiJson<Page<StoredObject>>> {
    objects::list_objects(&state, &caller.project, request).await.map(ApiJson)
}

/// Delete an object
///
/// Secret key only.
#[utoipa::path(
    delete,
    path = "/v1/storage/object",
    tag = "storage",
    params(ObjectRef),
    responses(
        (status = 200, body = DeletedObject),
        (status = 400, body = ErrorBody, description = "`invalid_path`"),
        (status = 403, body = ErrorBody, description = "Not the secret key"),
        (status = 404, body = ErrorBody, description = "`object_not_found`, or no such bucket"),
    ),
)]
async fn delete_object(
    State(state): State<StorageState>,
    SecretCaller(caller): SecretCaller,
    ApiQuery(request): ApiQuery<ObjectRef>,
) -> ApiResult<ApiJson<DeletedObject>> {
    objects::delete_object(&state, &caller.project, request).await.map(ApiJson)
}
