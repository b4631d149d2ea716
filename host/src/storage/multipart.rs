//! The end of an upload in parts: put together, or dropped.

use std::collections::BTreeSet;

use api_types::{AbortUpload, CompleteUpload, StoredObject};

use super::{
    StorageState,
    access::{Action, Requester},
    path::ObjectPath,
    queries, settle, upload,
};
use crate::{
    error::{ApiError, ApiResult, Code},
    object_store::{ObjectMeta, PartEtag, StoreError},
    projects::ProjectRef,
};

/// Most parts of an S3 upload.
const MAX_PART_NUMBER: i32 = 10_000;

/// Puts the parts together and checks what came of it.
///
/// # Errors
/// 400 where the parts aren't those that were uploaded, 404 without such an upload, 409 where an object appeared
/// meanwhile, 413 where it is larger than was signed for (it is removed).
pub(super) async fn complete_upload(
    state: &StorageState,
    project: &ProjectRef,
    requester: &Requester,
    bucket: Option<&str>,
    request: CompleteUpload,
) -> ApiResult<StoredObject> {
    let path = ObjectPath::from_key(bucket, &request.object_key)?;
    let parts = parse_parts(request.parts)?;
    authorize(state, project, requester, &path).await?;
    let row = queries::file(&state.platform, &project.id, &path).await?;
    let recorded = row.is_some_and(|row| row.upload_id.as_deref() == Some(request.upload_id.as_str()));
    let before = settle::look_at(&state.platform, &state.store, project, &path).await?.object;
    // An answer that was lost: the same completion again succeeds again.
    let done = recorded && before.as_ref().is_some_and(|object| is_of_parts(object, parts.len()));
    // The secret key may have asked for `upsert`; for others the object wasn't there when they asked.
    if before.is_some() && !done && !requester.is_trusted() {
        return Err(upload::object_exists(&path));
    }
    if !done || requester.is_trusted() {
        match state.store.complete_multipart(&project.bucket(), path.key(), &request.upload_id, &parts).await {
            Ok(()) => {}
            Err(StoreError::NotFound { .. }) if done => {}
            Err(StoreError::NotFound { .. }) => return Err(no_such_upload()),
            Err(StoreError::Refused { status: 400, message, .. }) => {
                return Err(ApiError::invalid(format!("The store refused the parts: {message}"))
                    .with_hint("Send every part's number and the ETag that its upload answered."));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let seen = settle::look_at(&state.platform, &state.store, project, &path).await?;
    if let Some(size) = seen.removed_oversize {
        return Err(ApiError::new(
            Code::ObjectTooLarge,
            format!("The parts have {size} bytes together, more than was signed for. The object was removed."),
        ));
    }
    let object = seen.object.ok_or_else(no_such_upload)?;
    Ok(StoredObject {
        object_key: path.key().to_owned(),
        path: path.path().to_owned(),
        size: object.size,
        content_type: object.content_type,
        etag: object.etag,
        last_modified: object.last_modified,
    })
}

/// The ETag of an object made of parts ends with their number, in every store.
fn is_of_parts(object: &ObjectMeta, parts: usize) -> bool {
    object.etag.as_deref().is_some_and(|etag| etag.trim_matches('"').ends_with(&format!("-{parts}")))
}

/// Drops an upload and the parts that came.
///
/// # Errors
/// 404 without such an upload.
pub(super) async fn abort_upload(
    state: &StorageState,
    project: &ProjectRef,
    requester: &Requester,
    bucket: Option<&str>,
    request: AbortUpload,
) -> ApiResult<()> {
    let path = ObjectPath::from_key(bucket, &request.object_key)?;
    authorize(state, project, requester, &path).await?;
    match state.store.abort_multipart(&project.bucket(), path.key(), &request.upload_id).await {
        Err(StoreError::Refused { status: 400, .. }) => return Err(no_such_upload()),
        aborted => aborted?,
    }
    queries::forget_upload_id(&state.platform, &project.id, &path, &request.upload_id).await?;
    Ok(())
}

async fn authorize(
    state: &StorageState,
    project: &ProjectRef,
    requester: &Requester,
    path: &ObjectPath,
) -> ApiResult<()> {
    let settings = state.settings.bucket(&project.id, path.bucket()).await?;
    requester.authorize(settings.as_ref(), Action::Upload).map(drop)
}

fn no_such_upload() -> ApiError {
    ApiError::new(Code::ObjectNotFound, "There is no such upload.")
        .with_hint("It was completed, aborted or left for more than a day. Sign a new one.")
}

/// In the order of their numbers, each once.
fn parse_parts(parts: Vec<api_types::CompletedPart>) -> ApiResult<Vec<PartEtag>> {
    if parts.is_empty() {
        return Err(ApiError::invalid("`parts` is empty."));
    }
    let numbers: BTreeSet<i32> = parts.iter().map(|part| part.part_number).collect();
    if numbers.len() != parts.len() || numbers.first() < Some(&1) || numbers.last() > Some(&MAX_PART_NUMBER) {
        return Err(ApiError::invalid("`parts` must name each part once, by numbers from 1 to 10000."));
    }
    if parts.iter().any(|part| part.etag.is_empty() || part.etag.len() > 256 || !part.etag.is_ascii()) {
        return Err(ApiError::invalid("A part's `etag` is not one that a store answers."));
    }
    let mut parts: Vec<PartEtag> =
        parts.into_iter().map(|part| PartEtag { number: part.part_number, etag: part.etag }).collect();
    parts.sort_unstable_by_key(|part| part.number);
    Ok(parts)
}
