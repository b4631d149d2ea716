//! The end of an upload in parts: put together, or dropped.

use std::collections::BTreeSet;

use api_types::{AbortUpload, CompleteUpload, StoredObject};

use super::{
    StorageState,
    access::{Action, Requester},
    path::ObjectPath,
    queries::{self, FileRow},
    settle, upload,
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
    let before = settle::look_at(&state.platform, &state.store, project, &path).await?.object;
    // The secret key may have asked for `upsert`; for others the object wasn't there when they asked.
    let already =
        before.as_ref().is_some_and(|object| is_result(row.as_ref(), &request.upload_id, object, parts.len()));
    if before.is_some() && !already && !requester.is_trusted() {
        return Err(upload::object_exists(&path));
    }
    if !already || requester.is_trusted() {
        match state.store.complete_multipart(&project.bucket(), path.key(), &request.upload_id, &parts).await {
            Ok(()) => {}
            // Completed before, by a request whose answer was lost.
            Err(StoreError::NotFound { .. }) => {
                let object = state.store.head(&project.bucket(), path.key()).await?;
                if !object.is_some_and(|object| is_result(row.as_ref(), &request.upload_id, &object, parts.len())) {
                    return Err(no_such_upload());
                }
            }
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

/// Did this upload make this object? The ETag of an object made of parts ends with their number, in every store;
/// one that was there when the upload was signed for is recorded as such.
fn is_result(row: Option<&FileRow>, upload_id: &str, object: &ObjectMeta, parts: usize) -> bool {
    let Some(row) = row.filter(|row| row.upload_id.as_deref() == Some(upload_id)) else { return false };
    let there_before = row.state == "pending" && row.etag.is_some() && row.etag == object.etag;
    !there_before && object.etag.as_deref().is_some_and(|etag| etag.trim_matches('"').ends_with(&format!("-{parts}")))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_answer_is_told_from_another_object() {
        let row = |state: &str, etag: Option<&str>| FileRow {
            state: state.to_owned(),
            max_size: 10,
            size: etag.map(|_| 1),
            etag: etag.map(str::to_owned),
            upload_id: Some("u".to_owned()),
            expires_at: chrono::Utc::now(),
        };
        let object =
            |etag: &str| ObjectMeta { size: 1, etag: Some(etag.to_owned()), content_type: None, last_modified: None };
        for (case, row, upload_id, object, expected) in [
            ("completed, not yet seen", Some(row("pending", None)), "u", object("\"a-2\""), true),
            ("completed and seen", Some(row("stored", Some("\"a-2\""))), "u", object("\"a-2\""), true),
            ("replaced an older object", Some(row("pending", Some("\"b-2\""))), "u", object("\"a-2\""), true),
            ("still the older object", Some(row("pending", Some("\"a-2\""))), "u", object("\"a-2\""), false),
            ("another upload", Some(row("pending", None)), "v", object("\"a-2\""), false),
            ("other parts", Some(row("pending", None)), "u", object("\"a-3\""), false),
            ("a plain upload", Some(row("pending", None)), "u", object("\"a\""), false),
            ("no record", None, "u", object("\"a-2\""), false),
        ] {
            assert_eq!(is_result(row.as_ref(), upload_id, &object, 2), expected, "{case}");
        }
    }
}
