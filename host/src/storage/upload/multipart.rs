//! Multipart uploads: signed, completed or aborted.

use std::collections::{BTreeMap, BTreeSet};

use api_types::{AbortUpload, CompleteUpload, MultipartUpload, SignedUpload, StoredObject, UploadPart};

use super::{
    super::{
        access::{Action, StorageAccess},
        errors::object_exists,
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

/// Creates a multipart upload and signs a URL for every part. The store enforces the size of each part.
pub(super) async fn sign_multipart(upload: CheckedUpload<'_>, layout: PartLayout) -> ApiResult<SignedUpload> {
    let CheckedUpload { access, plan, .. } = upload;
    let (store, bucket, key) = (&access.state.store, access.store_bucket(), plan.path.key());
    let upload_id = store.create_multipart(&bucket, key, &plan.content_type).await?;
    let parts = match record_and_sign_parts(upload, layout, &upload_id).await {
        Ok(parts) => parts,
        Err(error) => {
            // If this fails too, the sweep aborts the upload after a day.
            if let Err(error) = store.abort_multipart(&bucket, key, &upload_id).await {
                tracing::warn!(%error, object_key = key, "could not abort an upload that was not signed");
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
        multipart: Some(MultipartUpload { upload_id, part_size: layout.part_size, parts }),
    })
}

async fn record_and_sign_parts(
    upload: CheckedUpload<'_>,
    layout: PartLayout,
    upload_id: &str,
) -> ApiResult<Vec<UploadPart>> {
    upload.record(Some(upload_id), MULTIPART_LIFETIME).await?;
    let (bucket, key) = (upload.access.store_bucket(), upload.plan.path.key());
    let mut parts = Vec::new();
    for (part_number, size) in layout.parts() {
        let part = PartConditions { upload_id, part_number, size };
        let signed = upload.access.state.store.presign_part(&bucket, key, part, MULTIPART_LIFETIME).await?;
        parts.push(UploadPart { part_number, upload_url: signed.url, size });
    }
    Ok(parts)
}

/// Assembles the parts into the object and checks its size. Succeeds again if the upload was already completed, so
/// that a client can repeat a request whose response was lost.
///
/// # Errors
/// 400 if the parts differ from the uploaded ones, 404 if the upload does not exist, 409 if another object was
/// uploaded to the path meanwhile, 413 if the object is larger than was signed for; it is then removed.
pub(crate) async fn complete_upload(access: &StorageAccess, request: CompleteUpload) -> ApiResult<StoredObject> {
    let path = access.object_path(None, &request.object_key).await?;
    let parts = parse_parts(request.parts)?;
    access.authorize(path.bucket(), Action::Upload).await?;
    let (state, store_bucket) = (&access.state, access.store_bucket());
    let context = access.object_context(&store_bucket, &path);
    let record = records::find_record(&state.platform, &access.project.id, &path).await?;
    let is_result = |object: &ObjectMeta| is_result_of_upload(record.as_ref(), &request.upload_id, object, parts.len());

    let existing = inspect_object(context).await?.into_object();
    let already_completed = existing.as_ref().is_some_and(is_result);
    // A trusted requester may have sent `upsert`. For any other, the path was free when the upload was signed.
    if existing.is_some() && !already_completed && !access.requester.is_trusted() {
        return Err(object_exists(&path));
    }
    if !already_completed || access.requester.is_trusted() {
        match state.store.complete_multipart(&store_bucket, path.key(), &request.upload_id, &parts).await {
            Ok(()) => {}
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
    match inspect_object(context).await? {
        InspectedObject::Present(object) => Ok(StoredObject {
            object_key: path.key().to_owned(),
            path: path.path().to_owned(),
            size: object.size,
            content_type: object.content_type,
            etag: object.etag,
            last_modified: object.last_modified,
        }),
        InspectedObject::Missing => Err(upload_not_found()),
        InspectedObject::RemovedOversize { size } => Err(ApiError::new(
            Code::ObjectTooLarge,
            format!("The parts total {size} bytes, more than the upload was signed for. The object was removed."),
        )),
    }
}

/// Returns whether the upload created this object. In every store, the ETag of an object made of parts ends with the
/// number of parts. If an object existed when the upload was signed, its ETag is on record.
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
/// 404 if the store does not recognise the upload id.
pub(crate) async fn abort_upload(access: &StorageAccess, request: AbortUpload) -> ApiResult<()> {
    let path = access.object_path(None, &request.object_key).await?;
    access.authorize(path.bucket(), Action::Upload).await?;
    let state = &access.state;
    match state.store.abort_multipart(&access.store_bucket(), path.key(), &request.upload_id).await {
        Err(StoreError::Refused { status: 400, .. }) => return Err(upload_not_found()),
        aborted => aborted?,
    }
    records::clear_upload_id(&state.platform, &access.project.id, &path, &request.upload_id).await?;
    Ok(())
}

fn upload_not_found() -> ApiError {
    ApiError::new(Code::ObjectNotFound, "The upload does not exist.")
        .with_hint("It was completed or aborted, or it expired after a day. Sign a new upload.")
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
            expires_at: chrono::Utc::now(),
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
