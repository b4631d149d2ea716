//! Deletes one object.

use api_types::{DeletedObject, ObjectRef};

use super::super::{
    access::StorageAccess,
    errors::object_not_found,
    open_uploads,
    records::{self, inspect_object},
};
use crate::error::{ApiError, ApiResult};

/// Removes an object and its record. While a signed URL may still store an object at the path, the record stays,
/// because it contains the maximum size of that object.
///
/// # Errors
/// Returns 400 for an invalid object key, and 404 if the bucket or the object does not exist.
pub(crate) async fn delete_object(access: &StorageAccess, request: ObjectRef) -> ApiResult<DeletedObject> {
    let path = access.object_path(request.bucket.as_deref(), &request.object_key).await?;
    access.require_bucket(path.bucket()).await?;
    let (state, store_bucket) = (&access.state, access.store_bucket());
    // If no object is at the path, the inspection first moves an object there that was uploaded without the secret key,
    // so that it can be deleted.
    let inspected = inspect_object(access.object_context(&store_bucket, &path)).await?;
    let object = inspected.into_object().ok_or_else(object_not_found)?;
    open_uploads::discard_arrived(state, &access.project.id, &path).await?;
    let (deleted, etag) = (path.clone(), object.etag.clone());
    let (state, project_id) = (state.clone(), access.project.id.clone());
    // Completes even if the request is cancelled: a record that stays would count towards the size of the bucket.
    let deleting = tokio::spawn(async move {
        state.store.delete(&store_bucket, deleted.key()).await?;
        records::delete_object_record(&state.platform, &project_id, &deleted, etag.as_deref()).await?;
        Ok::<(), ApiError>(())
    });
    deleting.await.unwrap_or_else(|error| Err(ApiError::internal(error)))?;
    tracing::info!(project = access.project.id, object_key = path.key(), size_bytes = object.size, "deleted an object");
    Ok(DeletedObject { object_key: path.key().to_owned(), deleted: true })
}
