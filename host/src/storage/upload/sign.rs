//! All steps of signing an upload, in order.

use api_types::{SignUpload, SignedUpload};

use super::{
    super::{
        access::{Action, StorageAccess},
        errors::object_exists,
        records::inspect_object,
    },
    checked::CheckedUpload,
    multipart,
    plan::{UploadMethod, UploadPlan},
    post, put,
};
use crate::error::{ApiError, ApiResult, Code};

/// Checks an upload request, records it and signs it.
///
/// # Errors
/// Returns 400 for an invalid request, 403 if the caller may not upload, 404 if the bucket does not exist, 409 if the
/// object exists and the request does not ask to replace it, 413 above `maxSize` or the bucket's limit, and 429 if the
/// caller's quota of open uploads is used up.
pub(crate) async fn sign_upload(access: &StorageAccess, request: SignUpload) -> ApiResult<SignedUpload> {
    let named_bucket = Some(request.bucket.as_str()).filter(|bucket| !bucket.is_empty());
    let bucket = access
        .resolve_bucket(named_bucket)?
        .map(str::to_owned)
        .ok_or_else(|| ApiError::invalid("The field `bucket` is missing.").with_detail("field", "bucket".into()))?;
    let plan = UploadPlan::parse(SignUpload { bucket, ..request })?;
    let settings = access.authorize(plan.path.bucket(), Action::Upload).await?;
    if !plan.upsert {
        access.check_new_path(&plan.path).await?;
    }
    if plan.upsert && !access.requester.is_trusted() {
        return Err(ApiError::new(Code::Forbidden, "`upsert` requires the project's secret key.")
            .with_hint("Omit `upsert`, or sign the upload on a server with the secret key."));
    }
    let max_size = plan.resolve_max_size(&settings)?;
    // The lookup is needed with `upsert` too: it records the existing object before the limit of its replacement is
    // recorded.
    let inspected = inspect_object(access.object_context(&access.store_bucket(), &plan.path)).await?;
    let exists = inspected.into_object().is_some();
    if exists && !plan.upsert {
        return Err(object_exists(&plan.path));
    }
    // An object that another program or an older version stored at a path that the check refuses can be replaced.
    if !exists && plan.upsert {
        access.check_new_path(&plan.path).await?;
    }
    let upload = CheckedUpload { access, plan: &plan, max_size };
    match plan.method {
        UploadMethod::Put(if_exists) => put::sign_put(upload, if_exists).await,
        UploadMethod::Post => post::sign_post(upload).await,
        UploadMethod::Multipart { layout, part_count } => multipart::sign_multipart(upload, layout, part_count).await,
    }
}
