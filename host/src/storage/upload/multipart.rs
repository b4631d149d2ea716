//! Signs, completes and aborts multipart uploads.

use std::{
    collections::{BTreeMap, BTreeSet},
    slice,
    time::Duration,
};

use api_types::{
    AbortUpload, CompleteUpload, MultipartUpload, SignParts, SignedParts, SignedUpload, StoredObject, UploadPart,
};
use chrono::Utc;
use uuid::Uuid;

use super::{
    super::{
        access::{Action, StorageAccess},
        errors::object_exists,
        objects::stored_object,
        open_uploads::{self, OpenUpload, UploadState},
        path::ObjectPath,
        records::{self, FileRecord, FileState, InspectedObject, inspect_object},
    },
    checked::{CheckedUpload, MULTIPART_LIFETIME},
    plan::PartLayout,
};
use crate::{
    error::{ApiError, ApiResult, Code},
    object_store::{ObjectMeta, PartConditions, PartEtag, StoreError},
};

/// S3's maximum part number.
const MAX_PART_NUMBER: i32 = 10_000;
const MAX_ETAG_LENGTH: usize = 256;

/// Creates a multipart upload and signs the URLs of its first `part_count` parts, or of all parts. The store enforces
/// the size of each part.
pub(super) async fn sign_multipart(
    upload: CheckedUpload<'_>,
    layout: PartLayout,
    part_count: Option<u32>,
) -> ApiResult<SignedUpload> {
    let CheckedUpload { access, plan, .. } = upload;
    let (state, bucket, key) = (&access.state, access.store_bucket(), plan.path.key());
    let id = upload.open_multipart(layout).await?;
    let created = state.store.create_multipart(&bucket, key, &plan.content_type).await;
    let upload_id = match created {
        Ok(upload_id) => upload_id,
        Err(error) => {
            open_uploads::delete_upload(&state.platform, id).await?;
            return Err(error.into());
        }
    };
    let parts = match record_and_sign_parts(upload, layout, id, &upload_id, part_count).await {
        Ok(parts) => parts,
        Err(error) => {
            // If these calls fail too, the sweep aborts the upload.
            if let Err(error) = state.store.abort_multipart(&bucket, key, &upload_id).await {
                tracing::warn!(%error, object_key = key, "could not abort an upload that was not signed");
            }
            if let Err(error) = open_uploads::delete_upload(&state.platform, id).await {
                tracing::warn!(%error, object_key = key, "could not remove the record of an unsigned upload");
            }
            return Err(error);
        }
    };
    Ok(SignedUpload {
        object_key: key.to_owned(),
        upload_url: String::new(),
        method: "PUT".to_owned(),
        headers: BTreeMap::new(),
        expires_in: MULTIPART_LIFETIME.as_secs(),
        fields: None,
        multipart: Some(MultipartUpload {
            upload_id,
            part_size: layout.part_size,
            part_count: layout.part_count(),
            parts,
        }),
    })
}

async fn record_and_sign_parts(
    upload: CheckedUpload<'_>,
    layout: PartLayout,
    id: Uuid,
    upload_id: &str,
    part_count: Option<u32>,
) -> ApiResult<Vec<UploadPart>> {
    let (access, path) = (upload.access, &upload.plan.path);
    open_uploads::set_upload_id(&access.state.platform, id, upload_id).await?;
    upload.record(Some(upload_id), MULTIPART_LIFETIME).await?;
    let count = part_count.map_or(usize::MAX, |count| count as usize);
    sign_urls(access, path.key(), upload_id, layout.parts().take(count), MULTIPART_LIFETIME).await
}

async fn sign_urls(
    access: &StorageAccess,
    key: &str,
    upload_id: &str,
    parts: impl Iterator<Item = (i32, i64)>,
    lifetime: Duration,
) -> ApiResult<Vec<UploadPart>> {
    let bucket = access.store_bucket();
    let mut signed_parts = Vec::new();
    for (part_number, size) in parts {
        let part = PartConditions { upload_id, part_number, size };
        let signed = access.state.store.presign_part(&bucket, key, part, lifetime).await?;
        signed_parts.push(UploadPart { part_number, upload_url: signed.url, size });
    }
    Ok(signed_parts)
}

/// Signs URLs of the parts that the request names.
///
/// # Errors
/// Returns 400 if the request is invalid or the upload has no such part, 403 if the caller may not upload, and 404 if
/// the upload does not exist, belongs to another caller, has ended or has expired.
pub(crate) async fn sign_parts(access: &StorageAccess, request: SignParts) -> ApiResult<SignedParts> {
    let path = access.object_path(None, &request.object_key).await?;
    access.authorize(path.bucket(), Action::Upload).await?;
    let upload = find_multipart(access, &path, &request.upload_id).await?.ok_or_else(upload_not_found)?;
    let remaining = (upload.expires_at - Utc::now()).to_std().ok().filter(|remaining| remaining.as_secs() > 0);
    let (Some(lifetime), UploadState::Open) = (remaining, upload.state) else { return Err(upload_not_found()) };
    let layout = recorded_layout(&upload).ok_or_else(upload_not_found)?;
    let numbers: BTreeSet<i32> = request.part_numbers.iter().copied().collect();
    if numbers.is_empty() || numbers.len() != request.part_numbers.len() {
        return Err(ApiError::invalid("`partNumbers` must list at least one part, and each part once."));
    }
    let count = layout.part_count();
    if numbers.first() < Some(&1) || numbers.last() > Some(&count) {
        return Err(ApiError::invalid(format!("The parts of this upload have the numbers 1 to {count}.")));
    }
    let parts = layout.parts().filter(|(number, _)| numbers.contains(number));
    let lifetime = Duration::from_secs(lifetime.as_secs());
    let parts = sign_urls(access, path.key(), &request.upload_id, parts, lifetime).await?;
    Ok(SignedParts { parts, expires_in: lifetime.as_secs() })
}

/// Returns the record of an upload. Only a trusted requester may use an upload that has no record, or that someone else
/// signed.
///
/// # Errors
/// Returns 404 if the requester may not use the upload, as if the upload did not exist, and if `upload_id` can't be the
/// id of an upload.
async fn find_multipart(access: &StorageAccess, path: &ObjectPath, upload_id: &str) -> ApiResult<Option<OpenUpload>> {
    // Without an id, the store would take the call for another operation. Postgres can't compare a NUL.
    if upload_id.is_empty() || upload_id.contains('\0') {
        return Err(upload_not_found());
    }
    let upload = open_uploads::find_multipart(&access.state.platform, &access.project.id, path, upload_id).await?;
    let signed_by_requester = upload.as_ref().is_some_and(|upload| upload.uploaded_by == access.requester.label());
    if access.requester.is_trusted() || signed_by_requester { Ok(upload) } else { Err(upload_not_found()) }
}

/// Returns how a recorded multipart upload is divided into parts.
fn recorded_layout(upload: &OpenUpload) -> Option<PartLayout> {
    Some(PartLayout { object_size: upload.object_size?, part_size: upload.part_size? })
}

/// Assembles the parts into the object and checks its size. Succeeds again if the upload was already completed, so
/// that a client can repeat a request whose response was lost.
///
/// # Errors
/// Returns 400 if the request is invalid, does not list all parts, or lists other parts than were uploaded. Returns 403
/// if the caller may not upload, 404 if the upload does not exist or belongs to another caller, and 409 if another
/// object was uploaded to the path in the meantime. If the object is larger than its upload was signed for, removes it
/// and returns 413.
pub(crate) async fn complete_upload(access: &StorageAccess, request: CompleteUpload) -> ApiResult<StoredObject> {
    let path = access.object_path(None, &request.object_key).await?;
    let parts = parse_parts(request.parts)?;
    access.authorize(path.bucket(), Action::Upload).await?;
    let (state, store_bucket) = (&access.state, access.store_bucket());
    let context = access.object_context(&store_bucket, &path);
    let (record, upload) = tokio::try_join!(
        async { Ok(records::find_record(&state.platform, &access.project.id, &path).await?) },
        find_multipart(access, &path, &request.upload_id),
    )?;
    // Older versions did not record uploads.
    if let Some(layout) = upload.as_ref().and_then(recorded_layout) {
        require_all_parts(&parts, layout)?;
    }
    let is_result = |object: &ObjectMeta| is_result_of_upload(record.as_ref(), &request.upload_id, object, parts.len());

    let existing = inspect_object(context).await?.into_object();
    let already_completed = existing.as_ref().is_some_and(is_result);
    // An upload of a trusted requester that has no record may have been signed with `upsert`.
    let may_replace = access.requester.is_trusted() && upload.as_ref().is_none_or(|upload| upload.may_replace);
    if existing.is_some() && !already_completed && !may_replace {
        return Err(object_exists(&path));
    }
    if !already_completed || may_replace {
        let (store, key, upload_id) = (&state.store, path.key(), &request.upload_id);
        let completed = if may_replace {
            store.complete_multipart(&store_bucket, key, upload_id, &parts).await
        } else {
            store.complete_multipart_if_absent(&store_bucket, key, upload_id, &parts).await
        };
        match completed {
            Ok(()) => {}
            // An object arrived in the meantime. It may be the result of this upload, if the store's response to an
            // earlier attempt of the same call was lost.
            Err(StoreError::PreconditionFailed { .. }) => {
                let object = state.store.head(&store_bucket, path.key()).await?;
                if !object.as_ref().is_some_and(is_result) {
                    return Err(object_exists(&path));
                }
            }
            // Completed by an earlier request whose response was lost.
            Err(StoreError::NotFound { .. }) => {
                let object = state.store.head(&store_bucket, path.key()).await?;
                if !object.as_ref().is_some_and(is_result) {
                    return Err(upload_not_found());
                }
            }
            Err(StoreError::Refused { status: 400, message, .. }) => {
                return Err(ApiError::invalid(format!("The object store refused the parts: {message}"))
                    .with_hint("Send the number of every part and the `ETag` of its upload response."));
            }
            Err(error) => return Err(error.into()),
        }
    }
    open_uploads::end_multipart(&state.platform, &access.project.id, slice::from_ref(&request.upload_id)).await?;
    match inspect_object(context).await? {
        InspectedObject::Present(object) => Ok(stored_object(&path, object)),
        InspectedObject::Missing => Err(upload_not_found()),
        InspectedObject::RemovedOversize { size } => Err(ApiError::new(
            Code::ObjectTooLarge,
            format!("The parts total {size} bytes, more than the upload was signed for. The object was removed."),
        )),
    }
}

/// Returns whether the upload created this object. Every store ends the ETag of an object made of parts with the number
/// of parts. If an object existed when the upload was signed, the record contains its ETag.
fn is_result_of_upload(record: Option<&FileRecord>, upload_id: &str, object: &ObjectMeta, part_count: usize) -> bool {
    let Some(record) = record.filter(|record| record.upload_id.as_deref() == Some(upload_id)) else { return false };
    let existed_before = record.state == FileState::Pending && record.etag.is_some() && record.etag == object.etag;
    let has_part_count =
        |etag: &str| etag.trim_matches('"').rsplit_once('-').is_some_and(|(_, count)| count == part_count.to_string());
    !existed_before && object.etag.as_deref().is_some_and(has_part_count)
}

/// Aborts an upload and removes its parts. Succeeds if it was already aborted.
///
/// # Errors
/// Returns 400 for an invalid object key, 403 if the caller may not upload, and 404 if the bucket does not exist, the
/// upload id belongs to another object key or another caller, or the store does not recognize it.
pub(crate) async fn abort_upload(access: &StorageAccess, request: AbortUpload) -> ApiResult<()> {
    let path = access.object_path(None, &request.object_key).await?;
    access.authorize(path.bucket(), Action::Upload).await?;
    let state = &access.state;
    if find_multipart(access, &path, &request.upload_id).await?.is_none() {
        let ids = slice::from_ref(&request.upload_id);
        let others = open_uploads::ends_of_uploads(&state.platform, &access.project.id, ids).await?;
        if !others.is_empty() {
            return Err(upload_not_found());
        }
    }
    match state.store.abort_multipart(&access.store_bucket(), path.key(), &request.upload_id).await {
        Err(StoreError::Refused { status: 400, .. }) => return Err(upload_not_found()),
        aborted => aborted?,
    }
    open_uploads::end_multipart(&state.platform, &access.project.id, slice::from_ref(&request.upload_id)).await?;
    records::clear_upload_id(&state.platform, &access.project.id, &path, &request.upload_id).await?;
    Ok(())
}

fn upload_not_found() -> ApiError {
    ApiError::new(Code::ObjectNotFound, "The upload does not exist.")
        .with_hint("It was completed or aborted, it expired after a day, or someone else signed it. Sign a new upload.")
}

/// Checks the parts and sorts them by number.
fn parse_parts(parts: Vec<api_types::CompletedPart>) -> ApiResult<Vec<PartEtag>> {
    if parts.is_empty() {
        return Err(ApiError::invalid("`parts` is empty."));
    }
    let numbers: BTreeSet<i32> = parts.iter().map(|part| part.part_number).collect();
    if numbers.len() != parts.len() || numbers.first() < Some(&1) || numbers.last() > Some(&MAX_PART_NUMBER) {
        return Err(ApiError::invalid("`parts` must list each part once, with a part number from 1 to 10000."));
    }
    if parts.iter().any(|part| part.etag.is_empty() || part.etag.len() > MAX_ETAG_LENGTH || !part.etag.is_ascii()) {
        return Err(ApiError::invalid("The `etag` of a part is invalid.")
            .with_hint("Send the `ETag` header of the part's upload response, unchanged."));
    }
    let mut parts: Vec<PartEtag> =
        parts.into_iter().map(|part| PartEtag { number: part.part_number, etag: part.etag }).collect();
    parts.sort_unstable_by_key(|part| part.number);
    Ok(parts)
}

/// Checks that the sorted parts are all parts of the upload. Together they have the size that was signed, because the
/// store enforces the size of each part.
fn require_all_parts(parts: &[PartEtag], layout: PartLayout) -> ApiResult<()> {
    let count = layout.part_count();
    if parts.iter().map(|part| part.number).eq(1..=count) {
        return Ok(());
    }
    let message = format!("`parts` must list every part of this upload. The parts have the numbers 1 to {count}.");
    Err(ApiError::invalid(message)
        .with_hint("Send the parts that are missing, then complete the upload with the `ETag` of every part."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completed_upload_is_distinguished_from_other_objects() {
        use FileState::{Pending, Stored};
        let record = |state: FileState, etag: Option<&str>| FileRecord {
            state,
            max_size: 10,
            size: etag.map(|_| 1),
            etag: etag.map(str::to_owned),
            upload_id: Some("u".to_owned()),
            expires_at: Utc::now(),
        };
        let object =
            |etag: &str| ObjectMeta { size: 1, etag: Some(etag.to_owned()), content_type: None, last_modified: None };
        for (case, record, upload_id, object, expected) in [
            ("completed, not yet recorded", Some(record(Pending, None)), "u", object("\"a-2\""), true),
            ("completed and recorded", Some(record(Stored, Some("\"a-2\""))), "u", object("\"a-2\""), true),
            ("replaced an older object", Some(record(Pending, Some("\"b-2\""))), "u", object("\"a-2\""), true),
            ("still the older object", Some(record(Pending, Some("\"a-2\""))), "u", object("\"a-2\""), false),
            ("another upload", Some(record(Pending, None)), "v", object("\"a-2\""), false),
            ("another number of parts", Some(record(Pending, None)), "u", object("\"a-3\""), false),
            ("a plain upload", Some(record(Pending, None)), "u", object("\"a\""), false),
            ("no record", None, "u", object("\"a-2\""), false),
        ] {
            assert_eq!(is_result_of_upload(record.as_ref(), upload_id, &object, 2), expected, "{case}");
        }
    }
}
