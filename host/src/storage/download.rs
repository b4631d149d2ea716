use api_types::{SignDownload, SignedDownload};

use super::{
    StorageState,
    access::{Action, Requester},
    media_type,
    path::ObjectPath,
    settle,
    upload::URL_LIFE,
};
use crate::{
    error::{ApiError, ApiResult, Code},
    projects::ProjectRef,
};

/// Signs a download for `requester`. With `downloadAs`, and for types that a browser would run scripts of, the
/// store is told to answer as an attachment; images and the like still show where a page embeds them.
///
/// # Errors
/// 400 for a path that can't be, 403 without the right, 404 without the object, also where it is larger than was
/// signed for (it is removed).
pub(super) async fn sign_download(
    state: &StorageState,
    project: &ProjectRef,
    requester: &Requester,
    request: SignDownload,
) -> ApiResult<SignedDownload> {
    let path = ObjectPath::from_key(request.bucket.as_deref(), &request.object_key)?;
    if request.download_as.as_deref().is_some_and(|name| !media_type::is_file_name(name)) {
        return Err(ApiError::invalid("`downloadAs` can't be the name of a file.")
            .with_hint("Use up to 255 bytes without slashes, backslashes and control characters."));
    }
    let settings = state.settings.bucket(&project.id, path.bucket()).await?;
    requester.authorize(settings.as_ref(), Action::Download)?;
    let seen = settle::look_at(&state.platform, &state.store, project, &path).await?;
    let object = seen.object.ok_or_else(object_not_found)?;
    let disposition = match &request.download_as {
        Some(name) => Some(media_type::attachment(name)),
        None if media_type::is_active(object.content_type.as_deref()) => Some(media_type::attachment(path.file_name())),
        None => None,
    };
    let signed = state.store.presign_get(&project.bucket(), path.key(), disposition.as_deref(), URL_LIFE).await?;
    Ok(SignedDownload { download_url: signed.url, expires_in: URL_LIFE.as_secs() })
}

pub(super) fn object_not_found() -> ApiError {
    ApiError::new(Code::ObjectNotFound, "There is no such object.")
}
