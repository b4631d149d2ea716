//! Checks a download request and signs it.

use api_types::{SignDownload, SignedDownload};

use super::{
    super::{
        access::{Action, StorageAccess},
        errors::object_not_found,
        records::inspect_object,
        upload::URL_LIFETIME,
    },
    disposition,
};
use crate::error::{ApiError, ApiResult};

/// Signs a download. With `downloadAs`, and for types that run scripts in a browser, the signed URL makes the store
/// respond with an attachment. Pages can still embed such objects as images.
///
/// # Errors
/// Returns 400 for an invalid request, 403 if the caller may not download, and 404 if the bucket or the object does not
/// exist. An object that is larger than its upload was signed for is removed, and then does not exist.
pub(crate) async fn sign_download(access: &StorageAccess, request: SignDownload) -> ApiResult<SignedDownload> {
    let path = access.object_path(request.bucket.as_deref(), &request.object_key).await?;
    if request.download_as.as_deref().is_some_and(|name| !disposition::is_file_name(name)) {
        return Err(ApiError::invalid("`downloadAs` is not a valid file name.").with_hint(
            "Use 1 to 255 bytes without slashes, backslashes, control characters and marks of text direction, and \
                 neither `.` nor `..`.",
        ));
    }
    access.authorize(path.bucket(), Action::Download).await?;
    let (state, store_bucket) = (&access.state, access.store_bucket());
    let object = inspect_object(access.object_context(&store_bucket, &path))
        .await?
        .into_object()
        .ok_or_else(object_not_found)?;
    let disposition = match &request.download_as {
        Some(name) => Some(disposition::attachment(name)),
        None if disposition::is_active(object.content_type.as_deref()) => {
            Some(disposition::attachment(path.file_name()))
        }
        None => None,
    };
    let signed = state.store.presign_get(&store_bucket, path.key(), disposition.as_deref(), URL_LIFETIME).await?;
    Ok(SignedDownload { download_url: signed.url, expires_in: URL_LIFETIME.as_secs() })
}
