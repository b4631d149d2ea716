//! Looks up one object and its record.

use api_types::{ObjectDetail, ObjectRef, StoredObject};

use super::super::{
    access::StorageAccess,
    errors::object_not_found,
    path::ObjectPath,
    records::{self, inspect_object},
};
use crate::{error::ApiResult, object_store::ObjectMeta};

/// Returns an object, and the uploader and creation time in its record.
///
/// # Errors
/// Returns 400 for an invalid object key, and 404 if the bucket or the object does not exist.
pub(crate) async fn get_object(access: &StorageAccess, request: ObjectRef) -> ApiResult<ObjectDetail> {
    let path = access.object_path(request.bucket.as_deref(), &request.object_key).await?;
    access.require_bucket(path.bucket()).await?;
    let store_bucket = access.store_bucket();
    let inspected = inspect_object(access.object_context(&store_bucket, &path)).await?;
    let object = inspected.into_object().ok_or_else(object_not_found)?;
    let origin = records::find_origin(&access.state.platform, &access.project.id, &path).await?;
    let (uploaded_by, created_at) = origin.unzip();
    Ok(ObjectDetail { object: stored_object(&path, object), uploaded_by, created_at })
}

/// Converts an object that was looked up to its representation in the API.
pub(in super::super) fn stored_object(path: &ObjectPath, object: ObjectMeta) -> StoredObject {
    StoredObject {
        object_key: path.key().to_owned(),
        path: path.path().to_owned(),
        size: object.size,
        content_type: object.content_type,
        etag: object.etag,
        last_modified: object.last_modified,
    }
}
