//! Handlers of the admin surface for buckets, and for signed uploads and downloads.

use api_types::{
    AbortUpload, Bucket, CompleteUpload, CreateBucket, DeleteBucket, ErrorBody, Page, PageQuery, SignDownload,
    SignParts, SignUpload, SignedDownload, SignedParts, SignedUpload, StoredObject, UpdateBucket,
};
use axum::{Extension, extract::State, http::StatusCode};

use super::{admin_bucket::AdminBucket, buckets, download, state::StorageState, upload};
use crate::{
    error::ApiResult,
    http::{ApiJson, ApiQuery, AuditDetails, AuditTarget, NoQuery, OptionalJson},
    projects::AdminProject,
};

/// List a project's buckets
#[utoipa::path(
    get,
    path = "/admin/v1/projects/{project}/buckets",
    tag = "buckets",
    params(("project" = String, Path), PageQuery),
    responses((status = 200, body = Page<Bucket>), (status = 404, body = ErrorBody)),
)]
pub(crate) async fn list_buckets(
    State(state): State<StorageState>,
    AdminProject(project): AdminProject,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> ApiResult<ApiJson<Page<Bucket>>> {
    buckets::list_buckets(&state, &project, query).await.map(ApiJson)
}

/// Create a bucket
///
/// Publishable keys and signed-in users can't access the new bucket until it is exposed.
#[utoipa::path(
    post,
    path = "/admin/v1/projects/{project}/buckets",
    tag = "buckets",
    params(("project" = String, Path)),
    request_body = CreateBucket,
    responses(
        (status = 201, body = Bucket),
        (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "The bucket already exists"),
    ),
)]
pub(crate) async fn create_bucket(
    State(state): State<StorageState>,
    _query: NoQuery,
    AdminProject(project): AdminProject,
    ApiJson(request): ApiJson<CreateBucket>,
) -> ApiResult<(StatusCode, Extension<AuditTarget>, ApiJson<Bucket>)> {
    let bucket = buckets::create_bucket(&state, &project, request).await?;
    Ok((StatusCode::CREATED, Extension(AuditTarget(bucket.name.clone())), ApiJson(bucket)))
}

/// Get a bucket
#[utoipa::path(
    get,
    path = "/admin/v1/projects/{project}/buckets/{bucket}",
    tag = "buckets",
    params(("project" = String, Path), ("bucket" = String, Path)),
    responses((status = 200, body = Bucket), (status = 404, body = ErrorBody)),
)]
pub(crate) async fn get_bucket(_query: NoQuery, bucket: AdminBucket) -> ApiResult<ApiJson<Bucket>> {
    buckets::get_bucket(&bucket.state, &bucket.project, &bucket.name).await.map(ApiJson)
}

/// Update a bucket's exposure or limit
///
/// Omitted fields keep their value. A new limit applies to uploads that are signed afterwards.
#[utoipa::path(
    patch,
    path = "/admin/v1/projects/{project}/buckets/{bucket}",
    tag = "buckets",
    params(("project" = String, Path), ("bucket" = String, Path)),
    request_body = UpdateBucket,
    responses((status = 200, body = Bucket), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)),
)]
pub(crate) async fn update_bucket(
    _query: NoQuery,
    bucket: AdminBucket,
    ApiJson(request): ApiJson<UpdateBucket>,
) -> ApiResult<ApiJson<Bucket>> {
    buckets::update_bucket(&bucket.state, &bucket.project, &bucket.name, request).await.map(ApiJson)
}

/// Delete a bucket and its objects
///
/// The request can be repeated after a failure.
#[utoipa::path(
    delete,
    path = "/admin/v1/projects/{project}/buckets/{bucket}",
    tag = "buckets",
    params(("project" = String, Path), ("bucket" = String, Path)),
    request_body = DeleteBucket,
    responses(
        (status = 204, description = "Deleted"),
        (
            status = 400,
            body = ErrorBody,
            description = "`confirmation_required`: `confirm` is missing, or differs from the bucket's name",
        ),
        (status = 404, body = ErrorBody),
    ),
)]
pub(crate) async fn delete_bucket(
    _query: NoQuery,
    bucket: AdminBucket,
    OptionalJson(request): OptionalJson<DeleteBucket>,
) -> ApiResult<StatusCode> {
    buckets::delete_bucket(&bucket.state, &bucket.project, &bucket.name, request).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sign an upload
///
/// Like `POST /v1/storage/signed-upload` with the secret key.
#[utoipa::path(
    post,
    path = "/admin/v1/projects/{project}/buckets/{bucket}/signed-upload",
    operation_id = "sign_bucket_upload",
    tag = "buckets",
    params(("project" = String, Path), ("bucket" = String, Path)),
    request_body = SignUpload,
    responses(
        (status = 200, body = SignedUpload),
        (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "`object_exists`"),
        (status = 413, body = ErrorBody, description = "`object_too_large`"),
    ),
)]
pub(crate) async fn sign_upload(
    _query: NoQuery,
    bucket: AdminBucket,
    ApiJson(request): ApiJson<SignUpload>,
) -> ApiResult<(Extension<AuditDetails>, ApiJson<SignedUpload>)> {
    let signed = upload::sign_upload(&bucket.into_access(), request).await?;
    Ok((audit_details(&signed.object_key), ApiJson(signed)))
}

/// Sign parts of a multipart upload
///
/// For uploads that were signed with `partCount`, and to send parts again.
#[utoipa::path(
    post,
    path = "/admin/v1/projects/{project}/buckets/{bucket}/multipart/parts",
    operation_id = "sign_bucket_parts",
    tag = "buckets",
    params(("project" = String, Path), ("bucket" = String, Path)),
    request_body = SignParts,
    responses(
        (status = 200, body = SignedParts),
        (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody),
    ),
)]
pub(crate) async fn sign_parts(
    _query: NoQuery,
    bucket: AdminBucket,
    ApiJson(request): ApiJson<SignParts>,
) -> ApiResult<(Extension<AuditDetails>, ApiJson<SignedParts>)> {
    let details = audit_details(&request.object_key);
    let signed = upload::sign_parts(&bucket.into_access(), request).await?;
    Ok((details, ApiJson(signed)))
}

/// Complete a multipart upload
///
/// Assembles the parts into the object. If the response is lost, the request can be repeated.
#[utoipa::path(
    post,
    path = "/admin/v1/projects/{project}/buckets/{bucket}/multipart/complete",
    operation_id = "complete_bucket_upload",
    tag = "buckets",
    params(("project" = String, Path), ("bucket" = String, Path)),
    request_body = CompleteUpload,
    responses(
        (status = 200, body = StoredObject),
        (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody),
        (
            status = 409,
            body = ErrorBody,
            description = "`object_exists`: another object was uploaded to the path in the meantime",
        ),
        (status = 413, body = ErrorBody, description = "The object is larger than was signed for and was removed"),
    ),
)]
pub(crate) async fn complete_upload(
    _query: NoQuery,
    bucket: AdminBucket,
    ApiJson(request): ApiJson<CompleteUpload>,
) -> ApiResult<(Extension<AuditDetails>, ApiJson<StoredObject>)> {
    let stored = upload::complete_upload(&bucket.into_access(), request).await?;
    Ok((audit_details(&stored.object_key), ApiJson(stored)))
}

/// Abort a multipart upload
///
/// Removes the uploaded parts. Succeeds if the upload was already aborted.
#[utoipa::path(
    post,
    path = "/admin/v1/projects/{project}/buckets/{bucket}/multipart/abort",
    operation_id = "abort_bucket_upload",
    tag = "buckets",
    params(("project" = String, Path), ("bucket" = String, Path)),
    request_body = AbortUpload,
    responses(
        (status = 204, description = "Aborted"),
        (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody),
    ),
)]
pub(crate) async fn abort_upload(
    _query: NoQuery,
    bucket: AdminBucket,
    ApiJson(request): ApiJson<AbortUpload>,
) -> ApiResult<(StatusCode, Extension<AuditDetails>)> {
    let details = audit_details(&request.object_key);
    upload::abort_upload(&bucket.into_access(), request).await?;
    Ok((StatusCode::NO_CONTENT, details))
}

/// Sign a download
///
/// Like `GET /v1/storage/signed-download` with the secret key.
#[utoipa::path(
    get,
    path = "/admin/v1/projects/{project}/buckets/{bucket}/signed-download",
    operation_id = "sign_bucket_download",
    tag = "buckets",
    params(("project" = String, Path), ("bucket" = String, Path), SignDownload),
    responses(
        (status = 200, body = SignedDownload),
        (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody),
    ),
)]
pub(crate) async fn sign_download(
    bucket: AdminBucket,
    ApiQuery(request): ApiQuery<SignDownload>,
) -> ApiResult<ApiJson<SignedDownload>> {
    download::sign_download(&bucket.into_access(), request).await.map(ApiJson)
}

/// Names the object in the audit log.
pub(super) fn audit_details(object_key: &str) -> Extension<AuditDetails> {
    Extension(AuditDetails(serde_json::json!({ "objectKey": object_key })))
}
