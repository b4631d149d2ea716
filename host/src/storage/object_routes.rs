//! Handlers of the admin surface for the objects and the open uploads of a bucket.

use api_types::{
    CountObjects, DeletedObject, ErrorBody, ListObjects, MoveObject, ObjectCount, ObjectDetail, ObjectPage, ObjectRef,
    OpenMultipartUpload, Page, PageQuery, StoredObject,
};
use axum::Extension;
use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::{
    access::StorageAccess,
    admin_bucket::AdminBucket,
    admin_routes::audit_details,
    objects::{self, Transfer},
    open_uploads,
    path::BucketName,
};
use crate::{
    error::{ApiError, ApiResult},
    http::{ApiJson, ApiQuery, AuditDetails, NoQuery, PageRequest},
};

/// List a bucket's objects
///
/// Objects are in the byte order of their keys. With `delimiter=/`, returns one level: the folders under the prefix,
/// and the objects that are in none of them.
#[utoipa::path(
    get,
    path = "/admin/v1/projects/{project}/buckets/{bucket}/objects",
    operation_id = "list_bucket_objects",
    tag = "buckets",
    params(("project" = String, Path), ("bucket" = String, Path), ListObjects),
    responses(
        (status = 200, body = ObjectPage),
        (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody),
    ),
)]
pub(crate) async fn list_objects(
    bucket: AdminBucket,
    ApiQuery(request): ApiQuery<ListObjects>,
) -> ApiResult<ApiJson<ObjectPage>> {
    objects::list_objects(&bucket.into_access(), request).await.map(ApiJson)
}

/// Delete an object
#[utoipa::path(
    delete,
    path = "/admin/v1/projects/{project}/buckets/{bucket}/objects",
    operation_id = "delete_bucket_object",
    tag = "buckets",
    params(("project" = String, Path), ("bucket" = String, Path), ObjectRef),
    responses((status = 200, body = DeletedObject), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)),
)]
pub(crate) async fn delete_object(
    bucket: AdminBucket,
    ApiQuery(request): ApiQuery<ObjectRef>,
) -> ApiResult<(Extension<AuditDetails>, ApiJson<DeletedObject>)> {
    let deleted = objects::delete_object(&bucket.into_access(), request).await?;
    Ok((audit_details(&deleted.object_key), ApiJson(deleted)))
}

/// Get an object
///
/// Returns the size, content type, ETag, dates and uploader of an object. A `HEAD` request checks whether the object
/// exists.
#[utoipa::path(
    get,
    path = "/admin/v1/projects/{project}/buckets/{bucket}/object",
    operation_id = "get_bucket_object",
    tag = "buckets",
    params(("project" = String, Path), ("bucket" = String, Path), ObjectRef),
    responses((status = 200, body = ObjectDetail), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)),
)]
pub(crate) async fn get_object(
    bucket: AdminBucket,
    ApiQuery(request): ApiQuery<ObjectRef>,
) -> ApiResult<ApiJson<ObjectDetail>> {
    objects::get_object(&bucket.into_access(), request).await.map(ApiJson)
}

/// Count a bucket's objects
///
/// Returns the number and size of the objects whose paths start with `prefix`, from the object store. Counting stops
/// after 8 seconds. `complete` is then false, and also if not all finished uploads were moved to their paths in time.
#[utoipa::path(
    get,
    path = "/admin/v1/projects/{project}/buckets/{bucket}/objects/count",
    operation_id = "count_bucket_objects",
    tag = "buckets",
    params(("project" = String, Path), ("bucket" = String, Path), CountObjects),
    responses((status = 200, body = ObjectCount), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)),
)]
pub(crate) async fn count_objects(
    bucket: AdminBucket,
    ApiQuery(request): ApiQuery<CountObjects>,
) -> ApiResult<ApiJson<ObjectCount>> {
    objects::count_objects(&bucket.into_access(), request).await.map(ApiJson)
}

/// Move an object
///
/// Copies the object to another path or bucket of the project, and then deletes it at the old path. If the move is
/// interrupted, both objects can exist. Signed download URLs of the old path stop working.
#[utoipa::path(
    post,
    path = "/admin/v1/projects/{project}/buckets/{bucket}/objects/move",
    operation_id = "move_bucket_object",
    tag = "buckets",
    params(("project" = String, Path), ("bucket" = String, Path)),
    request_body = MoveObject,
    responses(
        (status = 200, body = StoredObject, description = "The object at its new path"),
        (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody),
        (
            status = 409,
            body = ErrorBody,
            description = "`object_exists`: the new path is taken. `conflict`: the object was replaced, moved or \
                deleted in the meantime",
        ),
        (status = 413, body = ErrorBody, description = "The object is larger than the new bucket allows"),
    ),
)]
pub(crate) async fn move_object(
    _query: NoQuery,
    bucket: AdminBucket,
    ApiJson(request): ApiJson<MoveObject>,
) -> ApiResult<(Extension<AuditDetails>, ApiJson<StoredObject>)> {
    transfer(bucket.into_access(), request, Transfer::Move).await
}

/// Copy an object
///
/// Copies the object, with its content type, to another path or bucket of the project. No bytes pass through AtlasHub.
#[utoipa::path(
    post,
    path = "/admin/v1/projects/{project}/buckets/{bucket}/objects/copy",
    operation_id = "copy_bucket_object",
    tag = "buckets",
    params(("project" = String, Path), ("bucket" = String, Path)),
    request_body = MoveObject,
    responses(
        (status = 200, body = StoredObject, description = "The copy"),
        (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody),
        (
            status = 409,
            body = ErrorBody,
            description = "`object_exists`: the new path is taken. `conflict`: the object was replaced in the meantime",
        ),
        (status = 413, body = ErrorBody, description = "The object is larger than the new bucket allows"),
    ),
)]
pub(crate) async fn copy_object(
    _query: NoQuery,
    bucket: AdminBucket,
    ApiJson(request): ApiJson<MoveObject>,
) -> ApiResult<(Extension<AuditDetails>, ApiJson<StoredObject>)> {
    transfer(bucket.into_access(), request, Transfer::Copy).await
}

async fn transfer(
    access: StorageAccess,
    request: MoveObject,
    transfer: Transfer,
) -> ApiResult<(Extension<AuditDetails>, ApiJson<StoredObject>)> {
    let from = request.object_key.clone();
    let stored = objects::transfer_object(access, request, transfer).await?;
    let details = json!({ "objectKey": stored.object_key, "from": from, "bytes": stored.size });
    Ok((Extension(AuditDetails(details)), ApiJson(stored)))
}

/// List a bucket's open multipart uploads
///
/// Returns the uploads that were neither completed nor aborted, newest first. To end one, send its `objectKey` and
/// `uploadId` to `POST …/multipart/abort`. A sweep aborts an upload an hour after it expires. An upload that a
/// publishable key or a signed-in user signed is aborted earlier, when no part has arrived for 30 minutes.
#[utoipa::path(
    get,
    path = "/admin/v1/projects/{project}/buckets/{bucket}/multipart",
    operation_id = "list_bucket_multipart_uploads",
    tag = "buckets",
    params(("project" = String, Path), ("bucket" = String, Path), PageQuery),
    responses(
        (status = 200, body = Page<OpenMultipartUpload>),
        (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody),
    ),
)]
pub(crate) async fn list_multipart_uploads(
    bucket: AdminBucket,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> ApiResult<ApiJson<Page<OpenMultipartUpload>>> {
    let request = PageRequest::<(DateTime<Utc>, Uuid)>::parse(&query)?;
    let name = BucketName::parse(&bucket.name).map_err(|_| ApiError::not_found("bucket"))?;
    let access = bucket.into_access();
    access.require_bucket(name.as_str()).await?;
    let platform = &access.state.platform;
    let uploads =
        open_uploads::list_multipart(platform, &access.project.id, name.as_str(), request.after, request.fetch())
            .await?;
    let page = request.page(uploads, |upload| (upload.created_at, upload.id));
    let items = page.items.into_iter().map(|upload| OpenMultipartUpload {
        object_key: format!("{name}/{}", upload.path),
        path: upload.path,
        upload_id: upload.upload_id,
        content_type: upload.content_type,
        size: upload.object_size,
        part_size: upload.part_size,
        uploaded_by: upload.uploaded_by,
        created_at: upload.created_at,
        expires_at: upload.expires_at,
    });
    Ok(ApiJson(Page { items: items.collect(), next_cursor: page.next_cursor }))
}
