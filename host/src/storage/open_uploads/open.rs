//! Records an upload as open, if the caller's quota allows it.

use std::time::Duration;

use uuid::Uuid;

use super::{
    super::state::StorageState,
    queries::{self, Inserted},
    record::{NewOpenUpload, UploadKind},
    settle::settle_project,
};
use crate::error::{ApiError, ApiResult, Code};

/// Delay that the response suggests to a client whose quota is used up. The delay is short, because most uploads end
/// long before they expire.
const QUOTA_RETRY: Duration = Duration::from_secs(60);

/// Records an upload to a staged object. Returns its id, or `None` if the bucket does not exist.
///
/// # Errors
/// Returns 429 if the quota of the key or user is used up.
pub(in super::super) async fn open_staged(state: &StorageState, upload: NewOpenUpload<'_>) -> ApiResult<Option<Uuid>> {
    let max = state.upload_quotas.staged;
    match open(state, UploadKind::Staged, upload, max).await {
        // Uploads whose objects have arrived count until the objects are moved.
        Err(error) if error.code() == Code::RateLimited => {
            if settle_project(state, upload.project_id).await?.ended == 0 {
                return Err(error);
            }
            open(state, UploadKind::Staged, upload, max).await
        }
        opened => opened,
    }
}

/// Records a multipart upload before it is created in the store. Returns its id, or `None` if the bucket does not
/// exist.
///
/// # Errors
/// Returns 429 if the quota of the key or user is used up.
pub(in super::super) async fn open_multipart(
    state: &StorageState,
    upload: NewOpenUpload<'_>,
) -> ApiResult<Option<Uuid>> {
    open(state, UploadKind::Multipart, upload, state.upload_quotas.multipart).await
}

async fn open(state: &StorageState, kind: UploadKind, upload: NewOpenUpload<'_>, max: u32) -> ApiResult<Option<Uuid>> {
    let id = Uuid::new_v4();
    let Inserted { bucket_exists, is_inserted } =
        queries::insert_upload(&state.platform, id, kind, upload, i64::from(max)).await?;
    match (bucket_exists, is_inserted) {
        (_, true) => Ok(Some(id)),
        (false, false) => Ok(None),
        (true, false) => Err(quota_used_up(kind, max)),
    }
}

fn quota_used_up(kind: UploadKind, max: u32) -> ApiError {
    let (uploads, remedy, variable) = match kind {
        UploadKind::Staged => ("signed uploads", "Send the files", "ATLASHUB_MAX_OPEN_UPLOADS"),
        UploadKind::Multipart => {
            ("multipart uploads", "Complete or abort the uploads", "ATLASHUB_MAX_OPEN_MULTIPART_UPLOADS")
        }
    };
    ApiError::new(Code::RateLimited, format!("{max} {uploads} of this key or user have not ended yet."))
        .with_hint(format!(
            "{remedy}, or wait until the uploads expire. The owner can raise {variable}; uploads signed with the \
             secret key do not count."
        ))
        .with_retry_after(QUOTA_RETRY)
}
