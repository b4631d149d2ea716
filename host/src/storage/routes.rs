//! Handlers of the public surface for uploads, downloads and objects.

use api_types::{
    AbortUpload, CompleteUpload, DeletedObject, ErrorBody, ListObjects, ObjectPage, ObjectRef, SignDownload, SignParts,
    SignUpload, SignedDownload, SignedParts, SignedUpload, StoredObject,
};
use axum::{extract::State, http::StatusCode};

use super::{access::StorageAccess, download, objects, state::StorageState, upload};
use crate::{
    error::ApiResult,
    http::{ApiJson, ApiQuery, NoQuery},
    projects::{Caller, SecretCaller},
};

/// Sign an upload
///
/// Returns a signed URL, and the method, headers or form fields for sending the bytes to it. The bytes go directly to
/// the object store. Send exactly the headers in `headers`: with the mode `put` and neither `size` nor `once`, only the
/// content type. An object larger than `maxSize` is never served and is removed. A URL signed without the secret key
/// never replaces an object at its path: of several uploads to a free path, the first that arrives stays.
#[utoipa::path(
    post,
    path = "/v1/storage/signed-upload",
    tag = "storage",
    request_body = SignUpload,
    responses(
        (status = 200, body = SignedUpload),
        (status = 400, body = ErrorBody, description = "`invalid_path`, `invalid_request`, `invalid_json`"),
        (
            status = 403,
            body = ErrorBody,
            description = "The bucket is not exposed for uploads, or `upsert` was sent without the secret key",
        ),
        (status = 404, body = ErrorBody, description = "The bucket does not exist"),
        (status = 409, body = ErrorBody, description = "`object_exists`"),
        (status = 413, body = ErrorBody, description = "`object_too_large`: above the bucket's limit"),
        (
            status = 429,
            body = ErrorBody,
            description = "Too many uploads of this publishable key or user have not ended",
        ),
    ),
)]
pub(crate) async fn sign_upload(
    State(state): State<StorageState>,
    _query: NoQuery,
    caller: Caller,
    ApiJson(request): ApiJson<SignUpload>,
) -> ApiResult<ApiJson<SignedUpload>> {
    upload::sign_upload(&StorageAccess::public(state, &caller), request).await.map(ApiJson)
}

/// Sign parts of a multipart upload
///
/// For uploads that were signed with `partCount`, and to send parts again.
#[utoipa::path(
    post,
    path = "/v1/storage/multipart/parts",
    tag = "storage",
    request_body = SignParts,
    responses(
        (status = 200, body = SignedParts),
        (status = 400, body = ErrorBody, description = "The upload has no such part"),
        (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody, description = "The upload does not exist, has ended, or is someone else's"),
    ),
)]
pub(crate) async fn sign_parts(
    State(state): State<StorageState>,
    _query: NoQuery,
    caller: Caller,
    ApiJson(request): ApiJson<SignParts>,
) -> ApiResult<ApiJson<SignedParts>> {
    upload::sign_parts(&StorageAccess::public(state, &caller), request).await.map(ApiJson)
}

/// Complete a multipart upload
///
/// Assembles the parts into the object. If the response is lost, the request can be repeated.
#[utoipa::path(
    post,
    path = "/v1/storage/multipart/complete",
    tag = "storage",
    request_body = CompleteUpload,
    responses(
        (status = 200, body = StoredObject),
        (status = 400, body = ErrorBody, description = "The parts differ from the uploaded parts"),
        (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody, description = "The upload does not exist or is someone else's"),
        (
            status = 409,
            body = ErrorBody,
            description = "`object_exists`: another object was uploaded to the path in the meantime",
        ),
        (status = 413, body = ErrorBody, description = "The object is larger than was signed for and was removed"),
    ),
)]
pub(crate) async fn complete_upload(
    State(state): State<StorageState>,
    _query: NoQuery,
    caller: Caller,
    ApiJson(request): ApiJson<CompleteUpload>,
) -> ApiResult<ApiJson<StoredObject>> {
    upload::complete_upload(&StorageAccess::public(state, &caller), request).await.map(ApiJson)
}

/// Abort a multipart upload
///
/// Removes the uploaded parts. Succeeds if the upload was already aborted.
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
pub(crate) async fn abort_upload(
    State(state): State<StorageState>,
    _query: NoQuery,
    caller: Caller,
    ApiJson(request): ApiJson<AbortUpload>,
) -> ApiResult<StatusCode> {
    upload::abort_upload(&StorageAccess::public(state, &caller), request).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sign a download
///
/// With `downloadAs`, browsers save the file under that name. Browsers always save files of types that can run scripts
/// (HTML, SVG, XML) when opened directly; pages can still embed them as images.
#[utoipa::path(
    get,
    path = "/v1/storage/signed-download",
    tag = "storage",
    params(SignDownload),
    responses(
        (status = 200, body = SignedDownload),
        (status = 400, body = ErrorBody, description = "`invalid_path`, `invalid_request`"),
        (status = 403, body = ErrorBody, description = "The bucket is not exposed for downloads"),
        (
            status = 404,
            body = ErrorBody,
            description = "`object_not_found` (also if the object was removed because it was larger than signed for), \
                or the bucket does not exist",
        ),
    ),
)]
pub(crate) async fn sign_download(
    State(state): State<StorageState>,
    caller: Caller,
    ApiQuery(request): ApiQuery<SignDownload>,
) -> ApiResult<ApiJson<SignedDownload>> {
    download::sign_download(&StorageAccess::public(state, &caller), request).await.map(ApiJson)
}

/// List a bucket's objects
///
/// Requires the secret key. Objects are in the byte order of their keys. A prefix that begins with the name of another
/// bucket returns 400, unless the bucket has a folder of that name.
#[utoipa::path(
    get,
    path = "/v1/storage/list",
    tag = "storage",
    params(ListObjects),
    responses(
        (status = 200, body = ObjectPage),
        (status = 400, body = ErrorBody, description = "`invalid_path`, `invalid_cursor`, `invalid_request`"),
        (status = 403, body = ErrorBody, description = "The request was not made with the secret key"),
        (status = 404, body = ErrorBody, description = "The bucket does not exist"),
    ),
)]
pub(crate) async fn list_objects(
    State(state): State<StorageState>,
    SecretCaller(caller): SecretCaller,
    ApiQuery(request): ApiQuery<ListObjects>,
) -> ApiResult<ApiJson<ObjectPage>> {
    objects::list_objects(&StorageAccess::public(state, &caller), request).await.map(ApiJson)
}

/// Delete an object
///
/// Requires the secret key.
#[utoipa::path(
    delete,
    path = "/v1/storage/object",
    tag = "storage",
    params(ObjectRef),
    responses(
        (status = 200, body = DeletedObject),
        (status = 400, body = ErrorBody, description = "`invalid_path`"),
        (status = 403, body = ErrorBody, description = "The request was not made with the secret key"),
        (status = 404, body = ErrorBody, description = "`object_not_found`, or the bucket does not exist"),
    ),
)]
pub(crate) async fn delete_object(
    State(state): State<StorageState>,
    SecretCaller(caller): SecretCaller,
    ApiQuery(request): ApiQuery<ObjectRef>,
) -> ApiResult<ApiJson<DeletedObject>> {
    objects::delete_object(&StorageAccess::public(state, &caller), request).await.map(ApiJson)
}
